"""Whole runs whose worktrees are layers: what agents see, what is taken, and what is left."""

import errno
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from batch.reviewers import set_up
from conftest import Workspace
from history import assert_tidy, audit, ticked
from sessions import run_here
from waiting import wait_until

import gitbatch
from gitbatch.batch.workplace import kinds
from gitbatch.sandbox import overlay, server
from gitbatch.sandbox.command_line import server_command
from gitbatch.sandbox.launcher.seccomp import install_filter, refuse_calls
from gitbatch.sandbox.model import SandboxKind

NOBODY = 65534
USERS_PYTHON = "/usr/bin/python3"
LOOK = """look)
  { pwd -P; git log -1 --format=%s; git ls-files | wc -l; git status --porcelain; cat plain.txt
    test -e .env || echo hidden; echo "slot $GITBATCH_SLOT"; } >"$TMPDIR/seen"
  rm plain.txt; git status --porcelain >>"$TMPDIR/seen"; git show HEAD:plain.txt >plain.txt
  git diff --stat >>"$TMPDIR/seen"; cp "$TMPDIR/seen" "$output" ;;
"""


@pytest.fixture
def layered(three: Workspace) -> Workspace:
    """A repository with an agent that says what it sees, whose worktrees are layers."""
    three.environment["GITBATCH_WORKTREE"] = "overlay"
    three.edit("task.md", "Write a →", "Write a do: look →")
    three.edit("tools/agent.sh", "fail) echo", f"{LOOK}fail) echo")
    three.write(".gitignore", ".env\n")
    three.write("plain.txt", "plain\n")
    three.commit()
    three.write(".env", "KEY=1\n")
    return three


@pytest.mark.parametrize("kind", ["bubblewrap", "landlock", "none"])
def test_agents_work_at_the_path_of_the_checkout(layered: Workspace, kind: str) -> None:
    """One of them commits, which it does for itself: neither its commit nor its further file counts."""
    layered.edit("task.md", "Write b →", "Write b do: commit →")
    layered.commit()
    files = layered.git("ls-files").splitlines()
    events, _ = layered.run_json("--items", "group:1", "--checkpoint", "at-end", "--sandbox", kind, code=0)
    assert [event["worktrees"] for event in events if event["event"] == "batch-started"] == ["overlay"]
    assert layered.git("show", "main:out/letters/a.md").splitlines() == [
        *(str(layered.root), "change", str(len(files)), "plain", "hidden", "slot 0"),
        " D plain.txt",
    ]
    strays = [event["outcome"]["strays"] for event in events if event["event"] == "item-finished"]
    assert ["plain.txt"] in strays
    assert layered.read("plain.txt") == "plain\n"
    assert ticked(layered) == ["T101", "T102", "T103", "T104"]
    audit(layered)
    assert_tidy(layered)


