"""Sandboxes on unusual machines: none works, everything is inside the user's home, or hooks exist already."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from wall import naive
from wall.attacks import Control
from wall.grounds import Grounds, only

WITHOUT_MOUNTS = """
import errno, os, sys
from gitbatch.sandbox.launcher import seccomp
mount = {"x86_64": 165, "aarch64": 40}[os.uname().machine]
landlock = 444
load, allow = (0x20, 0, 0, 0), (0x06, 0, 0, 0x7FFF0000)
seccomp.install_filter([load, *seccomp.refuse_calls((mount, landlock), errno.EPERM), allow])
"""
"""A filter with which neither bubblewrap nor Landlock works for this process and all that it starts."""
GITBATCH = "from gitbatch.cli.main import main; main()"
RUN = ("run", "--items", only(["extra"]), "--checkpoint", "at-end")
known = pytest.mark.skipif(
    os.uname().machine not in {"x86_64", "aarch64"}, reason="no filter for this machine"
)


def start(grounds: Grounds, code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=grounds.workspace.root,
        env=grounds.workspace.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@known
@pytest.mark.parametrize(
    "asked", [(), ("--sandbox", "auto"), ("--sandbox", "bubblewrap"), ("--sandbox", "landlock")]
)
def test_no_sandbox_starts_nothing(grounds: Grounds, asked: tuple[str, ...]) -> None:
    done = start(grounds, WITHOUT_MOUNTS + GITBATCH, *RUN, *asked)
    assert done.returncode == 1
    sorry = "cannot use the sandbox: " if asked and asked[1] != "auto" else "no sandbox for agents works here"
    assert sorry in done.stderr
    assert 'set sandbox = "none"' in done.stderr
    assert grounds.workspace.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert grounds.workspace.git("worktree", "list", "--porcelain").count("worktree ") == 1


@known
def test_none_by_name_works(grounds: Grounds) -> None:
    done = start(grounds, WITHOUT_MOUNTS + GITBATCH, *RUN, "--sandbox", "none")
    assert done.returncode == 0, done.stderr
    assert "sandbox none" in done.stdout
    assert start(grounds, GITBATCH, *RUN[:2], only(["sibling"]), *RUN[3:]).returncode == 0, (
        "else it is no filter"
    )


@known
def test_control_runs_without_sandbox(grounds: Grounds) -> None:
    place = grounds.base / "elsewhere/new"
    code = f"from wall import naive; naive.start_somehow(['touch', {str(place)!r}])"
    tests = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
    start(grounds, tests + code)
    assert not place.exists(), "where there is a sandbox, it uses it"
    start(grounds, tests + WITHOUT_MOUNTS + code)
    assert place.exists()


INSIDE = (
    "checkout_by_dots",
    "checkout_by_path",
    "checkout_by_link",
    "fsmonitor",
    "hook_files",
    "worktree_of_sibling",
    "key_of_home",
    "key_of_processes",
)


@pytest.mark.rule("S1", "S2")
@pytest.mark.parametrize("kind", ["bubblewrap", "landlock"])
def test_mount_order_below_home(grounds: Grounds, kind: str) -> None:
    """Home, the checkout and the folder of the worktrees are hidden; one worktree is writable, its pointer is not."""
    script = 'page; cat "$root/notes.md" >>"$output"; git log --format=%s >>"$output"; { echo x >>.git; } || echo kept >>"$output"'
    grounds.workspace.write("tools/attacks/extra.sh", script)
    grounds.workspace.environment["HOME"] = str(grounds.base)
    made = Grounds(grounds.workspace, grounds.workspace.commit("Look"), grounds.before)
    items = only(["sibling", "extra", *INSIDE])
    made.workspace.gitbatch("run", "--items", items, "--checkpoint", "at-end", "--sandbox", kind, code=0)
    seen = made.workspace.git("show", "main:out/extra.md")
    assert "What the project's rules are." not in seen
    assert "The plan" in seen
    assert ("kept" in seen) == (kind == "bubblewrap")
    assert made.history() == set()
    assert made.outside() - {"repo/tools/attacks/extra.sh"} == set()


def test_wrong_mount_order_opens_pointer(grounds: Grounds) -> None:
    grounds.workspace.git("worktree", "add", "-q", "-b", "item/x", str(grounds.base / "worktrees/x"))
    worktree = grounds.base / "worktrees/x"
    before = (worktree / ".git").read_bytes()
    for right in (True, False):
        naive.start_bound(worktree, ["sh", "-c", "echo x >>.git"], right_order=right)
        assert ((worktree / ".git").read_bytes() == before) == right


HOOKS = ("pre-commit", "commit-msg", "post-commit", "post-checkout", "post-merge", "reference-transaction")


def with_hooks(grounds: Grounds, where: str) -> Grounds:
    """Hooks in the checkout are also in each worktree, where an agent can change them."""
    folder = grounds.workspace.root / (".git/hooks" if where == "git" else "githooks")
    folder.mkdir(exist_ok=True)
    change = ""
    for name in HOOKS:
        (folder / name).write_text(
            "#!/bin/sh\nexit 0\n"
            if where == "checkout"
            else (grounds.workspace.root / "tools/payload").read_text()
        )
        (folder / name).chmod(0o755)
        change += f"cp tools/payload githooks/{name}; " if where == "checkout" else ""
    grounds.workspace.write("tools/attacks/extra.sh", f"page; {change}")
    started = grounds.workspace.commit("Hooks")
    if where == "checkout":
        grounds.workspace.git("config", "core.hooksPath", "githooks")
    (grounds.base / "ran").unlink(missing_ok=True)
    return Grounds(grounds.workspace, started)


@pytest.mark.rule("S1")
@pytest.mark.parametrize("where", ["git", "checkout"])
@pytest.mark.parametrize("kind", ["bubblewrap", "landlock", "none"])
@pytest.mark.sample(3)
def test_existing_hooks_never_run(forked: Grounds, where: str, kind: str) -> None:
    made = with_hooks(forked, where)
    made.workspace.gitbatch(*RUN, "--sandbox", kind, code=0)
    assert made.code_ran() == set()
    assert made.history() == set()
    hooks = made.workspace.root / (".git/hooks" if where == "git" else "githooks")
    assert {path.name for path in hooks.iterdir()} >= set(HOOKS)


@pytest.mark.parametrize("where", ["git", "checkout"])
def test_control_runs_existing_hooks(grounds: Grounds, where: str) -> None:
    made = with_hooks(grounds, where)
    naive.run(made, "extra", Control.ADD_ALL)
    assert made.code_ran()
