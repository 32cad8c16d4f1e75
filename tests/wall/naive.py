"""The controls: naive orchestrators. Each attack must succeed against one of them.

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
    """Runs one agent and merges its work. For an attack on a sibling, the sibling ran before."""
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
        grounds.place.git("worktree", "remove", "--force", str(worktree), check=False)


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
    if control is Control.PLUMBING:
        aside = Place(
            place.root, place.home, {**place.environment, "GIT_INDEX_FILE": str(place.home / "index")}
        )
        aside.git("read-tree", "main")
        blob = aside.git("hash-object", "-w", str(worktree / output))
        aside.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{output}")
        commit = aside.git("commit-tree", "-p", "main", "-m", f"gitbatch: {name}", aside.git("write-tree"))
        place.git("update-ref", "refs/heads/main", commit)
        (place.home / "index").unlink()
        return
    (place.root / output).parent.mkdir(exist_ok=True)
    if control is Control.COPY:
        shutil.copy(worktree / output, place.root / output)
    else:
        (place.root / output).write_bytes((worktree / output).read_bytes())
    place.git("add", output)
    place.git("commit", "-qm", f"gitbatch: {name}")


def is_done(place: Place, branch: str, output: str) -> bool:
    """Returns whether an item is done, by its branch alone."""
    said = place.git("log", "-1", "--format=%(trailers:key=Gitbatch-Item,valueonly)", branch)
    return said.strip() == output and place.git("diff", "--name-only", f"{branch}^", branch) == output


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Raises TimeoutError after some seconds."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def start_somehow(argv: list[str]) -> None:
    """Starts a program in a sandbox if that works, else without one."""
    boxed = subprocess.run(["bwrap", "--ro-bind", "/", "/", "--", "true"], capture_output=True, check=False)
    subprocess.run(
        [*(["bwrap", "--ro-bind", "/", "/", "--"] if boxed.returncode == 0 else []), *argv], check=False
    )


def start_bound(worktree: Path, argv: list[str], *, right_order: bool) -> None:
    """Starts a program in a writable worktree with a read-only `.git` pointer."""
    binds = [("--bind", worktree), ("--ro-bind", worktree / ".git")]
    ordered = binds if right_order else reversed(binds)
    mounts = [str(part) for option, path in ordered for part in (option, path, path)]
    command = ["bwrap", "--ro-bind", "/", "/", *mounts, "--chdir", str(worktree), "--", *argv]
    subprocess.run(command, capture_output=True, check=False)


def write(place: Place, path: str) -> None:
    """Writes an output to the path in the plan, and commits it."""
    (place.root / path).parent.mkdir(parents=True, exist_ok=True)
    (place.root / path).write_text("written", encoding="utf-8")
    place.git("add", "-f", "--", path, check=False)
    place.git("commit", "-qm", "gitbatch: write", check=False)


def written(place: Place) -> list[str]:
    """Returns the paths in history."""
    return place.git("-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", "HEAD").splitlines()


def status(summary: str) -> str:
    """Returns a status file with an agent's summary."""
    return f"# Status\n\n{summary}\n\n| Item | Summary |\n|---|---|\n| T1 | {summary} |\n\n- {summary}\n\n## Next\n"


def message(summary: str, output: str = "out/x.md") -> str:
    """Returns the message of an item's commit."""
    return f"Write\n\n{summary}\nGitbatch-Item: {output}\n"


def shown(line: str) -> str:
    """Returns a line of progress as a naive view prints it."""
    return f"T1: {line}\n"
