"""The fixtures of the wall's tests."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import IDENTITY
from fork_server import ForkServer
from wall.attacks import SCRIPTS
from wall.grounds import Grounds, copy_of, lay_out

Make = Callable[[], Grounds]


@pytest.fixture(scope="session")
def usual() -> dict[str, str]:
    """The environment variables besides the paths."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "LANG"} or name.startswith("COVERAGE_")
    }
    return {
        **kept,
        **IDENTITY,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "TERM": "dumb",
        "GITBATCH_WORKTREE": "copy",  # in an overlay, an agent does not find the checkout that it attacks
    }


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, usual: dict[str, str]) -> Path:
    """The grounds with all attacks."""
    base = tmp_path_factory.mktemp("template")
    lay_out(base, {**usual, "HOME": str(base)}, SCRIPTS)
    return base


@pytest.fixture
def forked(grounds: Grounds, fork_server: ForkServer) -> Grounds:
    """The grounds, where gitbatch has not its variables from its start: for attacks that do not look for these."""
    grounds.workspace.server = fork_server
    return grounds


@pytest.fixture
def grounds(template: Path, tmp_path: Path, usual: dict[str, str]) -> Iterator[Grounds]:
    """The grounds, restored."""
    made = copy_of(template, tmp_path / "grounds", usual)
    yield made
    made.end_daemons()
    # A naive orchestrator leaves a tree that is too deep for Python, with which pytest tidies up three rounds later.
    subprocess.run(["rm", "-rf", str(made.base / "worktrees")], check=True)
