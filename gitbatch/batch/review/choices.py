"""The choices of a person about items: which items words name, and the choices that follow from others."""

from msgspec import Struct

from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.history.reads import find_dependants, read_recorded_items
from gitbatch.batch.model import BatchItem, ItemStatus
from gitbatch.batch.planning.freed import find_freed_items
from gitbatch.batch.planning.stale import find_stale_items
from gitbatch.batch.review.reviewable import Reviewable, list_review_items
from gitbatch.errors import UsageError
from gitbatch.plan.model import ItemKey
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text, list_names

LIST = "see what is to be decided: gitbatch review --list"
SHOW_BLOBS = "gitbatch review --list --json"


class Choice(Struct, frozen=True):
    """What a person chose for an item."""

    kind: DecisionKind
    item: BatchItem
    blob: str | None = None
    """The blob that the person saw; None: what the branch has now."""
    comment: str = ""
    agent: str | None = None
    """The agent of the next run; None: the one that the plan or the batch names."""
    runs_again: bool = False
    """Whether an item that is undone runs again."""
    review: str | None = None
    """The review whose decision the person saw, empty if none stood; None: whatever stands now."""

    @property
    def reopens(self) -> bool:
        """Returns true if the item runs again."""
        return self.kind.reopens or self.runs_again


def select_review_items(found: Reviewable, words: tuple[str, ...]) -> tuple[tuple[BatchItem, str], ...]:
    """Returns the items that words name, each with the blob that was named with it (`ITEM@BLOB`); empty: none was.

    A word is the id of an item in any case, its slug, its output, or the number of its group and its output (`2:docs/a.md`).

    Raises:
        UsageError: a word names no item that has a checkpoint, or several, or ends where its blob should follow.
    """
    return tuple(_select_item(found, word) for word in words)


def _select_item(found: Reviewable, word: str) -> tuple[BatchItem, str]:
    name, _, blob = word.rpartition("@")
    for wanted, seen in ((word, ""), (name, blob)):
        items = [
            item
            for item in found.items.values()
            if wanted
            and (
                wanted in {item.output, item.slug, f"{item.group}:{item.output}"}
                or wanted.casefold() == item.name.casefold()
            )
        ]
        if len(items) > 1:
            names = list_names(tuple(item.slug for item in items))
            raise UsageError(f"{clean_text(word)} names several items", f"name one of: {names}")
        if items and name and not blob and wanted == name:  # a variable that is not set would be no condition
            raise UsageError(f"{clean_text(word)} names no blob", f"after @ comes one, as in: {SHOW_BLOBS}")
        if items:
            return items[0], seen
    raise UsageError(f"no item with a checkpoint is called {clean_text(word)}", LIST)


def select_failed(found: Reviewable) -> tuple[BatchItem, ...]:
    """Returns the items with a checkpoint that did not succeed, without those that a review took back."""
    return tuple(outcome.item for outcome in found.state.failed if outcome.status.is_failure)


def select_stale(repo: Repository, found: Reviewable) -> tuple[BatchItem, ...]:
    """Returns the items that were written from other versions of files than the branch has by now."""
    return tuple(found.items[stale.slug] for stale in find_stale_items(repo, found.batch, found.state))


def choose_freed(repo: Repository, found: Reviewable, retried: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """Returns choices for the blocked items that lack nothing but what items write that run again: they run too."""
    items = tuple(choice.item for choice in retried)
    freed = find_freed_items(repo, found.batch, found.state, items)
    return tuple(Choice(DecisionKind.RETRY, item) for item in freed)


def choose_dependants(repo: Repository, found: Reviewable, undone: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """Returns choices for the items that have read what is undone, or what those wrote: undone too, to run again."""
    recorded = read_recorded_items(repo, found.batch, found.state)
    items = find_dependants(recorded, (choice.item.key for choice in undone))
    return tuple(Choice(DecisionKind.UNDO, item, runs_again=True) for item in items)


def select_group(found: Reviewable, number: int) -> tuple[BatchItem, ...]:
    """Returns the items of the checkpoint with that number, and of its revisions, whose outputs are in history.

    Raises:
        UsageError: the batch has no such checkpoint.
    """
    record = found.batch.record
    finished = next((f for f in found.state.finished if record.position_of(f.group) == number), None)
    if finished is None:
        raise UsageError(f"batch {record.batch} has no checkpoint {number}", LIST)
    return tuple(item for item in finished.group.items if finished.standings[item.key].brought_by)


def select_last(found: Reviewable) -> tuple[BatchItem, ...]:
    """Returns the items whose outputs the last checkpoint brought, of a group or of a revision, and that are in history."""
    oid = found.state.last_checkpoint
    return tuple(
        item
        for finished in found.state.finished
        for item in finished.group.items
        if finished.standings[item.key].brought_by[-1:] == (oid,)
    )


def choose_rest(repo: Repository, found: Reviewable, chosen: frozenset[ItemKey]) -> tuple[Choice, ...]:
    """Returns an approval of each item that succeeded, that no decision stands about, and that is not chosen."""
    return tuple(
        Choice(DecisionKind.APPROVE, found.items[ItemKey(shown.slug)])
        for shown in list_review_items(repo, found)
        if shown.status == ItemStatus.SUCCEEDED and shown.decision is None and shown.slug not in chosen
    )
