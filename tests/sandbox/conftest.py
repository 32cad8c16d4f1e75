"""The fixtures of the sandbox's tests."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from round import OPEN_FOLDER
from sandbox.arena import Arena, Listeners, build, prepare, victim
from sandbox.programs import Programs


@pytest.fixture(scope="session")
def grounds() -> Iterator[tuple[Path, Path]]:
    """The folder of the arena, and its template. Not below pytest's folder, which other users cannot read."""
    memory = OPEN_FOLDER if OPEN_FOLDER.is_mount() else None
    place = memory or ("/var/tmp" if os.access("/var/tmp", os.W_OK) else None)  # noqa: S108 - any but /tmp will do
    with (
        tempfile.TemporaryDirectory(prefix="gitbatch-arena-", dir=place) as made,
        tempfile.TemporaryDirectory() as kept,
    ):
        base = Path(made).resolve()
        base.chmod(0o755)
        build(base)
        shutil.copytree(base, kept, symlinks=True, dirs_exist_ok=True)
        yield base, Path(kept)


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """The launcher server of most programs."""
    made = Programs()
    yield made
    made.close()


@pytest.fixture
def arena(grounds: tuple[Path, Path], programs: Programs, request: pytest.FixtureRequest) -> Iterator[Arena]:
    """The arena with the sandbox of the parameter, and a victim process."""
    made = prepare(*grounds, request.param, programs)
    with victim(made):
        yield made


@pytest.fixture
def listeners(arena: Arena) -> Iterator[Listeners]:
    """Servers that listen on this machine."""
    with ExitStack() as stack:
        yield Listeners(arena, stack)
