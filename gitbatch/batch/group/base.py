"""The base of an item that waits for others: it starts from a tree that has what they wrote (`history/bases.py`)."""

from collections.abc import Mapping

from msgspec import Struct

from gitbatch.batch.history.bases import BaseReader, find_below
from gitbatch.batch.history.item_commits import PARENTS, as_item_commit
from gitbatch.batch.history.messages import render_base_message
from gitbatch.batch.history.trailers import parse_trailers
from gitbatch.batch.item.scheduled import CommitContext
from gitbatch.batch.model import BatchGroup, BatchItem, Outcome
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.objects.store import Objects


class ItemBase(Struct, frozen=True):
    """A commit that an item starts from."""

    commit: str
    tree: str


class BaseBuilder(Struct, frozen=True):
    """Builds the bases of a group's items on a commit of the branch. Only objects are written: no ref moves."""

    objects: Objects
    commits: CommitContext
    group: BatchGroup
    line: str
    """The commit of the branch."""
    reader: BaseReader
    shared: dict[tuple[str, tuple[str, ...]], ItemBase] | None = None
    """For items that start before their group: the bases so far, by the commit of the branch and the item commits that are
    merged. Items that see the same start from the same one. None: each item has its own."""

    def build(self, item: BatchItem, seen: tuple[Outcome, ...]) -> ItemBase:
        """Returns the base of an item; the commit of the branch if there is nothing to see.

        Args:
            item: the item.
            seen: the outcomes of the items that it waits for, in the order of the plan.

        Raises:
            MissingObjectError: a commit that one of them stands on is missing, or is not that of an item.
        """
        made = self._list_outputs(seen)
        if not made:
            return ItemBase(self.line, self.objects.tree_of(self.line))
        below = find_below(made, self.reader.direct)
        heads = tuple(oid for oid in made if oid not in below)
        if self.shared is None:
            return self._write_merges(item, heads, made)
        key = (self.line, tuple(sorted(heads)))
        if key not in self.shared:
            self.shared[key] = self._write_merges(item, heads, made)
        return self.shared[key]

    def has_versions(self, seen: tuple[Outcome, ...]) -> bool:
        """Returns true if a base would have a file in two versions: the older one is not on the branch when it is judged."""
        made = self._list_outputs(seen)
        return len({path for path, _ in made.values()}) < len(made)

    def _list_outputs(self, seen: tuple[Outcome, ...]) -> dict[str, tuple[str, str]]:
        """Returns path and blob of what a base has, by item commit: those that are seen first, then those below them."""
        made = {str(o.commit): (o.item.output, o.commit.blob) for o in seen if o.succeeded and o.commit}
        for oid in sorted(find_below(made, self.reader.direct) - made.keys()):
            made[oid] = self._read_output(oid)
        return made

    def _read_output(self, oid: str) -> tuple[str, str]:
        """Returns path and blob of an item's commit that the present plan does not make the item wait for."""
        commit = self.objects.read_commit(oid)
        path = parse_trailers(commit.message).output
        found = as_item_commit(self.objects, commit, path) if path else None
        if found is None:
            raise MissingObjectError(oid)
        return path, found.blob

    def _write_merges(
        self, item: BatchItem, heads: tuple[str, ...], made: Mapping[str, tuple[str, str]]
    ) -> ItemBase:
        """Writes the merge, or one for every 16 item commits, and returns the last."""
        of_item = None if self.shared is not None else item
        message = render_base_message(self.commits.batch.record, self.group, of_item)
        user, last, tree = self.commits.user, self.line, self.objects.tree_of(self.line)
        # The only head has it all in its tree: in a row of items, each writes one path, and not all before it again.
        is_row = len(heads) == 1 and self.reader.parts_of(heads[0]).line == self.line
        for start in range(0, len(heads), PARENTS):
            part = heads[start : start + PARENTS]
            tree = self.objects.tree_of(part[0]) if is_row else self._write_tree(tree, part, made)
            last = self.objects.write_signed_if_possible(tree, (last, *part), message, user, user)
        return ItemBase(last, tree)

    def _write_tree(self, below: str, part: tuple[str, ...], made: Mapping[str, tuple[str, str]]) -> str:
        """Writes a tree with the outputs of item commits and of all that they stand on."""
        wanted = find_below(part, self.reader.direct) | set(part)
        outputs = [output for oid, output in made.items() if oid in wanted]
        return self.objects.write_tree(below, dict(reversed(outputs)))
