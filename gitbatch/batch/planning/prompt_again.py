"""The prompt of an item, rendered again from git where the one that its agent was given is gone.

It may differ from that one: another version of gitbatch may have had other rules, and configuration such as a filter of the
user's is not in git.
"""

from contextlib import suppress

from msgspec.structs import replace

from gitbatch.agents.prompt import render_artifacts, render_notes, render_prompt, render_review_comment
from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.history.given_outputs import OutputsReader
from gitbatch.batch.history.item_details import GivenFile, ItemDetails
from gitbatch.batch.history.item_message import parse_item_message
from gitbatch.batch.history.kept_prompts import LONGEST, AttemptName, KeptPrompt, read_prompt
from gitbatch.batch.history.ledger import LedgerEntries
from gitbatch.batch.history.reads import list_changed
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.rescue import find_rescued
from gitbatch.batch.model import BatchItem, FailedAttempt, ItemStatus
from gitbatch.batch.planning.project_state import ProjectState, read_project_state
from gitbatch.batch.planning.risks import mark_filtered
from gitbatch.batch.planning.schedule import find_earlier_versions
from gitbatch.errors import GitbatchError
from gitbatch.plan.model import Group, WorkItem
from gitbatch.project.context import ContextFile
from gitbatch.project.manifest import list_context
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.refs.names import end_ref
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_lines

_Planned = tuple[ProjectState, Group, WorkItem]
"""An item of a plan in the project state of its base."""


def find_prompt(
    repo: Repository, batch: Batch, item: BatchItem, details: ItemDetails, entries: LedgerEntries
) -> KeptPrompt | None:
    """Returns the prompt of the last attempt at an item: as it was kept, else rendered again; None if that is impossible.

    Args:
        repo: the repository.
        batch: the batch.
        item: the item.
        details: what git knows of the item.
        entries: the failed attempts: the last one that counts is part of the prompt.
    """
    for review in reversed(("", *details.repeated_by)):
        last = AttemptName(item.key, review, len(details.attempts) + 1)
        if kept := read_prompt(repo.own_dir, batch.id, last):
            return kept
    rendered = _render_at(repo, batch, item, _find_base(repo, batch, details, entries.of_item(item.key)))
    if rendered is None:
        return None
    planned, context = rendered
    last_run = entries.split_item(item.key, details.repeated_by)[-1]
    counted = tuple(tried for tried in last_run if tried.is_counted)
    before = counted if details.is_finished else counted[:-1]
    notes = _render_notes(repo, planned, details, context)
    rescued = find_rescued(repo, batch.id, item) if before else None
    previous = before[-1].failure if before else None
    _, group, work = planned
    prompt = render_prompt(work, group, context, previous, rescued.output if rescued else None, notes)
    return KeptPrompt(clean_lines(prompt, LONGEST))


def complete_context(
    repo: Repository, batch: Batch, item: BatchItem, details: ItemDetails, entries: LedgerEntries
) -> ItemDetails:
    """Returns details with the files that an item without a commit reads at the commit that it starts from."""
    if details.commit:
        return details
    rendered = _render_at(repo, batch, item, _find_base(repo, batch, details, entries.of_item(item.key)))
    files = rendered[1] if rendered else ()
    return replace(details, context=tuple(GivenFile(file.path, file.blob) for file in files))


def _find_base(repo: Repository, batch: Batch, details: ItemDetails, tried: tuple[FailedAttempt, ...]) -> str:
    """Returns the commit that the last attempt started from, or that the next one would."""
    if details.base:
        return details.base
    last = tried[-1].base if tried else ""
    with suppress(MissingObjectError):  # the base of an attempt may be named by its tree
        return repo.objects.read_commit(last).oid
    end = batch.last or (repo.refs.read(end_ref(batch.id)) if batch.ended else None)
    return end or repo.refs.read(batch.record.target) or batch.base


def _render_at(
    repo: Repository, batch: Batch, item: BatchItem, base: str
) -> tuple[_Planned, tuple[ContextFile, ...]] | None:
    """Returns an item in the plan at a commit, with the files that it reads; None if it is not there."""
    with suppress(
        GitbatchError, MissingObjectError
    ):  # a commit that another process has made, or that is pruned
        state = read_project_state(repo, base, batch.record.plan)
        planned = state.find_items(batch.record).get(item.key)
        if planned:
            group, work = planned
            listed = list_context(work, group, state.plan, state.project, state.snapshot)
            return (state, group, work), mark_filtered(repo, state, listed)
    return None


def _render_notes(
    repo: Repository, planned: _Planned, details: ItemDetails, context: tuple[ContextFile, ...]
) -> tuple[str, ...]:
    """Returns the remarks in the prompt: on its files, and of the review that made the item run again."""
    state, _, work = planned
    is_there = state.snapshot.blob(work.output) is not None
    versions = find_earlier_versions(work, state.plan) if is_there else ()
    revised = tuple(other.unique_name for other in versions if other.done)
    artifacts = render_artifacts(state.project.artifacts)
    notes = (*((artifacts,) if artifacts else ()), *render_notes(work.output, revised, details.missing))
    has_run = details.attempts and details.attempts[-1].repetition == len(details.repeated_by)
    last = details.repeated_by[-1:]
    said = next((each for each in details.reviews if each.commit in last and each.kind.reopens), None)
    if said is None or not has_run:
        return notes
    is_done = details.attempts[-1].status is ItemStatus.SUCCEEDED
    before = details.versions[: -1 if is_done else None][-1:]
    summary, read, is_there = "", dict[str, str](), said.kind is DecisionKind.REVISE
    for commit in map(repo.objects.read_commit, before):
        trailers, reply = parse_item_message(commit.message)
        summary = reply.summary
        read = OutputsReader(repo.objects).read_context(commit, trailers, state.plan.path)
        made = repo.objects.find_entry(commit.tree, work.output)
        is_there = is_there or (made is not None and made.oid == state.snapshot.blob(work.output))
    given = ((file.path, file.blob) for file in context)
    changed = list_changed(read.items(), given, state.project.shared_files)
    text = render_review_comment(work.output, said.comment, summary, is_there=is_there, changed=changed)
    return (*notes, text)
