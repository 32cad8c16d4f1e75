"""The fixtures of the sandbox's tests."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sandbox.arena import Arena, Listeners, build, prepare, victim


@pytest.fixture(scope="session")
def grounds() -> Iterator[tuple[Path, Path]]:
    """Where the arena is, and what it is made from. Not below pytest's folder, which is closed to other users."""
    place = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None  # noqa: S108 - any place but /tmp will do
    with (
        tempfile.TemporaryDirectory(prefix="gitbatch-arena-", dir=place) as made,
        tempfile.TemporaryDirectory() as kept,
    ):
        base = Path(made).resolve()
        base.chmod(0o755)
        build(base)
        shutil.copytree(base, kept, symlinks=True, dirs_exist_ok=True)
        yield base, Path(kept)


@pytest.fixture
def arena(grounds: tuple[Path, Path], request: pytest.FixtureRequest) -> Iterator[Arena]:
    """The arena behind a wall, which is the parameter, with another process in it."""
    made = prepare(*grounds, request.param)
    with victim(made):
        yield made


@pytest.fixture
def listeners(arena: Arena) -> Iterator[Listeners]:
    """What listens on this machine."""
    with ExitStack() as stack:
        yield Listeners(arena, stack)
