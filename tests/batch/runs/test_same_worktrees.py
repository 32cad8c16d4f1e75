"""Agents see the same files and modes in each kind of worktree: those that git checks out.

GITBATCH_FAULTS=long pytest tests/batch/runs/test_same_worktrees.py -n 2
"""

import random
import re
import subprocess
from contextlib import nullcontext

import pytest
from conftest import Workspace
from faults.test_faults import LONG
from reflinks import move_workspace, reflink_folder
from sessions import run_here

from gitbatch.batch.workplace.kinds import WorktreeKind

SEEDS = 30 if LONG else 1
KINDS = tuple(WorktreeKind) if LONG else (WorktreeKind.OVERLAY,)
"""The usual round compares the others with git's checkout in tests of the units."""
LOOK = r"""
mkdir -p "$TMPDIR/seen"
find . -mindepth 1 \( -path ./.git -o -path ./out \) -prune -o -printf '%P\t%y\t%m\t%l\n' | LC_ALL=C sort >"$TMPDIR/seen/modes"
find . \( -path ./.git -o -path ./out \) -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum >"$TMPDIR/seen/contents"
mkdir -p out
cat "$TMPDIR/seen/modes" "$TMPDIR/seen/contents" >"$1"
git status --porcelain | grep -v '^?? out/' >>"$1" || :
echo '{"summary": "Looked at all files. They are listed."}' >"$GITBATCH_REPLY"
"""
CONFIG = """[agents.one]
kind = "command"
command = ["sh", "look.sh", "{output}"]
sandbox = "none"
"""
PLAN = """## Work Packages

### First
- [ ] One (output: out/first.txt)

### Second
- [ ] Two (output: out/second.txt)
"""
NAMES = (
    "a",
    "A",
    "sub/b.txt",
    "sub/B.TXT",
    "deep/er/and/deeper/c.md",
    "ü/é.md",
    "e\u0301.md",
    "sp ace/x y",
    "-dash",
    "[x]*.md",
)
CONTENTS = (b"", b"text\n", b"text without end", b"crlf\r\nlines\r\n", b"$Id$\n", bytes(range(256)) * 20)
ATTRIBUTES = (
    "*.md text\n",
    "*.txt text eol=crlf\n",
    "*.md ident\n",
    "sub/** -text\n",
    "*.TXT eol=lf\n",
    "a filter=none\n",
)
SETTINGS = (
    ("core.autocrlf", ("true", "input", "false")),
    ("core.eol", ("crlf", "lf")),
    ("core.symlinks", ("true", "false")),
)


def make_files(workspace: Workspace, dice: random.Random) -> None:
    """Writes a repository of odd files, attributes and settings, as chance has it."""
    for name, text in {"look.sh": LOOK, "task.md": PLAN, "gitbatch.toml": CONFIG}.items():
        workspace.write(name, text)
    workspace.write(
        ".gitattributes", "look.sh -text\n" + "".join(dice.sample(ATTRIBUTES, dice.randint(0, 3)))
    )
    for name in dice.sample(NAMES, 7):
        path = workspace.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if dice.random() < 0.2:
            path.symlink_to(dice.choice(("look.sh", "sub", "nowhere", "../outside", "/etc/passwd")))
        else:
            path.write_bytes(dice.choice(CONTENTS))
            path.chmod(dice.choice((0o644, 0o755, 0o600)))
    workspace.commit()
    for key, values in SETTINGS:
        if dice.random() < 0.4:
            workspace.git("config", key, dice.choice(values))


def select_lines(listed: str) -> list[str]:
    """Returns the lines about files that no checkpoint changes."""
    return [
        line for line in listed.splitlines() if not {"task.md", "status.md"} & set(re.split(r"[\t/ ]", line))
    ]


def list_checkout(workspace: Workspace) -> str:
    """Returns what the agent would write of a checkout that git makes now."""
    folder = workspace.root.parent / "by git"
    workspace.git("worktree", "add", "-q", "--detach", str(folder), "HEAD")
    reply = folder.parent / "reply"
    script = f"cd '{folder}'; TMPDIR='{folder.parent}/scratch' GITBATCH_REPLY='{reply}' sh look.sh ../listed"
    subprocess.run(("sh", "-c", script), env=workspace.environment, check=True)
    workspace.git("worktree", "remove", "--force", str(folder))
    return reply.with_name("listed").read_text()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_agents_see_what_git_checks_out(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - the same repositories each time
    make_files(workspace, dice)
    clones = WorktreeKind.CLONE in KINDS
    with reflink_folder(workspace.root.parent) if clones else nullcontext(workspace.root.parent) as folder:
        for kind in KINDS:
            there = move_workspace(workspace, folder, str(kind))
            there.environment["GITBATCH_WORKTREE"] = str(kind)
            expected = list_checkout(there)
            result, _ = run_here(there, monkeypatch)
            assert result.succeeded == 2
            for name in ("first", "second"):
                seen = there.git("show", f"main:out/{name}.txt")
                assert select_lines(seen) == select_lines(expected), kind
