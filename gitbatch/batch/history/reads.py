"""The files that the recorded items of a batch were written from, derived from the trailers of their commits alone.

An item is stale if the branch has another version of a file that it read than the one that it read. A later item that
wrote the same path by plan makes no earlier reader stale: its versions are looked through.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct

from gitbatch.batch.history.given_outputs import OutputsReader
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.spending import read_brought
from gitbatch.batch.history.trailers import parse_trailers
from gitbatch.batch.model import BatchItem, ItemCommit
from gitbatch.plan.model import ItemKey
from gitbatch.project.manifest import NO_OUTPUTS, EarlierOutputs
from gitbatch.repo.repository import Repository


class RecordedVersion(Struct, frozen=True):
    """A version of an item's output that is in history."""

    commit: str
    blob: str
    before: str | None
    """What its path had where the item started; None: no file."""
    read: Mapping[str, str]
    """The blobs of the files that its agent was given, by path."""
    lacked: tuple[str, ...] = ()
    """The files that it was to read and that were missing."""
    shared: EarlierOutputs = NO_OUTPUTS
    """The outputs of earlier groups that it was given besides, as all items of its group; its own is left out."""


class RecordedItem(Struct, frozen=True):
    """An item whose output is in history, with its versions since its path was last put back, in order."""

    item: BatchItem
    versions: tuple[RecordedVersion, ...]
    is_final: bool = True
    """Whether it succeeded at last, and does not run again."""

    @property
    def last(self) -> RecordedVersion:
        """The version that is in history now."""
        return self.versions[-1]


class StaleInput(Struct, frozen=True):
    """A file that an item read, of which the branch has another version by now."""

    path: str
    read: str | None
    """The blob that the item read; null: the file was missing."""
    now: str | None
    """The blob that the item would read now; null: the file is missing."""


class StaleItem(Struct, frozen=True):
    """An item whose output was written from other versions of files than the branch has by now."""

    group: int
    """The number of its group in the plan."""
    item: str
    """Its output."""
    name: str
    slug: ItemKey
    commit: str
    """The item's commit."""
    inputs: tuple[StaleInput, ...]


def read_recorded_items(repo: Repository, batch: Batch, state: BatchProgress) -> tuple[RecordedItem, ...]:
    """Returns the items of a batch whose outputs are in history, in the order of the plan."""
    found, outputs = [], OutputsReader(repo.objects)
    for finished in state.finished:
        checkpoints = (finished.commit, *finished.revisions)
        brought: dict[tuple[str, ItemKey], list[ItemCommit]] = {}
        for oid in checkpoints:
            for outcome in read_brought(repo, batch, finished.group, oid):
                if outcome.commit:
                    brought.setdefault((oid, outcome.item.key), []).append(outcome.commit)
        failed, reopened = {outcome.item.key for outcome in finished.failed}, finished.reopened
        for item in finished.group.items:
            own = (brought.get((oid, item.key), ()) for oid in finished.standings[item.key].brought_by)
            versions = tuple(
                _read_version(outputs, batch, item, commit) for commits in own for commit in commits
            )
            is_final = item.key not in failed and item.key not in reopened
            found.append(RecordedItem(item, versions, is_final))
    return tuple(each for each in found if each.versions)


def _read_version(
    outputs: OutputsReader, batch: Batch, item: BatchItem, commit: ItemCommit
) -> RecordedVersion:
    objects = outputs.objects
    made = objects.read_commit(commit)
    trailers = parse_trailers(made.message)
    before = objects.find_entry(objects.tree_of(commit.base), item.output)
    read = dict(trailers.context)
    shared = outputs.find_outputs_of(made, trailers, batch.record.plan_path)
    lacked = tuple(missing.path for missing in trailers.missing if missing.path not in read)
    return RecordedVersion(str(commit), commit.blob, before.oid if before else None, read, lacked, shared)


