"""Batches whose records `gitbatch gc` has removed, rebuilt from the commits that they left in the history of HEAD.

Only items of recorded groups are in it: the record alone had the others. Nothing runs from a rebuilt batch; views read it.
"""

import calendar
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.trailers import Kind, Trailers, parse_trailers
from gitbatch.batch.model import Record
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.batch.planning.selection import group_items
from gitbatch.errors import GitbatchError
from gitbatch.plan.matching import ItemPlace, match_items
from gitbatch.project.control import PlanChoice
from gitbatch.repo.objects.codec import Commit
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.repository import Repository

_FOUND_BY = ("--grep=^Gitbatch-Checkpoint: ", "--grep=^Gitbatch-Reviewed: ")

_Line = tuple[tuple[Commit, Trailers], ...]
"""The orchestrator commits of a batch, the oldest first."""


def rebuild_batches(repo: Repository, known: Iterable[str]) -> tuple[Batch, ...]:
    """Returns the batches that the history of HEAD has and that have no record, the oldest first.

    Args:
        repo: the repository.
        known: the ids of the batches that have one.
    """
    without, lines = frozenset(known), dict[str, list[tuple[Commit, Trailers]]]()
    for commit, trailers in _read_orchestrator_commits(repo):
        if trailers.batch not in without:
            lines.setdefault(trailers.batch, []).append((commit, trailers))
    rebuilt = (_rebuild_batch(repo, name, tuple(line)) for name, line in sorted(lines.items()))
    return tuple(batch for batch in rebuilt if batch)


def _read_orchestrator_commits(repo: Repository) -> Iterator[tuple[Commit, Trailers]]:
    head = repo.refs.commit("HEAD")
    listed = repo.git.read_output("rev-list", "--first-parent", "--reverse", *_FOUND_BY, head) if head else ""
    for oid in listed.split():
        commit = repo.objects.read_commit(oid)
        trailers = parse_trailers(commit.message)
        if commit.parents and trailers.kind in {Kind.CHECKPOINT, Kind.REVIEW}:
            yield commit, trailers


def _rebuild_batch(repo: Repository, name: str, line: _Line) -> Batch | None:
    """Returns a batch; None if the plan at its base cannot be read, or has none of its items."""
    first, trailers = line[0]
    places = {
        (each.group, output): ItemPlace(output, each.first_value("Group").partition(" ")[2], each.group)
        for _, each in line
        if each.kind is Kind.CHECKPOINT
        for output in (*each.succeeded, *(failed.output for failed in each.failed))
    }
    with suppress(
        GitbatchError, MissingObjectError
    ):  # a shallow clone, or a plan that this version cannot read
        base = _find_base(repo, first, name)
        state = read_project_state(
            repo, base, PlanChoice(trailers.plan, is_recorded=trailers.plan is not None)
        )
        matched = match_items(places, state.plan)
        record = Record(
            batch=name,
            started=_read_start(name),
            target=repo.refs.leads_to("HEAD") or "HEAD",
            phase="",
            plan_path=state.plan.path,
            mode="at-end",
            agent="",
            jobs=1,
            groups=group_items(state.plan, (item for _, item in matched.values())),
            format=trailers.format,
        )
        return Batch(record, base, ended=True, last=line[-1][0].oid) if record.groups else None
    return None


def _find_base(repo: Repository, first: Commit, name: str) -> str:
    """Returns the commit before the merges of a batch's first checkpoint."""
    commit = repo.objects.read_commit(first.parents[0])
    while commit.parents:
        trailers = parse_trailers(commit.message)
        if trailers.kind is not Kind.MERGE or trailers.batch != name:
            break
        commit = repo.objects.read_commit(commit.parents[0])
    return commit.oid


def _read_start(name: str) -> int:
    """Returns the time in the id of a batch, in seconds since the epoch; 0 if another process made it up."""
    with suppress(ValueError):  # such as the 31st of February
        return calendar.timegm(time.strptime(name[:15], "%Y%m%d-%H%M%S"))
    return 0
