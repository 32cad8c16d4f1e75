"""Taking items back in a review: the versions that are taken back, and what their paths had before them.

An item's path is put back blob by blob: never by `git revert`, as a branch whose merge was reverted loses changes when it
is merged again. A path that the user or a later item has changed since is a conflict: it is named, and nothing moves.
"""

import shlex
from collections.abc import Mapping

from msgspec import Struct

from gitbatch.batch.history.decisions import ItemDecision, ItemName
from gitbatch.batch.history.progress import BatchProgress, FinishedGroup
from gitbatch.batch.history.put_back import BroughtVersion, unwind_versions
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.spending import read_brought
from gitbatch.batch.model import BatchItem, Outcome, Record
from gitbatch.errors import GitbatchError
from gitbatch.paths import quote_path
from gitbatch.repo.checkout.follow import find_uncommitted
from gitbatch.repo.objects.codec import REGULAR, TreeEntry
from gitbatch.repo.repository import Repository
from gitbatch.text import list_names


class ReviewConflictError(GitbatchError):
    """A decision cannot be carried out, because the item's path has changed since."""


class TakenBack(Struct, frozen=True):
    """An item that a review takes back."""

    item: BatchItem
    decision: ItemDecision
    versions: tuple[Outcome, ...]
    """The versions of its output that are in history since its path was last put back, in order."""
    title: str
    """Of its group."""


def find_taken_back(
    repo: Repository, batch: Batch, state: BatchProgress, decisions: tuple[ItemDecision, ...]
) -> tuple[TakenBack, ...]:
    """Returns the items that decisions take back."""
    found = []
    for decision in decisions:
        if decision.kind.puts_back:
            finished = next(f for f in state.finished if f.group.number == decision.item.group)
            item = next(item for item in finished.group.items if item.output == decision.item.output)
            versions = tuple(read_own_versions(repo, batch, finished, item))
            found.append(TakenBack(item, decision, versions, finished.group.title))
    return tuple(found)


def read_own_versions(
    repo: Repository, batch: Batch, finished: FinishedGroup, item: BatchItem
) -> list[Outcome]:
    """Returns the versions of an item's output that are in history since its path was last put back, in order."""
    brought = (
        outcome
        for checkpoint in finished.standings[item.key].brought_by
        for outcome in read_brought(repo, batch, finished.group, checkpoint)
    )
    return [outcome for outcome in brought if outcome.item == item]


def find_put_back(repo: Repository, tree: str, taken: tuple[TakenBack, ...]) -> Mapping[str, str | None]:
    """Returns the paths of items that are taken back with the blobs that they had before; None: no file was there.

    Args:
        repo: the repository.
        tree: of the commit to build on.
        taken: the items; several may have the same path.

    Raises:
        ReviewConflictError: the user or a later item has changed one of them since. The message names them.
    """
    by_path: dict[str, list[tuple[BroughtVersion, ...]]] = {}
    for each in taken:
        versions = tuple(_as_version(repo, each.item.output, outcome) for outcome in each.versions)
        by_path.setdefault(each.item.output, []).append(versions)
    unwound = {
        path: unwind_versions(repo.objects.find_entry(tree, path), items) for path, items in by_path.items()
    }
    found = {path: each.entry for path, each in unwound.items() if each and _is_plain(each.entry)}
    if changed := tuple(each.item for each in taken if each.item.output not in found):
        raise _as_conflict(
            "changed by you or by a later item since the item wrote it",
            changed,
            "Put that file back yourself, or ",
        )
    return {path: entry.oid if entry else None for path, entry in found.items()}


def require_committed(repo: Repository, record: Record, decisions: tuple[ItemDecision, ...]) -> None:
    """Refuses to take a path back that has uncommitted changes in the checkout.

    Raises:
        ReviewConflictError: the message names the paths.
    """
    taken = {decision.item for decision in decisions if decision.kind.puts_back}
    items = tuple(item for item in record.items if ItemName(item.group, item.output) in taken)
    paths = tuple(dict.fromkeys(item.output for item in items))
    if repo.head_branch() == record.target and (changed := find_uncommitted(repo, paths)):
        raise _as_conflict(
            "changed by you in the checkout, and not committed",
            tuple(item for item in items if item.output in changed),
            f"Set it aside, then decide again: git stash push --include-untracked -- {shlex.join(changed)}\n"
            "or commit it, and ",
        )


def _as_conflict(what: str, items: tuple[BatchItem, ...], instead: str) -> ReviewConflictError:
    """Returns the error for items whose files stay. `instead`: what can be done before sending the item back."""
    names = list_names(tuple(dict.fromkeys(quote_path(item.output) for item in items)))
    back = f"send the item back: gitbatch review {shlex.quote(find_word(items[0]))} --edit"
    return ReviewConflictError(f"{what}: {names}", f"nothing was decided. {instead}{back}")


def find_word(item: BatchItem) -> str:
    """Returns the word that names an item alone on a command line: items of several groups may have one output. Pure."""
    return item.name if item.name != item.output else f"{item.group}:{item.output}"


def _as_version(repo: Repository, path: str, outcome: Outcome) -> BroughtVersion:
    commit = outcome.commit
    assert commit  # noqa: S101 - what a merge brings has a commit
    before = repo.objects.find_entry(repo.objects.tree_of(commit.base), path)
    return BroughtVersion(before, TreeEntry(REGULAR, path.rpartition("/")[2], commit.blob))


def _is_plain(entry: TreeEntry | None) -> bool:
    """Whether an entry can be put back: only regular files that are not executable are written."""
    return entry is None or entry.mode == REGULAR
