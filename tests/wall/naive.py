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

from conftest import Workspace
from wall.attacks import Control
from wall.grounds import Grounds


def run(grounds: Grounds, name: str, control: Control) -> None:
    """Runs one agent and merges its work. For an attack on a sibling, the sibling ran before."""
    names = list(dict.fromkeys(["sibling", name] if "sibling" in name else [name]))
    worktrees = [_worktree(grounds, each) for each in names]
    environment = {
        key: value for key, value in grounds.workspace.environment.items() if key != "ORCHESTRATOR"
    }
    for each, worktree in zip(names, worktrees, strict=True):
        agent = ["sh", "tools/agent.sh", f"out/{each}.md"]
        subprocess.run(
            agent, cwd=worktree, env=environment, stdin=subprocess.DEVNULL, check=False, timeout=20
        )
    for each, worktree in reversed([*zip(names, worktrees, strict=True)]):
        _take(grounds.workspace, worktree, each, control)
        grounds.workspace.git("worktree", "remove", "--force", str(worktree), check=False)


def _worktree(grounds: Grounds, name: str) -> Path:
    path = grounds.base / "worktrees" / name
    grounds.workspace.git("worktree", "add", "-q", "-b", f"item/{name}", str(path))
    (path / "out").mkdir(exist_ok=True)
    return path


def _take(workspace: Workspace, worktree: Path, name: str, control: Control) -> None:
    there = Workspace(worktree, workspace.home, workspace.environment)
    output = f"out/{name}.md"
    if control in {Control.ADD_ALL, Control.CHECK_NAMES}:
        there.git("add", "-A", check=False)
        there.git("commit", "-qm", f"gitbatch: {name}", check=False)
        names = workspace.git("diff", "--name-only", f"main...item/{name}").splitlines()
        if control is Control.ADD_ALL or names == [output]:
            workspace.git("merge", "-q", "--no-ff", "-m", "gitbatch: merge", f"item/{name}", check=False)
        return
    if control is Control.PLUMBING:
        aside = Workspace(
            workspace.root,
            workspace.home,
            {**workspace.environment, "GIT_INDEX_FILE": str(workspace.home / "index")},
        )
        aside.git("read-tree", "main")
        blob = aside.git("hash-object", "-w", str(worktree / output))
        aside.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{output}")
        commit = aside.git("commit-tree", "-p", "main", "-m", f"gitbatch: {name}", aside.git("write-tree"))
        workspace.git("update-ref", "refs/heads/main", commit)
        (workspace.home / "index").unlink()
        return
    (workspace.root / output).parent.mkdir(exist_ok=True)
    if control is Control.COPY:
        shutil.copy(worktree / output, workspace.root / output)
    else:
        (workspace.root / output).write_bytes((worktree / output).read_bytes())
    workspace.git("add", output)
    workspace.git("commit", "-qm", f"gitbatch: {name}")


def is_done(workspace: Workspace, branch: str, output: str) -> bool:
    """Returns whether an item is done, by its branch alone."""
    said = workspace.git("log", "-1", "--format=%(trailers:key=Gitbatch-Item,valueonly)", branch)
    return said.strip() == output and workspace.git("diff", "--name-only", f"{branch}^", branch) == output


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


def write(workspace: Workspace, path: str) -> None:
    """Writes an output to the path in the plan, and commits it."""
    (workspace.root / path).parent.mkdir(parents=True, exist_ok=True)
    (workspace.root / path).write_text("written", encoding="utf-8")
    workspace.git("add", "-f", "--", path, check=False)
    workspace.git("commit", "-qm", "gitbatch: write", check=False)


def written(workspace: Workspace) -> list[str]:
    """Returns the paths in history."""
    return workspace.git("-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", "HEAD").splitlines()


def status(summary: str) -> str:
    """Returns a status file with an agent's summary."""
    return f"# Status\n\n{summary}\n\n| Item | Summary |\n|---|---|\n| T1 | {summary} |\n\n- {summary}\n\n## Next\n"


def message(summary: str, output: str = "out/x.md") -> str:
    """Returns the message of an item's commit."""
    return f"Write\n\n{summary}\nGitbatch-Item: {output}\n"


def shown(line: str) -> str:
    """Returns a line of progress as a naive view prints it."""
    return f"T1: {line}\n"
