"""The progress of a batch, derived from git alone: refs, commits and check boxes."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.history.bases import read_base
from gitbatch.batch.history.decisions import ItemName
from gitbatch.batch.history.item_commits import read_item_commit
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.rescue import Rescued, read_rescued
from gitbatch.batch.history.standings import (
    ItemStanding,
    LineCommit,
    StandingDecision,
    derive_standings,
    select_line,
)
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.history.trailers import Failed, Kind
from gitbatch.batch.history.unchecked import Unchecked, find_unchecked
from gitbatch.batch.model import BatchGroup, BatchItem, ItemStatus, Outcome
from gitbatch.batch.verdicts import GateVerdict
from gitbatch.plan.model import ItemKey
from gitbatch.repo.log import read_first_parents
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.refs.names import end_ref, item_branch, item_branches
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text

_ONE_PARENT = 2
"""Names in a line of `git rev-list --parents` for a commit that has one parent."""
_BATCH = "\nGitbatch-Batch: "
_LOOKED_AT = 100
"""The most commits of an item's branch that are read."""


class FinishedGroup(Struct, frozen=True, dict=True):
    """A group whose checkpoint is in history, with the later ones of its items that ran again."""

    group: BatchGroup
    commit: str
    failed: tuple[Outcome, ...]
    """The items without an output of theirs in history: they did not succeed, or were taken back since."""
    gates: tuple[GateVerdict, ...] = ()
    """Of its last checkpoint that has any."""
    revisions: tuple[str, ...] = ()
    """The checkpoints of its revisions, in order."""
    standings: Mapping[ItemKey, ItemStanding] = {}
    """By key: how each of its items stands."""

    @property
    def last(self) -> str:
        """Its last checkpoint: its own, or that of its last revision."""
        return (self.commit, *self.revisions)[-1]

    @cached_property
    def reopened(self) -> Mapping[ItemKey, StandingDecision]:
        """The decisions, by key, about the items that a review sent back or retried and that have not run again yet."""
        found = {key: standing.decided for key, standing in self.standings.items()}
        return {key: decided for key, decided in found.items() if decided and decided.decision.kind.reopens}


class BatchProgress(Struct, frozen=True, dict=True):
    """The progress of a batch."""

    finished: tuple[FinishedGroup, ...]
    """In the order of the batch."""
    ready: Mapping[ItemKey, Outcome]
    """By key: items that are done and wait for the checkpoint of their group."""
    rescued: Mapping[ItemKey, Rescued] = {}
    """By key: the kept outputs of failed attempts, for items that are not done."""
    unchecked: Mapping[ItemKey, Unchecked] = {}
    """By key: the outputs of items that are not done, which are harvested and wait for their checks."""
    last: str = ""
    """The last commit of the batch on the branch, a checkpoint or a review; empty: nothing is recorded."""
    merges: tuple[str, ...] = ()
    """The merges on the line of the branch that no batch made."""
    last_checkpoint: str = ""
    """The last checkpoint on the branch, of a group or of a revision; empty: none is recorded."""

    @cached_property
    def failed(self) -> tuple[Outcome, ...]:
        """Returns the outcomes in finished groups of items that did not succeed."""
        return tuple(outcome for group in self.finished for outcome in group.failed)

    @property
    def succeeded(self) -> int:
        """Returns the number of items that are in the history of the target branch."""
        recorded = sum(len(finished.group.items) for finished in self.finished)
        return recorded - len(self.failed) - len(self.reopened)

    @cached_property
    def reopened(self) -> Mapping[ItemKey, StandingDecision]:
        """The decisions, by key, about all items that run again before the next group starts."""
        return {key: decided for group in self.finished for key, decided in group.reopened.items()}

    @property
    def chosen_agents(self) -> frozenset[str]:
        """The agents that reviews chose for items that run again."""
        return frozenset(d.decision.agent for d in self.reopened.values() if d.decision.agent)

    @cached_property
    def failed_keys(self) -> frozenset[ItemKey]:
        """Returns the keys of the items in finished groups that did not succeed."""
        return frozenset(outcome.item.key for outcome in self.failed)

    def find_open(self, items: Iterable[BatchItem]) -> Iterator[BatchItem]:
        """Yields those of some items without a commit: neither merged, nor in conflict, nor waiting for group or revision."""
        reopened = self.reopened
        failed = {outcome.item.key: outcome.status for outcome in self.failed}
        recorded = {item.key for finished in self.finished for item in finished.group.items}
        for item in items:
            if item.key in reopened or item.key not in recorded:
                is_done = item.key in self.ready
            else:
                is_done = failed.get(item.key, ItemStatus.CONFLICTED) is ItemStatus.CONFLICTED
            if not is_done:
                yield item

    def is_finished(self, group: BatchGroup) -> bool:
        """Whether a group's checkpoint is in history."""
        return any(finished.group == group for finished in self.finished)


def read_progress(repo: Repository, batch: Batch) -> BatchProgress:
    """Returns the progress of a batch. Changes nothing."""
    tip = require_tip(repo, batch.record.target)
    since = ("rev-list", "--first-parent", "--reverse", "--parents", f"^{batch.base}", tip)
    listed = repo.git.read_output(*since).splitlines() if tip != batch.base else []
    rows = [line.split() for line in listed]
    messages = {row[0]: repo.objects.read_commit(row[0]).message for row in rows}
    merges = (row[0] for row in rows if len(row) > _ONE_PARENT and _BATCH not in messages[row[0]])
    return replace(_derive_progress(repo, batch, messages.items()), merges=tuple(merges))


