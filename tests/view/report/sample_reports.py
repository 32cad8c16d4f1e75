"""Reports of any size, with the same text wherever a report has text."""

from msgspec.structs import replace

from gitbatch.agents.protocol import Contribution, Reply, ReplyFlag
from gitbatch.batch.history.decisions import DecisionKind, ItemDecision, ItemName
from gitbatch.batch.history.trailers import Kind
from gitbatch.batch.model import BatchItem, FailedAttempt, ItemStatus
from gitbatch.batch.report.model import (
    BatchReport,
    CriterionItem,
    ModelSpent,
    ReportCheckpoint,
    ReportCommit,
    ReportCriterion,
    ReportGroup,
    ReportItem,
    ReportReview,
)
from gitbatch.batch.verdicts import GateState, GateVerdict
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Spent, Usage
from gitbatch.plan.model import ItemKey
from gitbatch.project.context import InputProblem, MissingInput
from gitbatch.text import CleanText

STARTED = 1_767_323_045.0
SECONDS = 40.0


def make_report(said: str = "Wrote it.", groups: int = 3, items: int = 4) -> BatchReport:
    """Returns the report of a batch whose texts are all `said`: of agents, of the plan, of people, and its paths too.

    The last item of each group failed; each item reads what the first three of the group before wrote.
    """
    text = CleanText(said)  # on purpose not a clean one: the page does not rely on it
    made = tuple(_make_group(text, number, groups, items) for number in range(1, groups + 1))
    decided = ItemDecision(DecisionKind.REVISE, ItemName(1, _path(text, 1, 1)), None, f"{text}\n\n{text}")
    review = ReportReview(_make_commit(text, 9, 0, Kind.REVIEW), (1, groups), (decided,))
    commits = (*(c.commit for group in made for c in group.checkpoints), review.commit)
    criterion = ReportCriterion(1, text, done=False, items=(CriterionItem(1, text, False),))
    return BatchReport(
        batch="20260102-030405-0000",
        repository=text,
        target=f"refs/heads/{text}",
        plan=text,
        phase=text,
        mode=text,
        agent=text,
        started=STARTED,
        ended=True,
        base="b" * 40,
        tip=commits[-1].oid,
        groups=made,
        reviews=(review,),
        criteria=(criterion, ReportCriterion(2, text, done=True, items=())),
        models=(ModelSpent(text, 1, Spent(Usage(text, input=1, requests=1, cost=0.5), 1)),),
        commits=(*commits, _make_commit(text, 8, 0, None)),
    )


def make_large_report() -> BatchReport:
    """Returns the report of a thousand items in ten groups, each with a summary of 250 characters."""
    report = make_report("Wrote the page of a module.", groups=10, items=100)
    groups = (replace(group, items=tuple(map(_extend_summary, group.items))) for group in report.groups)
    return replace(report, groups=tuple(groups))


def _extend_summary(item: ReportItem) -> ReportItem:
    summary = CleanText(("Wrote the page of a module. " * 9)[:250])
    return replace(item, reply=item.reply and replace(item.reply, summary=summary))


def _path(text: str, group: int, at: int) -> str:
    return f"out/{_name(text)}/{group}-{at}.md"


def _name(text: str) -> str:
    """Returns a text as a part of a path: git's bytes never become half of a pair of surrogates."""
    return text.encode("utf-8", "replace").decode()


def _make_commit(text: CleanText, group: int, at: int, kind: Kind | None) -> ReportCommit:
    later = group * SECONDS * 2 + at % 7
    return ReportCommit(f"{group:020x}{at:020x}", kind, text, STARTED + later, text)


def _make_group(text: CleanText, number: int, groups: int, items: int) -> ReportGroup:
    made = (*(_make_done(text, number, at) for at in range(1, items)), _make_failed(text, number, items))
    commit = _make_commit(text, number, 0, Kind.CHECKPOINT)
    gate = GateVerdict(text, GateState.RED_BEFORE, "c" * 40, 1.0, 1, text)
    checkpoint = ReportCheckpoint(commit, (number, groups), 0, items - 1, 1, (gate,))
    revision = ReportCheckpoint(
        _make_commit(text, number + 100, 0, Kind.CHECKPOINT), (number, groups), 1, 1, 0, ()
    )
    return ReportGroup(number, text, made, (checkpoint, revision) if number == 1 else (checkpoint,))


def _make_done(text: CleanText, group: int, at: int) -> ReportItem:
    flags = (ReplyFlag.SUMMARY_SHORT,)
    read = tuple((_path(text, group - 1, number), "d" * 40) for number in range(1, 4)) if group > 1 else ()
    decision = ItemDecision(DecisionKind.APPROVE, ItemName(group, _path(text, group, at)), None)
    return ReportItem(
        item=BatchItem(_path(text, group, at), f"{text}{at}", text, f"{group}-{at}", group),
        status=ItemStatus.SUCCEEDED,
        commit=_make_commit(text, group, at, Kind.ITEM),
        earlier=(_make_commit(text, group + 50, at, Kind.ITEM),) if at == 1 else (),
        agent=text,
        model=text,
        reply=Reply(text, (text,), (Contribution(text, text),), flags=flags),
        attempts=1,
        spent=Spent(Usage(text, input=1000, output=200, requests=2, cost=0.0125), 1),
        seconds=SECONDS / 2,
        waited=3.0,
        checks=(CheckResult(text, CheckVerdict.PASS, 0.5),),
        context=((f"{_name(text)}.md", "e" * 40), *read),
        missing=(MissingInput(_name(text), InputProblem.NOT_FOUND, text),),
        decisions=(decision,) if at == 1 else (),
    )


def _make_failed(text: CleanText, group: int, at: int) -> ReportItem:
    key = ItemKey(f"{group}-{at}")
    check = CheckResult(text, CheckVerdict.RED, 0.5, text, (text,))
    tried = FailedAttempt(
        key, "", 1, ItemStatus.FAILED, Cause.CHECK_FAILED, text, (text, text), (text,), 1.0, checks=(check,)
    )
    return ReportItem(
        item=BatchItem(_path(text, group, at), f"{text}{at}", text, str(key), group),
        status=ItemStatus.FAILED,
        reason=text,
        attempts=1,
        failed=(tried,),
        spent=Spent(Usage(), 0, 1),
        seconds=1.0,
        kept=f"refs/gitbatch/{text}",
    )
