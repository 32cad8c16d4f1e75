"""The sheet of a review: the items of a batch with all that a decision of a person needs.

A sheet is a value: it says what the branch had when it was read. A choice names the version and the standing decision
that it was made on, so that it is refused if the branch has others by then.
"""

from collections.abc import Mapping

from msgspec import Struct

from gitbatch.batch.events import EarlyWork
from gitbatch.batch.group.line_counts import count_lines
from gitbatch.batch.group.review import find_decision_problem
from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.history.early_work import find_early_work
from gitbatch.batch.history.ledger import LedgerEntries, read_ledger
from gitbatch.batch.history.reads import RecordedItem, read_recorded_items
from gitbatch.batch.history.spending import read_all_versions, read_spending
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.line_count import LineCount
from gitbatch.batch.model import BatchItem, ItemStatus
from gitbatch.batch.planning.freed import BlockedItem, find_blocked_items
from gitbatch.batch.planning.stale import find_stale_among
from gitbatch.batch.resume import find_commit_before
from gitbatch.batch.review.approval import requires_approval
from gitbatch.batch.review.item import REOPENED, ReviewItem
from gitbatch.batch.review.reviewable import Reviewable, find_reviewable, list_review_items
from gitbatch.limits.usage import Spent
from gitbatch.plan.model import ItemKey
from gitbatch.repo.private_dir import read_diff
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text


class SheetItem(Struct, frozen=True):
    """An item that has a checkpoint, as a review shows it."""

    item: BatchItem
    state: ReviewItem
    title: CleanText
    problems: Mapping[DecisionKind, str]
    """Why a decision about it is not possible; a kind that is possible is left out."""
    is_current: bool = True
    """Whether its group came after the last pause before this one."""
    lines: LineCount | None = None
    """Of the last version of its output; None: unknown, or it has none."""
    spent: Spent | None = None
    """All that it used so far; None: unknown."""

    @property
    def key(self) -> ItemKey:
        """Returns the key that the item is known by inside the program."""
        return self.item.key

    @property
    def is_undecided(self) -> bool:
        """Whether it has succeeded and no decision stands about it: `review.require-approval` waits for one."""
        return self.state.status == ItemStatus.SUCCEEDED and self.state.decision is None

    @property
    def is_failure(self) -> bool:
        """Whether it did not succeed, and no person has taken it back."""
        return self.state.status not in {ItemStatus.SUCCEEDED, ItemStatus.REJECTED, REOPENED}


class ReviewSheet(Struct, frozen=True):
    """The items of a batch that have a checkpoint: failures first, then what is undecided, then the others."""

    batch: str
    target: str
    """The branch, a full ref name."""
    number: int
    """The position of the last group that has a checkpoint; 0: none has."""
    of: int
    group: CleanText
    """The title of that group."""
    before: str
    """The commit of the branch before the groups since the last pause."""
    groups: int
    """How many groups came after the last pause before this one."""
    items: tuple[SheetItem, ...]
    requires_approval: bool = False
    """Whether the batch continues only when every item is decided."""
    blocked: tuple[BlockedItem, ...] = ()
    """The items that did not start, in the order of the plan."""
    early: EarlyWork = EarlyWork()
    """The items of later groups that are done already."""
    recorded: tuple[RecordedItem, ...] = ()
    """The items whose outputs are in history, with what each has read."""


def read_sheet(repo: Repository) -> ReviewSheet:
    """Returns the sheet of the batch that decisions go to. Changes nothing.

    Raises:
        GitbatchError: no batch has run, or the branch does not have its last commit any more.
    """
    found = find_reviewable(repo)
    record, finished = found.batch.record, found.state.finished
    last = finished[-1].group if finished else None
    number = record.position_of(last) if last else 0
    mode = record.checkpoint_mode
    earlier = max((n for n in range(1, number) if mode.pauses_after(n)), default=0)
    current = frozenset(group.number for group in record.groups[earlier:number])
    first = next((f.commit for f in finished if f.group.number in current), "")
    recorded = read_recorded_items(repo, found.batch, found.state)
    entries = read_ledger(repo, found.batch.id)
    return ReviewSheet(
        batch=found.batch.id,
        target=record.target,
        number=number,
        of=len(record.groups),
        group=clean_text(last.title if last else ""),
        before=find_commit_before(repo, found.batch.id, first) if first else found.batch.base,
        groups=len(current),
        items=tuple(sorted(_list_items(repo, found, current, (recorded, entries)), key=_rank_item)),
        requires_approval=requires_approval(repo, found.batch),
        early=find_early_work(repo, found.batch, found.state, entries),
        blocked=find_blocked_items(repo, found.batch, found.state),
        recorded=recorded,
    )


def _rank_item(item: SheetItem) -> int:
    if item.is_failure and item.state.decision is None:
        return 0
    return (1 if item.is_undecided else 3) + (not item.is_current)


def _list_items(
    repo: Repository,
    found: Reviewable,
    current: frozenset[int],
    read: tuple[tuple[RecordedItem, ...], LedgerEntries],
) -> list[SheetItem]:
    batch, state, (recorded, entries) = found.batch, found.state, read
    commits = {o.item.key: str(o.commit) for o in read_all_versions(repo, batch, state) if o.commit}
    counts = count_lines(repo, tuple(commits.values())) if commits else {}
    spending = read_spending(repo, batch, state, entries)
    stale = {each.slug for each in find_stale_among(repo, batch, recorded)}
    listed = []
    for shown, item in zip(list_review_items(repo, found), found.items.values(), strict=True):
        problems = {kind: find_decision_problem(state, item, kind) for kind in DecisionKind}
        if item.key in stale:
            del problems[DecisionKind.RETRY]
        spent = spending.get(item.key)
        listed.append(
            SheetItem(
                item,
                shown,
                clean_text(item.title),
                {kind: problem for kind, problem in problems.items() if problem},
                item.group in current,
                counts.get(commits.get(item.key, "")),
                spent.spent if spent else None,
            )
        )
    return listed


def read_item_diff(repo: Repository, sheet: ReviewSheet, item: SheetItem, base: str, commit: str) -> bytes:
    """Returns what an item changed as a patch: with what was changed in its file since, if the branch has the file.

    Args:
        repo: the repository.
        sheet: the sheet that the item is on.
        item: the item.
        base: the parent of its last commit.
        commit: its last commit, or the one that keeps the output of a failed attempt; empty: it has none.
    """
    if not commit:
        return b""
    has_file = item.state.blob is not None and not item.is_failure
    return read_diff(repo, base, require_tip(repo, sheet.target) if has_file else commit, item.item.output)
