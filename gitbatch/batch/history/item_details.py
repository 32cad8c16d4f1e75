"""Everything that git knows of one item: its commit, what its agent read and said, and its attempts.

Any process of the user's may write refs and commits, so every text is cleaned and every form is checked.
"""

from collections.abc import Iterator
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.protocol import Contribution, ReplyFlag
from gitbatch.batch.history.decisions import DecisionKind, ItemName
from gitbatch.batch.history.given_outputs import OutputsReader
from gitbatch.batch.history.item_message import parse_item_message
from gitbatch.batch.history.ledger import LedgerEntries
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.rescue import find_rescued
from gitbatch.batch.history.review_message import parse_review_message
from gitbatch.batch.history.spending import read_all_versions
from gitbatch.batch.history.standings import ItemStanding
from gitbatch.batch.model import BatchItem, FailedAttempt, ItemCommit, ItemStatus, Outcome
from gitbatch.checks.verdict import CheckResult
from gitbatch.errors import GitError, UsageError
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.plan.spelling import nearest
from gitbatch.project.context import MissingInput
from gitbatch.repo.log import read_first_parents
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.refs.names import end_ref
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text, list_names

_EDITS = 2


class GivenFile(Struct, frozen=True):
    """A file that an agent was given to read."""

    path: str
    blob: str


class AttemptDetails(Struct, frozen=True):
    """An attempt at an item."""

    number: int
    """From 1; an attempt that was interrupted has the number of the next one."""
    status: ItemStatus
    cause: Cause | None
    """Why it failed; null if it succeeded, or was interrupted."""
    reason: CleanText
    """Empty if it succeeded."""
    details: tuple[CleanText, ...]
    """The last lines that its agent wrote to standard error, or what its checks found."""
    strays: tuple[CleanText, ...]
    """Other files that the agent left in its worktree."""
    seconds: float
    usage: Usage
    checks: tuple[CheckResult, ...]
    host: CleanText = CleanText("")
    """The other machine that its agent worked on; empty: this one."""
    repetition: int = 0
    """0: of the item's first run; else how often a review had made it run again."""


class PersonDecision(Struct, frozen=True):
    """What a person decided about an item in a review."""

    kind: DecisionKind
    comment: str
    """May have several lines."""
    commit: str
    """The commit of the review."""
    agent: str = ""
    """The agent that was chosen for the next run; empty: none was."""
    author: CleanText = CleanText("")
    """Who decided: the author of that commit, by name."""


class ItemDetails(Struct, frozen=True):
    """An item of a batch, in full."""

    title: CleanText
    commit: str = ""
    """The item's commit, or the one that keeps the output of a failed attempt; empty if it has no output."""
    base: str = ""
    """The parent of that commit."""
    blob: str = ""
    """The output."""
    is_finished: bool = False
    """Whether the commit is that of a finished item."""
    agent: CleanText = CleanText("")
    host: CleanText = CleanText("")
    """The other machine that it worked on; empty: this one."""
    summary: CleanText = CleanText("")
    decisions: tuple[CleanText, ...] = ()
    """Of the agent."""
    contributions: tuple[Contribution, ...] = ()
    flags: tuple[ReplyFlag, ...] = ()
    context: tuple[GivenFile, ...] = ()
    """In the order in which the agent was given them."""
    missing: tuple[MissingInput, ...] = ()
    """Files that it was to read and did not get."""
    criteria: CleanText = CleanText("")
    """The Definition-of-Done entries that it names."""
    attempts: tuple[AttemptDetails, ...] = ()
    """Those that have ended."""
    checks: tuple[CheckResult, ...] = ()
    """Of its output."""
    reviews: tuple[PersonDecision, ...] = ()
    """Of a person, the oldest first."""
    versions: tuple[str, ...] = ()
    """The item's commits, the oldest first: more than one if it was sent back or run again."""
    is_early: bool = False
    """Whether that commit was written from what was there before the item's group began."""
    repeated_by: tuple[str, ...] = ()
    """The reviews that made it run again, the oldest first."""


def find_item(batches: tuple[Batch, ...], wanted: str) -> tuple[Batch, BatchItem]:
    """Returns the item that a word names, of the first batch that has one.

    Args:
        batches: in the order in which they are searched.
        wanted: an id in any case, a path, a group and a path (`2:docs/a.md`), or a key.

    Raises:
        UsageError: no batch has such an item, or a batch has several.
    """
    for batch in batches:
        found = [item for item in batch.record.items if _is_named(item, wanted)]
        if len(found) > 1:
            names = ", ".join(f"{item.group}:{item.output}" for item in found)
            raise UsageError(
                f"{clean_text(wanted)} is the output of {len(found)} items", f"name one: {names}"
            )
        if found:
            return batch, found[0]
    shown = clean_text(wanted)
    if not batches:
        raise UsageError(f"no batch has run here, so {shown} is unknown", "start one: gitbatch run")
    known = tuple(item.name for item in batches[0].record.items)
    meant = nearest(wanted, known, _EDITS)
    advice = f"did you mean {meant}?" if meant else f"items of batch {batches[0].id}: {list_names(known)}"
    raise UsageError(f"{shown} is not an item of a batch", advice)


