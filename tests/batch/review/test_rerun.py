"""What keeps the run from starting that follows a retry: it is said before the retry is recorded."""

import sys
from collections.abc import Callable
from contextlib import closing

import pytest
from conftest import Here, Workspace
from history import ticked
from sessions import run_here, session_settings

from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.model import CheckpointMode
from gitbatch.batch.review.rerun import RerunChecks
from gitbatch.batch.review.reviewable import find_reviewable
from gitbatch.errors import GitbatchError
from gitbatch.repo.opening import open_repository
from gitbatch.sandbox import overlay

AGENTS = """
[agents.quiet]
kind = "command"
command = ["sh", "tools/agent.sh", "{output}"]
sandbox = "none"

[agents.absent]
kind = "command"
command = ["no-such-program"]
sandbox = "none"

[agents.boxed]
kind = "command"
command = ["sh"]
sandbox = "OTHER"

[agents.keyless]
kind = "anthropic"
model = "m-1"
api-key-env = "NO_SUCH_KEY"
"""
USED = '"usage": {"input": 1, "output": 1, "requests": 1, "cost": 0.5},'
PAID = ("--max-cost", "0.25")


def change_nothing(_: Workspace) -> None:
    """Leaves everything as it is."""


def edit_status(workspace: Workspace) -> None:
    workspace.write("status.md", "mine\n")


def change_program(workspace: Workspace) -> None:
    workspace.edit(
        "gitbatch.toml", 'command = ["sh", "tools/agent.sh", "{output}"]\nt', 'command = ["env"]\nt'
    )
    workspace.commit("Another program")


def begin_merge(workspace: Workspace) -> None:
    workspace.git("branch", "other", "HEAD~1")
    workspace.git("checkout", "-q", "other")
    workspace.write("other.md", "x\n")
    workspace.commit("Other")
    workspace.git("checkout", "-q", "main")
    workspace.git("merge", "-q", "--no-commit", "--no-ff", "other")


def remove_item(workspace: Workspace, name: str = "T101") -> None:
    lines = workspace.read("task.md").splitlines(keepends=True)
    workspace.write("task.md", "".join(line for line in lines if f" {name} " not in line))
    workspace.commit("Without it")


def keep_worktrees_inside(workspace: Workspace) -> None:
    workspace.environment["GITBATCH_WORKTREES"] = str(workspace.root)


def break_notifications(workspace: Workspace) -> None:
    workspace.environment["GITBATCH_NOTIFY"] = "say 'it"


def want_unknown_worktrees(workspace: Workspace) -> None:
    workspace.environment["GITBATCH_WORKTREE"] = "magic"


REFUSED: tuple[tuple[Callable[[Workspace], None], tuple[str, ...], str], ...] = (
    (
        change_nothing,
        ("--agent", "quiet", *PAID),
        "agent quiet does not report its cost, so --max-cost cannot",
    ),
    (change_nothing, ("--agent", "absent"), "agent absent: the program no-such-program is not found"),
    (change_nothing, ("--agent", "boxed"), "cannot use the sandbox: "),
    (change_nothing, ("--agent", "keyless"), "NO_SUCH_KEY is not set"),
    (change_nothing, ("--agent", "unknown"), "agent 'unknown' is not configured"),
    (change_nothing, PAID, "$0.50 of $0.25 are spent"),
    (edit_status, (), "uncommitted changes in status.md"),
    (begin_merge, (), "a merge is under way"),
    (change_program, (), "gitbatch.toml differs from what the batch was started with: "),
    (remove_item, (), "task.md does not have T101 any more, so it cannot run again"),
    (keep_worktrees_inside, (), "cannot create worktrees in "),
    (want_unknown_worktrees, (), "GITBATCH_WORKTREE is magic"),
    (break_notifications, (), "invalid command in GITBATCH_NOTIFY"),
)


@pytest.mark.rule("F7")
def test_a_retry_whose_run_cannot_start_is_not_recorded(
    three: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One case after the other: each is refused as a whole, and the same retry is recorded once nothing is in its way."""
    three.edit("gitbatch.toml", 'timeout = "1m"\n', 'timeout = "1m"\nreports-usage = true\n')
    other = "bubblewrap" if sys.platform == "darwin" else "seatbelt"
    three.edit("gitbatch.toml", "jobs = 4\n", 'jobs = 4\nagent = "scripted"\n')
    three.write("gitbatch.toml", three.read("gitbatch.toml") + AGENTS.replace("OTHER", other))
    three.edit("tools/agent.sh", '{\\"summary\\"', "{" + USED.replace('"', '\\"') + ' \\"summary\\"')
    three.edit("task.md", "Write a", "Write a do: fail")
    three.commit("Agents")
    run_here(three, monkeypatch, items="T101,T102,T301", checkpoint=CheckpointMode.parse("after-each"))
    three.edit("task.md", " do: fail", "")
    three.commit("Mended")
    start = three.git("rev-parse", "HEAD")
    for disturb, options, said in REFUSED:
        disturb(three)
        before = three.git("for-each-ref"), three.git("status", "--porcelain")
        code, _, error = here("retry", "T101", *options)
        assert (code in {1, 2}, said in " ".join(error.split())) == (True, True), (said, error)
        assert (three.git("for-each-ref"), three.git("status", "--porcelain")) == before, said
        for name in ("GITBATCH_WORKTREES", "GITBATCH_WORKTREE", "GITBATCH_NOTIFY"):
            three.environment.pop(name, None)
            monkeypatch.delenv(name, raising=False)
        three.git("merge", "--abort", check=False)
        three.git("reset", "-q", "--hard", start)
    assert_advised_on_screen(three)
    monkeypatch.setattr(overlay, "_KNOWN", {})
    assert here("review", "T102", "--revise", "More.")[0] == 0
    remove_item(three, "T102")  # a run cancels it, and does the rest
    code, _, error = here("retry", "T101", "--max-cost", "5")
    assert (code in {0, 3}, ticked(three)[0]) == (True, "T101"), error
    assert overlay._KNOWN.keys()
    assert "None: None" not in overlay._KNOWN.values(), "the run takes what the checks have found out"


def assert_advised_on_screen(workspace: Workspace) -> None:
    """Where no option can be given, the advice names the key, and the command for what is left."""
    settings = session_settings(workspace, limits=SpendingLimits(0.25))
    checks = RerunChecks(settings, can_ask=True, without_run="q", has_limits=False)
    with closing(open_repository(workspace.root, read_only=True)) as repo:
        found = find_reviewable(repo)
        with pytest.raises(GitbatchError) as refused:
            checks.require_start(repo, found.batch, found.state, ())
    assert refused.value.message.startswith("$0.50 of $0.25 are spent")
    assert refused.value.advice.endswith("without a run (q), then: gitbatch run --max-cost USD")
