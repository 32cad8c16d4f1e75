"""The report of a batch as values: all of it from git, whatever has become of the process that ran it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conftest import Workspace
from reviews import APPROVE, REJECT, REVISE, decide

from gitbatch.batch.history.decisions import ItemDecision, ItemName
from gitbatch.batch.history.record import all_batches
from gitbatch.batch.history.trailers import Kind
from gitbatch.batch.model import BatchItem, FailedAttempt, ItemStatus
from gitbatch.batch.report.batch_report import read_report
from gitbatch.batch.report.items import sum_models
from gitbatch.batch.report.model import BatchReport, ReportItem
from gitbatch.batch.verdicts import GateState
from gitbatch.checks.verdict import CheckVerdict
from gitbatch.limits.usage import Spent, Usage
from gitbatch.plan.model import ItemKey
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text

CHECKS = """
[checks.words]
command = ["true"]
sandbox = "none"
on = ["out/letters/*.md"]

[gates.all]
command = ["true"]
sandbox = "none"
"""


@contextmanager
def opened(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    repo = open_repository(workspace.root, read_only=True)
    try:
        yield repo
    finally:
        repo.close()


def read_last(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> BatchReport:
    """Returns the report of the last batch."""
    with opened(workspace, monkeypatch) as repo:
        return read_report(repo, all_batches(repo)[-1])


def assert_items(
    workspace: Workspace, items: tuple[ReportItem, ...], base: str, decision: ItemDecision
) -> None:
    """The items of the first group are as the run left them: the first one is done and approved, the second one failed."""
    done, failed = items
    assert (done.status, done.succeeded, done.is_failure) == (ItemStatus.SUCCEEDED, True, False)
    assert done.commit
    assert workspace.git("show", "-s", "--format=%s", done.commit.oid) == done.item.title
    assert done.commit.committer == "Test User"
    assert done.agent == "scripted"
    assert done.reply
    assert done.reply.summary
    assert dict(done.context)["rules.md"] == workspace.git("rev-parse", f"{base}:rules.md")
    assert [(check.name, check.verdict) for check in done.checks] == [("words", CheckVerdict.PASS)]
    assert done.decisions == (decision,)
    assert (failed.status, failed.commit, failed.decisions) == (ItemStatus.FAILED, None, ())
    assert failed.reason
    assert len(failed.failed) == failed.attempts == 1


def test_report(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    three.write("gitbatch.toml", three.read("gitbatch.toml") + CHECKS)
    three.edit("task.md", "Write b →", "Write b do: fail →")
    base = three.commit()
    three.gitbatch("run", "--items", "T101,T102,T301", "--checkpoint", "after-each", code=3)
    blob = three.git("rev-parse", "HEAD:out/letters/a.md")
    decision = ItemDecision(APPROVE, ItemName(1, "out/letters/a.md"), blob, "Good.\n\nKeep it.")
    review = decide(three, (APPROVE, "T101"), comment=decision.comment).commit
    three.write("own.txt", "of the user")
    own = three.commit("A commit of the user")
    before = three.state()
    report = read_last(three, monkeypatch)
    assert three.state() == before

    assert (report.repository, report.plan, report.mode, report.ended) == (
        "repo",
        "task.md",
        "after-each",
        False,
    )
    assert (report.base, report.tip, report.target) == (base, own, "refs/heads/main")
    kinds = [commit.kind for commit in report.commits]
    assert kinds == [Kind.MERGE, Kind.CHECKPOINT, Kind.REVIEW, None]
    letters, pairs = report.groups
    (checkpoint,) = letters.checkpoints
    assert (checkpoint.position, checkpoint.succeeded, checkpoint.failed) == ((1, 2), 1, 1)
    assert [(gate.name, gate.state) for gate in checkpoint.gates] == [("all", GateState.PASSED)]
    assert pairs.checkpoints == ()
    assert (pairs.began, letters.began > 0) == (0.0, True)

    assert_items(three, letters.items, base, decision)
    assert [item.status for item in pairs.items] == [None]

    (given,) = report.reviews
    assert (given.commit.oid, given.decisions, given.position) == (review, (decision,), (1, 2))
    first, _, crossing = report.criteria
    assert [(item.name, item.group, item.done) for item in first.items][:2] == [
        ("T101", 1, True),
        ("T102", 1, False),
    ]
    assert (first.done, crossing.items) == (False, ())

    shutil.rmtree(three.root / ".git" / "gitbatch")
    assert read_last(three, monkeypatch) == report
    three.gitbatch("abort", "--yes", code=0)
    after = decide(three, (APPROVE, "T101")).commit
    three.write("own.txt", "later")
    three.commit("A later commit of the user")
    ended = read_last(three, monkeypatch)
    assert ended.ended
    assert ended.tip == after
    assert len(ended.reviews) == 2


def test_what_was_rejected_or_sent_back(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    three.gitbatch("run", "--items", "T101,T102,T301", "--checkpoint", "after-each", code=3)
    before = read_last(three, monkeypatch).groups[0].items
    decide(three, (REJECT, "T101"), (REVISE, "T102"), comment="Say more.")
    rejected, revised = read_last(three, monkeypatch).groups[0].items
    assert (rejected.status, rejected.is_failure, rejected.succeeded) == (ItemStatus.REJECTED, False, False)
    assert (revised.status, [d.kind for d in revised.decisions]) == (None, [REVISE])
    assert [item.commit for item in before] == [rejected.commit, revised.commit]


def test_where_the_branch_is_gone_the_end_counts(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    three.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", code=0)
    report = read_last(three, monkeypatch)
    three.git("checkout", "--quiet", "--orphan", "other")
    three.git("commit", "--quiet", "--message", "Another history")
    three.git("branch", "--delete", "--force", "main")
    assert read_last(three, monkeypatch) == report
    three.git("branch", "main")
    assert read_last(three, monkeypatch) == report
    assert [criterion.number for criterion in report.criteria] == [1, 2, 3]


def test_plan_that_cannot_be_read(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is as it was; only its Definition of Done is unknown."""
    three.gitbatch("run", "--items", "T101,T301", "--checkpoint", "after-each", code=3)
    before = read_last(three, monkeypatch)
    three.git("rm", "--quiet", "task.md")
    three.git("commit", "--quiet", "--message", "Without a plan")
    after = read_last(three, monkeypatch)
    assert (after.criteria, after.groups) == ((), before.groups)