def _is_named(item: BatchItem, wanted: str) -> bool:
    return wanted in {item.output, item.slug, f"{item.group}:{item.output}"} or (
        wanted.casefold() == item.name.casefold()
    )


def read_item_details(
    repo: Repository, batch: Batch, item: BatchItem, state: BatchProgress, entries: LedgerEntries
) -> ItemDetails:
    """Returns an item in full, from git alone."""
    standing = next(
        (g.standings[item.key] for g in state.finished if item.key in g.standings), ItemStanding()
    )
    parts = entries.split_item(item.key, standing.reviews)
    versions = [each for each in read_all_versions(repo, batch, state) if each.item == item and each.commit]
    outcome = versions[-1] if versions else None
    rescued = None if outcome else find_rescued(repo, batch.id, item)
    commit = outcome.commit if outcome else rescued.commit if rescued else None
    attempts = tuple(_list_attempts(parts, standing.phases, versions))
    found = ItemDetails(
        title=clean_text(item.title),
        attempts=attempts,
        checks=attempts[-1].checks if attempts else (),
        reviews=tuple(_find_reviews(repo, batch, item)),
        versions=tuple(str(each.commit) for each in versions),
        repeated_by=standing.reviews,
        is_finished=outcome is not None,
    )
    return _add_commit(repo, batch, found, commit) if commit else found


def _list_attempts(
    parts: tuple[tuple[FailedAttempt, ...], ...], phases: tuple[str, ...], versions: list[Outcome]
) -> Iterator[AttemptDetails]:
    """Yields the attempts at an item: those that failed, and for each run that has a version, the one that made it."""
    left = list(versions)
    for number, (part, brought) in enumerate(zip(parts, phases, strict=True)):
        failed = tuple(map(_describe_failed, part))
        is_last = number == len(phases) - 1  # its version may not be merged
        made = (_describe_last(left.pop(0), failed),) if left and (brought or is_last) else ()
        yield from (replace(each, repetition=number) for each in (*failed, *made))


def _add_commit(repo: Repository, batch: Batch, details: ItemDetails, commit: ItemCommit) -> ItemDetails:
    """Returns details with what the message of a commit states."""
    made = repo.objects.read_commit(commit)
    trailers, reply = parse_item_message(made.message)
    given = OutputsReader(repo.objects).read_context(made, trailers, batch.record.plan_path)
    said = reply if details.is_finished else None
    return replace(
        details,
        commit=str(commit),
        base=commit.base,
        blob=commit.blob,
        agent=clean_text(trailers.first_value("Agent")),
        host=clean_text(trailers.first_value("Host")),
        summary=said.summary if said else CleanText(""),
        decisions=said.decisions if said else (),
        contributions=said.contributions if said else (),
        flags=said.flags if said else (),
        context=tuple(GivenFile(path, blob) for path, blob in given.items()),
        missing=trailers.missing,
        criteria=clean_text(trailers.first_value("DoD")),
        is_early=bool(trailers.plan_item),
    )


def _describe_failed(tried: FailedAttempt) -> AttemptDetails:
    return AttemptDetails(
        number=tried.number,
        status=tried.status,
        cause=tried.cause,
        reason=clean_text(tried.reason),
        details=tuple(map(clean_text, tried.details)),
        strays=tuple(map(clean_text, tried.strays)),
        seconds=tried.seconds,
        usage=tried.usage,
        checks=tried.checks,
        host=clean_text(tried.host),
    )


def _describe_last(outcome: Outcome, before: tuple[AttemptDetails, ...]) -> AttemptDetails:
    """Returns the attempt that made an item's commit, which has the sums of all attempts."""
    usage = outcome.spent.usage
    for tried in before:
        usage = usage.without(tried.usage)
    return AttemptDetails(
        number=outcome.attempts,
        status=ItemStatus.SUCCEEDED,
        cause=None,
        reason=CleanText(""),
        details=(),
        strays=outcome.strays,
        seconds=max(0.0, round(outcome.seconds - sum(tried.seconds for tried in before), 3)),
        usage=usage,
        checks=outcome.checks,
        host=outcome.host,
    )


def _find_reviews(repo: Repository, batch: Batch, item: BatchItem) -> Iterator[PersonDecision]:
    """Yields the decisions about an item that the target branch has, up to the end of the batch if it has ended."""
    tip = batch.last or repo.refs.read(end_ref(batch.id) if batch.ended else batch.record.target)
    name = ItemName(item.group, item.output)
    with suppress(GitError, MissingObjectError):  # pruned: then nothing is known
        for entry in read_first_parents(repo.root, batch.base, tip) if tip else ():
            if f"Gitbatch-Batch: {batch.id}" not in entry.message:
                continue
            for decision in parse_review_message(entry.message):
                if decision.item == name:
                    author = clean_text(entry.author)
                    yield PersonDecision(decision.kind, decision.comment, entry.oid, decision.agent, author)
