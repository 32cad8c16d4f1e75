"""Where worktrees are copies, checks and gates take the checkout of an earlier one, without what that had written."""

from pathlib import Path

import pytest
from conftest import Workspace
from sessions import run_here

PLAN = "## Work Packages\n\n### First\n- [ ] One (output: out/one.md)\n- [ ] Two (output: out/two.md)\n"
CONFIG = """
[batch]
jobs = 1
retries = 0
worktree = "copy"
[agents.writer]
kind = "command"
command = ["sh", "-c", "mkdir -p out; echo made >\\"$1\\"; touch agent", "sh", "{output}"]
[checks.clean]
command = ["sh", "CHECK"]
sandbox = "none"
on = ["out/*.md"]
[gates.clean]
command = ["sh", "CHECK"]
sandbox = "none"
"""
CHECK = """
set -e
test "$(cat README.md)" = given; test ! -e junk; test ! -e agent; test -z "$(git status --porcelain)"
echo changed >README.md; echo x >junk; ls out >>LOG; ls -di . | cut -d ' ' -f 1 >>LOG
"""


def test_checks_take_the_checkout_of_another(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitbatch.repo.templates.kept._FEW", 0)
    monkeypatch.setattr("gitbatch.repo.templates.kept.shows_mapped_writes", lambda _: True)  # also on a tmpfs
    check, log = tmp_path / "check.sh", tmp_path / "log"
    check.write_text(CHECK.replace("LOG", str(log)), encoding="utf-8")
    workspace.write("task.md", PLAN)
    workspace.write("README.md", "given\n")
    workspace.write("gitbatch.toml", CONFIG.replace("CHECK", str(check)))
    workspace.commit()
    result, events = run_here(workspace, monkeypatch, sandbox=None)
    assert (result.succeeded, result.failed) == (2, 0), events[-4:]
    lines = log.read_text(encoding="utf-8").splitlines()
    folders = [line for line in lines if line.isdecimal()]
    assert [line for line in lines if not line.isdecimal()] == ["one.md", "two.md", "one.md", "two.md"]
    assert folders == folders[:1] * 3