def read_ended_progress(repo: Repository, batch: Batch) -> BatchProgress:
    """Returns how far a batch came that has ended: from the commits up to its end, wherever its target is now."""
    end = batch.last or repo.refs.read(end_ref(batch.id))
    log = read_first_parents(repo.root, batch.base, end) if end else ()
    return _derive_progress(repo, batch, ((entry.oid, entry.message) for entry in log))


def _derive_progress(repo: Repository, batch: Batch, commits: Iterable[tuple[str, str]]) -> BatchProgress:
    """Returns the progress that commits, each an id and a message, and the item branches show."""
    listed = tuple(commits)
    line = select_line(batch.id, listed)
    standings = derive_standings(line)
    found = (_read_finished_group(group, line, standings) for group in batch.record.groups)
    finished = tuple(group for group in found if group)
    checkpoints = [c.oid for c in line if c.trailers.kind is Kind.CHECKPOINT]
    ours = [c.oid for c in line if c.trailers.kind in {Kind.CHECKPOINT, Kind.REVIEW}]
    last, last_checkpoint = ours[-1] if ours else "", checkpoints[-1] if checkpoints else ""
    state = BatchProgress(finished, {}, last=last, last_checkpoint=last_checkpoint)
    state = replace(state, ready=_read_ready_items(repo, batch, state, [oid for oid, _ in listed]))
    open_items = tuple(state.find_open(batch.record.items))
    return replace(
        state,
        rescued=read_rescued(repo, batch.id, open_items),
        unchecked=find_unchecked(repo, batch.id, open_items),
    )


def _read_finished_group(
    group: BatchGroup, line: tuple[LineCommit, ...], standings: Mapping[ItemName, ItemStanding]
) -> FinishedGroup | None:
    kind, number = Kind.CHECKPOINT, group.number
    checkpoints = [c for c in line if c.trailers.kind is kind and c.trailers.group == number]
    own = [commit for commit in checkpoints if not commit.trailers.revision]
    if not own:
        return None
    here = {i.key: standings.get(ItemName(number, i.output), ItemStanding()) for i in group.items}
    return FinishedGroup(
        group,
        own[-1].oid,
        tuple(_find_failed(group, checkpoints, here)),
        next((c.trailers.gates for c in reversed(checkpoints) if c.trailers.gates), ()),
        tuple(commit.oid for commit in checkpoints if commit.trailers.revision),
        here,
    )


def _find_failed(
    group: BatchGroup, checkpoints: list[LineCommit], standings: Mapping[ItemKey, ItemStanding]
) -> Iterator[Outcome]:
    """Yields the outcomes of the items that failed at last, and of those that a review took back."""
    last: dict[str, Failed | None] = {}
    for commit in checkpoints:
        last |= dict.fromkeys(commit.trailers.succeeded)
        last |= {failed.output: failed for failed in commit.trailers.failed}
    for item in group.items:
        decided, failed = standings[item.key].decided, last.get(item.output)
        kind = decided.decision.kind if decided else None
        if decided and kind and kind.puts_back:
            comment = f": {decided.decision.comment}" if decided.decision.comment else ""
            yield Outcome(item, ItemStatus.REJECTED, reason=clean_text(f"{kind.word} in a review{comment}"))
        elif failed and not (kind and kind.reopens):
            yield Outcome(item, failed.status, reason=clean_text(failed.reason))


def _read_ready_items(
    repo: Repository, batch: Batch, state: BatchProgress, line: list[str]
) -> dict[ItemKey, Outcome]:
    """Returns the finished items that wait for a checkpoint, by key. `line`: the commits of the branch since the base."""
    branches = repo.refs.below(item_branches(batch.id))
    waiting = [i for g in batch.record.groups if not state.is_finished(g) for i in g.items]
    reopened = state.reopened
    again = [item for item in batch.record.items if item.key in reopened]
    found = ((item, branches.get(item_branch(batch.id, item.slug))) for item in (*waiting, *again))
    outcomes = (_finished_below(repo, batch, item, oid) for item, oid in found if oid)
    ready = {outcome.item.key: outcome for outcome in outcomes if outcome}
    places = {oid: at for at, oid in enumerate((batch.base, *line))}
    for key, decided in reopened.items():
        if key in ready and not _is_based_after(repo, ready[key], places, decided.review):
            del ready[key]
    return ready


def _is_based_after(repo: Repository, outcome: Outcome, places: Mapping[str, int], review: str) -> bool:
    """Whether an item has run after a review. A base that is not on the line any more was: the branch was amended since."""
    if outcome.commit is None:
        return False
    try:
        line = read_base(repo.objects, outcome.commit.base).line
    except MissingObjectError:
        return False
    return line not in places or places[line] >= places[review]


def _finished_below(repo: Repository, batch: Batch, item: BatchItem, tip: str) -> Outcome | None:
    """Returns the outcome that an item's branch holds; the user may have added commits to the branch."""
    done = read_item_commit(repo, batch.id, item, tip)
    if done:
        return done
    options = ("--first-parent", f"--max-count={_LOOKED_AT}", "--ignore-missing")  # pruned: it is not done
    listed = repo.git.run("rev-list", *options, tip, f"^{batch.base}", check=False).stdout.decode()
    return next(filter(None, (read_item_commit(repo, batch.id, item, oid) for oid in listed.split())), None)
