"""Announcing the steps of a run to its listeners: its start, each group, and what the checkout keeps."""

from collections.abc import Callable

from gitbatch.batch.event_stream import EventStream
from gitbatch.batch.events import BatchStarted, GroupStarted, ItemQueued, ItemSent, Notice
from gitbatch.batch.group.scheduled_items import GroupStart
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.item.run import Run
from gitbatch.batch.preconditions import AgentConfinement
from gitbatch.repo.checkout.follow import Followed
from gitbatch.text import CleanText


def emit_start(run: Run, state: BatchProgress, confined: AgentConfinement, *, resumed: bool) -> None:
    """Announces the batch, with its progress so far."""
    record = run.batch.record
    run.emit(
        BatchStarted(
            batch=run.batch.id,
            resumed=resumed,
            target=record.target,
            mode=record.mode,
            agent=record.agent,
            jobs=run.jobs,
            sandbox=confined.sandboxes,
            worktrees=run.worktrees,
            readable=confined.readable,
            groups=len(record.groups),
            items=len(record.items),
            groups_done=len(state.finished),
            items_done=state.succeeded + len(state.failed),
            max_cost=run.agents.budget.max_cost,
            max_tokens=run.agents.budget.max_tokens,
            spent=run.agents.budget.spent,
            eager=run.eagerness.mode,
            eager_reason=run.eagerness.reason,
        )
    )
    for text in confined.advice:
        run.emit(Notice(batch=run.batch.id, text=text))


def announce_hosts(emit: EventStream, batch: Batch) -> Callable[[str, CleanText], None]:
    """Returns the listener that announces the machine to which an item, by its slug, is sent; without one, that it waits for one."""
    items = {item.slug: item for item in batch.record.items}

    def announce(slug: str, host: CleanText) -> None:
        item = items[slug]
        if not host:
            emit(ItemQueued(batch=batch.id, slug=item.key, group=item.group, item=item.output))
            return
        emit(
            ItemSent(
                batch=batch.id, slug=item.key, group=item.group, item=item.output, name=item.name, host=host
            )
        )

    return announce


def emit_kept(run: Run, followed: Followed) -> None:
    """Names the paths at which the checkout keeps the user's own version."""
    for path in followed.kept:
        run.emit(Notice(batch=run.batch.id, text=f"kept: your own version of {path} in the checkout"))
    for note in followed.notes:
        run.emit(Notice(batch=run.batch.id, text=note))


def emit_group(run: Run, start: GroupStart) -> None:
    """Announces a group, or the items of one that run again."""
    group, already = start.group, start.already
    run.emit(
        GroupStarted(
            batch=run.batch.id,
            position=run.batch.record.position_of(group),
            of=len(run.batch.record.groups),
            title=group.title,
            group=group.number,
            revision=group.revision,
            items=tuple(item.output for item in group.items if item.key not in already),
            already=tuple(outcome.item.output for outcome in already.values()),
        )
    )