def attempt(cost: float | None, model: str, tokens: int) -> FailedAttempt:
    usage = Usage(clean_text(model), input=tokens, requests=1, cost=cost)
    return FailedAttempt(ItemKey("1-a"), "", 1, ItemStatus.FAILED, None, clean_text("it broke"), usage=usage)


def test_usage_by_model() -> None:
    """A failed attempt counts for its own model, and an item that is done for the rest of what it used."""
    item = BatchItem("a.md", "A", "A", "1-a", 1)
    tried = (attempt(0.5, "small", 10), attempt(None, "small", 5))
    total = Spent(Usage(clean_text("large"), input=115, requests=3, cost=2.0), 2, 1)
    done = ReportItem(item=item, model=clean_text("large"), failed=tried, spent=total)
    other = ReportItem(item=BatchItem("b.md", "B", "B", "1-b", 1), spent=Spent(Usage(), 0, 1))
    large, small = sum_models((done, other))
    assert (large.model, large.items, large.spent.usage.input, large.spent.usage.cost) == (
        "large",
        1,
        100,
        1.5,
    )
    assert (large.spent.known, large.spent.unknown) == (1, 0)
    assert (small.model, small.items, small.spent.usage.input, small.spent.unknown) == ("small", 1, 15, 1)


def test_revision(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """An item that was sent back has two commits, and its group two checkpoints."""
    three.gitbatch("run", "--items", "T101,T102,T301", "--checkpoint", "after-each", code=3)
    (first, _), _ = (group.items for group in read_last(three, monkeypatch).groups)
    decide(three, (REVISE, "T101"), comment="Say more.")
    three.edit("tools/agent.sh", "printf '# %s", "printf '# More of %s")
    three.commit()
    three.gitbatch("run", "--continue", code=3)
    (letters, _) = read_last(three, monkeypatch).groups
    assert [checkpoint.revision for checkpoint in letters.checkpoints] == [0, 1]
    revised, other = letters.items
    assert (revised.status, [d.kind for d in revised.decisions]) == (ItemStatus.SUCCEEDED, [REVISE])
    assert revised.commit
    assert revised.earlier == (first.commit,)
    assert revised.commit.oid != revised.earlier[0].oid
    assert other.earlier == ()