def test_kind_that_does_not_work_is_said(layered: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run falls back to copies, and names the reason; asked for by name, the kind is refused."""
    monkeypatch.setattr(kinds, "_find_overlay_problem", lambda *_: "no mounts here")
    monkeypatch.setattr(kinds, "_find_clone_problem", lambda *_: "no reflinks")
    refused = "cannot make worktrees of the kind overlay: no mounts here"
    with pytest.raises(Exception, match=re.escape(refused)):
        run_here(layered, monkeypatch, items="T101")
    layered.environment["GITBATCH_WORKTREE"] = "auto"
    _, events = run_here(layered, monkeypatch, items="T101")
    assert events[0]["worktrees"] == "copy (overlay: no mounts here; clone: no reflinks)"
    assert layered.git("show", "main:out/letters/a.md").splitlines()[0] != str(layered.root)


def run_directly(layered: Workspace, kind: str, **more: Any) -> str:  # noqa: ANN401 - arguments of Popen
    """Returns what a run prints that the system's Python starts, which an ordinary user may execute."""
    packages = f"{Path(gitbatch.__file__).parents[1]}:{sysconfig.get_path('purelib')}"
    environment = {**layered.environment, "PYTHONPATH": packages, "PATH": "/usr/bin:/bin"}
    options = ("run", "--items", "T101", "--checkpoint", "at-end", "--sandbox", kind)
    done = subprocess.run(
        (USERS_PYTHON, "-m", "gitbatch", *options),
        cwd=layered.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **more,
    )
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


@pytest.fixture
def users_python() -> None:
    """Skips the test where the system's Python cannot import what ours has."""
    done = subprocess.run((USERS_PYTHON, "--version"), capture_output=True, text=True, check=False)
    if os.getuid() != 0 or not done.stdout.startswith("Python {}.{}.".format(*sys.version_info)):
        pytest.skip("needs root, and a Python for other users of the same version")


@pytest.mark.usefixtures("users_python")
@pytest.mark.parametrize("kind", ["bubblewrap", "none"])
def test_ordinary_users_have_it_too(layered: Workspace, kind: str) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as above:
        Path(above).chmod(0o755)
        moved = Path(above) / "work"
        shutil.copytree(layered.root.parent, moved, symlinks=True)
        for path in (moved, *moved.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        home = moved / layered.home.name
        layered.environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
        theirs = replace(layered, root=moved / layered.root.name)
        said = run_directly(theirs, kind, user=NOBODY, group=NOBODY, extra_groups=[])
        assert said.startswith("0\n"), said
        assert "  worktrees overlay\n" in said
        assert not list(home.rglob("*.work"))  # the kernel's folder in it has the mode 000
        for path in (moved, *moved.rglob("*")):
            os.chown(path, 0, 0, follow_symlinks=False)
        assert theirs.git("show", "main:out/letters/a.md").startswith(f"{theirs.root}\n")


@pytest.mark.usefixtures("users_python")
def test_system_without_mounts_gets_copies(layered: Workspace) -> None:
    """A system call filter refuses namespaces and mounts, as in some containers."""
    layered.environment["GITBATCH_WORKTREE"] = "auto"
    said = run_directly(layered, "none", preexec_fn=refuse_mounts)
    assert said.startswith("0\n"), said
    assert "(overlay: the overlay worktree: Operation not permitted" in said
    assert_tidy(layered)


def refuse_mounts() -> None:
    """Installs a system call filter."""
    numbers = (272, 165) if os.uname().machine == "x86_64" else (97, 40)
    install_filter([(0x20, 0, 0, 0), *refuse_calls(numbers, errno.EPERM), (0x06, 0, 0, 0x7FFF0000)])


def test_wrong_memory_costs_one_run(layered: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overlays worked in the first run. Then mounts are refused: the second halts and says so, the third makes a trial."""
    layered.environment["GITBATCH_WORKTREE"] = "auto"
    layered.edit("task.md", "Write a do: look →", "Write a →")
    layered.commit()
    run_alone(layered, monkeypatch, "T102")
    memory = layered.home / "cache/gitbatch/trials"
    assert len(list(memory.iterdir())) == 1
    refuse = f"import sys; sys.path[:0] = {sys.path!r}; from batch.runs.test_run_overlay import refuse_mounts; refuse_mounts()"
    start = f"{refuse}; import os; os.execv(sys.argv[1], sys.argv[1:])"
    command = server_command()
    monkeypatch.setattr(server, "server_command", lambda: [sys.executable, "-c", start, *command])
    events = run_alone(layered, monkeypatch, "T101")
    assert events[0]["worktrees"] == "overlay"
    assert events[-1]["event"] == "batch-halted"
    assert "the overlay worktree: Operation not permitted" in events[-1]["reason"]
    assert not list(memory.iterdir())
    events = run_alone(layered, monkeypatch, "T101")
    assert events[0]["worktrees"].startswith("copy (overlay: the overlay worktree: Operation not permitted")
    assert ticked(layered) == ["T101", "T102"]
    assert_tidy(layered)


def run_alone(layered: Workspace, monkeypatch: pytest.MonkeyPatch, items: str) -> list[Any]:
    """Returns the events of a run that knows nothing of trials of this process."""
    monkeypatch.setattr(overlay, "_KNOWN", {})
    return run_here(layered, monkeypatch, items=items, sandbox=SandboxKind.NONE)[1]


def test_killed_run_leaves_nothing_mounted_and_nothing_is_lost(layered: Workspace) -> None:
    """Git's entries are kept from a user's pruning while the agent works; the next run completes the batch."""
    hold = layered.home / "hold"
    hold.touch()
    layered.edit("task.md", "Write b →", "Write b do: hold →")
    wait = f"hold) page >$output; test ! -e {hold} || echo $$ >{hold}; while test -e {hold}; do sleep 0.02; done ;;\nfail) echo"
    layered.edit("tools/agent.sh", "fail) echo", wait)
    layered.commit()
    running = layered.start("run", "--items", "T102", "--checkpoint", "at-end", is_heard=False)
    wait_until(hold.read_text, "the agent works")
    layered.git("worktree", "prune", "--expire", "now")
    assert "gitbatch works in it" in layered.git("worktree", "list", "--verbose")
    running.kill()
    running.wait()
    agent = Path("/proc", hold.read_text().strip())
    wait_until(lambda: not agent.exists(), "the agent is ended")
    hold.unlink()
    layered.gitbatch("run", code=0)
    assert "T102" in ticked(layered)
    audit(layered)
    assert_tidy(layered)


def test_reviewers_that_change_files_are_seen(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their changes are in the upper layer; the checkout, at whose place they work, is neither read nor touched."""
    workspace.environment["GITBATCH_WORKTREE"] = "overlay"
    words = ("edit", "create", "remove")
    set_up(
        workspace, *(f"do: ok; judge: {word} <!-- retries: 0 -->" for word in words), "do: ok; judge: accept"
    )
    mode = (workspace.root / ".git").stat().st_mode
    _, events = run_here(workspace, monkeypatch)
    assert ticked(workspace) == ["T4"]
    said = [event["result"]["reason"] for event in events if event["event"] == "check-finished"]
    assert sum("the reviewer changed" in reason for reason in said) == len(words)
    assert (workspace.root / ".git").stat().st_mode == mode


def test_sparse_checkout_is_a_layer_too(layered: Workspace) -> None:
    """An agent sees what its item reads; git expands the index where it may write objects, and complains of nothing."""
    agent = layered.home / "sparse.sh"
    agent.write_text(
        "{ ls -A; git status --porcelain; git ls-files | wc -l; } >$TMPDIR/seen 2>&1\n"
        'mkdir -p out/letters; mv $TMPDIR/seen "$1"\n',
        encoding="utf-8",
    )
    layered.edit("gitbatch.toml", "[batch]", '[batch]\ncheckout = "context"')
    layered.edit("gitbatch.toml", '"tools/agent.sh"', f'"{agent}"')
    layered.edit("gitbatch.toml", 'timeout = "1m"', f'timeout = "1m"\nneeds = ["{agent}"]')
    layered.write("far/away.md", "far\n")
    layered.commit()
    files = layered.git("ls-files").splitlines()
    layered.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", "--sandbox", "bubblewrap", code=0)
    seen = layered.git("show", "main:out/letters/a.md").splitlines()
    assert seen == [".git", "out", "rules.md", "status.md", str(len(files))]
