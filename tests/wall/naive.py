"""The controls: an orchestrator as one would write it in an afternoon. Each attack must succeed against one of them.

No sandbox, the user's whole environment for the agent, git where the agent has been, files by their names.
"""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from conftest import Place
from wall.attacks import Control
from wall.grounds import Grounds


def run(grounds: Grounds, name: str, control: Control) -> None:
    """Let one agent work, and take in what it did. For an attack on a sibling, that one worked before."""
    names = list(dict.fromkeys(["sibling", name] if "sibling" in name else [name]))
    worktrees = [_worktree(grounds, each) for each in names]
    environment = {key: value for key, value in grounds.place.environment.items() if key != "ORCHESTRATOR"}
    for each, worktree in zip(names, worktrees, strict=True):
        agent = ["sh", "tools/agent.sh", f"out/{each}.md"]
        subprocess.run(
            agent, cwd=worktree, env=environment, stdin=subprocess.DEVNULL, check=False, timeout=20
        )
    for each, worktree in reversed([*zip(names, worktrees, strict=True)]):
        _take(grounds.place, worktree, each, control)


def _worktree(grounds: Grounds, name: str) -> Path:
    path = grounds.base / "worktrees" / name
    grounds.place.git("worktree", "add", "-q", "-b", f"item/{name}", str(path))
    (path / "out").mkdir(exist_ok=True)
    return path


def _take(place: Place, worktree: Path, name: str, control: Control) -> None:
    there = Place(worktree, place.home, place.environment)
    output = f"out/{name}.md"
    if control in {Control.ADD_ALL, Control.CHECK_NAMES}:
        there.git("add", "-A", check=False)
        there.git("commit", "-qm", f"gitbatch: {name}", check=False)
        names = place.git("diff", "--name-only", f"main...item/{name}").splitlines()
        if control is Control.ADD_ALL or names == [output]:
            place.git("merge", "-q", "--no-ff", "-m", "gitbatch: merge", f"item/{name}", check=False)
        return
    (place.root / output).parent.mkdir(exist_ok=True)
    if control is Control.COPY:
        shutil.copy(worktree / output, place.root / output)
    else:
        (place.root / output).write_bytes((worktree / output).read_bytes())
    place.git("add", output)
    place.git("commit", "-qm", f"gitbatch: {name}")


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """End what hangs."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
