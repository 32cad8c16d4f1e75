"""Writing finished items again whose bases the history must not have.

A user who amends or rebases the branch between two starts removes the commit that finished items are based on. The base
of an item commit must be on the first-parent line of the target branch (`verify`), or be a base merge on it, and an item
that is paid for does not run again. So a new commit with the same file, message and author gets the tip as its parent. An
item is not rebased if the branch has another version of its path, which is a conflict, or of a file that it read, which
would make its trailers wrong.

An item commit or a base merge that could not be signed when it was made is signed here, if the user signs commits. What
stands on a commit that is written again is written again too.
"""

from dataclasses import dataclass, field

from msgspec.structs import replace

from gitbatch.batch.group.base import BaseBuilder, ItemBase
from gitbatch.batch.history.bases import BaseReader, find_below, is_on_first_line, read_base
from gitbatch.batch.history.given_outputs import OutputsReader
from gitbatch.batch.history.item_commits import as_item_commit
from gitbatch.batch.history.trailers import parse_trailers
from gitbatch.batch.item.scheduled import CommitContext
from gitbatch.batch.model import BatchGroup, ItemCommit, Outcome
from gitbatch.repo.refs.names import item_branch
from gitbatch.repo.repository import Repository


def rebase_items(
    repo: Repository,
    commits: CommitContext,
    group: BatchGroup,
    outcomes: tuple[Outcome, ...],
    tip: str,
    reader: BaseReader,
) -> tuple[Outcome, ...]:
    """Returns the outcomes with signed commits whose bases are the tip, on its first-parent line, or merges on it.

    `reader`: reads what the items stand on.

    Raises:
        SigningError: signing fails again. Nothing is lost: the item's branch keeps the commit without a signature.
    """
    rebase = _Rebase(repo, commits, group, tip, reader)
    done = {o.commit: o for o in outcomes if o.succeeded and o.commit}
    rebase.reader.read_items(done)
    for commit in _from_below(done, rebase.reader):
        rebase.rebased[commit] = rebase.write_again(done[commit], commit)
    return tuple(rebase.rebased.get(o.commit, o) if o.commit else o for o in outcomes)


def _from_below(done: dict[ItemCommit, Outcome], reader: BaseReader) -> list[ItemCommit]:
    """Returns the commits in an order in which each comes after those that it stands on."""
    ordered: dict[ItemCommit, None] = {}
    known = {str(commit): commit for commit in done}
    to_do = list(reversed(done))
    while to_do:
        commit = to_do[-1]
        missing = [known[oid] for oid in reader.direct(commit) if oid in known and known[oid] not in ordered]
        if missing:
            to_do += missing
        else:
            ordered[to_do.pop()] = None
    return list(ordered)


@dataclass(slots=True, eq=False, repr=False)
class _Rebase:
    """What is known while the items of a group are written again."""

    repo: Repository
    commits: CommitContext
    group: BatchGroup
    tip: str
    reader: BaseReader
    rebased: dict[str, Outcome] = field(default_factory=dict)
    """By the commits as they were: the outcomes of items that are below others."""
    stuck: set[str] = field(default_factory=set)
    """The commits that had to be written again and could not be."""
    outputs: OutputsReader = field(init=False)
    _lines: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outputs = OutputsReader(self.repo.objects)

    def write_again(self, outcome: Outcome, old: ItemCommit) -> Outcome:
        """Returns an outcome with its commit on a base that the history may have, signed."""
        parts = self.reader.parts_of(old)
        line = parts.line if self._is_on_line(parts.line) else self.tip
        moved = [oid for oid in parts.merged if oid in self.rebased and self.rebased[oid].commit != oid]
        is_signed = not parts.merged or self.repo.objects.sign_commit(old.base) == old.base
        if line == parts.line and not moved and is_signed:
            return self._point(outcome, old, self.repo.objects.sign_commit(old))
        below = find_below((old,), self.reader.direct)
        if (
            not below <= self.rebased.keys() - self.stuck
        ):  # what it stands on will not be merged, so neither is it
            self.stuck.add(old)
            return outcome
        seen = tuple(self.rebased[oid] for oid in sorted(below))
        builder = BaseBuilder(self.repo.objects, self.commits, self.group, line, self.reader)
        done = self._rebase(outcome, old, builder.build(outcome.item, seen))
        if done is outcome:
            self.stuck.add(old)
        return done

    def _rebase(self, outcome: Outcome, old: ItemCommit, base: ItemBase) -> Outcome:
        objects, output = self.repo.objects, outcome.item.output
        trailers = parse_trailers(objects.read_commit(old).message)
        has_read = all(
            (found := objects.find_entry(base.tree, path)) and found.oid == blob
            for path, blob in trailers.context
        )
        if has_read and trailers.context_outputs:
            line = objects.tree_of(read_base(objects, base.commit).line)
            plan_path = self.commits.batch.record.plan_path
            has_read = self.outputs.find_outputs(trailers, line, base.tree, plan_path) is not None
        was = objects.find_entry(objects.tree_of(old.base), output)
        if not has_read or was != objects.find_entry(base.tree, output):
            return outcome
        new = objects.rewrite_commit(old, objects.write_tree(base.tree, {output: old.blob}), (base.commit,))
        return self._point(outcome, old, new)

    def _point(self, outcome: Outcome, old: ItemCommit, new: str) -> Outcome:
        """Returns an outcome with a new commit, to which its branch points."""
        if new == old:
            return outcome
        objects = self.repo.objects
        made = as_item_commit(objects, objects.read_commit(new), outcome.item.output)
        if made is None:  # a file stands where the path needs a folder: a conflict
            return outcome
        branch = item_branch(self.commits.batch.id, outcome.item.slug)
        self.repo.commit_point(branch, new, old, "gitbatch: written again")
        return replace(outcome, commit=made)

    def _is_on_line(self, line: str) -> bool:
        """Whether a commit is the tip or one of its first-parent ancestors."""
        if line not in self._lines:
            self._lines[line] = is_on_first_line(self.repo, line, self.tip)
        return self._lines[line]