def find_stale(
    items: tuple[RecordedItem, ...], find_blob: Callable[[str], str | None], ignored: AbstractSet[str]
) -> tuple[StaleItem, ...]:
    """Returns the items that are stale. Pure.

    Args:
        items: the recorded items of a batch.
        find_blob: returns the blob that the branch has at a path; None: no file is there.
        ignored: the paths of files that every checkpoint changes.
    """
    found = []
    writers: dict[str, list[RecordedItem]] = {}
    for each in items:
        writers.setdefault(each.item.output, []).append(each)
    known: dict[tuple[int, int], tuple[StaleInput, ...]] = {}

    def find_inputs(reader: RecordedItem, read: Iterable[tuple[str, str | None]]) -> Iterator[StaleInput]:
        for path, blob in read:
            now = (
                _unwind_versions(writers.get(path, ()), reader, find_blob(path))
                if path not in ignored
                else (blob,)
            )
            if blob not in now:
                yield StaleInput(path, blob, now[0])

    for each in items:
        item, last = each.item, each.last
        # The list that a group shares is compared once: none of its items reads what it writes itself.
        key = (id(last.shared), item.group)
        if key not in known:
            known[key] = tuple(find_inputs(each, last.shared.blobs.items()))
        own = find_inputs(each, (*last.read.items(), *((path, None) for path in last.lacked)))
        others = (each for each in known[key] if each.path != item.output and each.path not in last.read)
        inputs = (*own, *others)
        if each.is_final and inputs:
            found.append(StaleItem(item.group, item.output, item.name, item.key, last.commit, inputs))
    return tuple(found)


def list_changed(
    read: Iterable[tuple[str, str]], given: Iterable[tuple[str, str]], ignored: Iterable[str]
) -> tuple[str, ...]:
    """Returns the paths of given files, each with its blob, that were read in another version, or not at all. Pure."""
    known, left_out = dict(read), frozenset(ignored)
    if not known:
        return ()
    return tuple(path for path, blob in given if path not in left_out and known.get(path) != blob)


def _unwind_versions(
    writers: Sequence[RecordedItem], reader: RecordedItem, now: str | None
) -> tuple[str | None, ...]:
    """Returns the versions of a file that a reader may have read: without those that it and later items wrote.

    `writers` are the items that write it. The first is without those of later groups; the others are without those of its
    own group too, which it reads only if it waited for them.
    """
    if not writers:
        return (now,)
    later = [each for each in writers if each is reader or each.item.group > reader.item.group]
    own = [each for each in writers if each not in later and each.item.group == reader.item.group]
    first = _look_through(later, now)
    return (first, _look_through(own, first))


def _look_through(writers: list[RecordedItem], now: str | None) -> str | None:
    """Returns what was at a path before items wrote it, as far as their versions are on top."""
    left = list(writers)
    while top := next((each for each in left if each.last.blob == now), None):
        left.remove(top)
        now = top.versions[0].before
    return now


def find_dependants(items: tuple[RecordedItem, ...], keys: Iterable[ItemKey]) -> tuple[BatchItem, ...]:
    """Returns the items whose outputs were written from those of some items, or on top of them, transitively. Pure."""
    given = frozenset(keys)
    readers: dict[tuple[str, str | None], list[RecordedItem]] = {}
    shared: dict[int, tuple[EarlierOutputs, list[RecordedItem]]] = {}
    for each in items:
        shared.setdefault(id(each.last.shared), (each.last.shared, []))[1].append(each)
        bases = ((each.item.output, version.before) for version in each.versions)
        for read in {*each.last.read.items(), *bases}:
            readers.setdefault(read, []).append(each)
    taken = {each.item.key: each for each in items if each.item.key in given}
    todo = list(taken.values())
    while todo:
        written = todo.pop()
        for path, blob in {(written.item.output, version.blob) for version in written.versions}:
            lists = (listed for outputs, listed in shared.values() if outputs.blobs.get(path) == blob)
            for each in (*readers.get((path, blob), ()), *(each for listed in lists for each in listed)):
                if each.item.key not in taken:
                    taken[each.item.key] = each
                    todo.append(each)
    found = taken.keys() - given
    return tuple(each.item for each in items if each.item.key in found)
