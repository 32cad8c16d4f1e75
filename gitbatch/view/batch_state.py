"""The output of `gitbatch status`: values for programs, blocks for people."""

import shlex
import time
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.history.activity import BatchActivity, BatchPause, ItemActivity, ItemPhase
from gitbatch.batch.history.effort import format_cost, format_tokens, format_usage
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.rescued_files import RescuedFile
from gitbatch.batch.history.spending import ItemSpent, sum_spending
from gitbatch.batch.model import BatchGroup, BatchItem, CriterionState, ItemStatus, Outcome
from gitbatch.batch.verdicts import GateState
from gitbatch.checks.verdict import VERDICT_WORDS, CheckVerdict
from gitbatch.limits.usage import Spent, Usage
from gitbatch.plan.model import ItemKey
from gitbatch.repo.holder import Holder
from gitbatch.repo.refs.names import short
from gitbatch.text import clean_text, format_count, format_seconds, name_host
from gitbatch.view.block import Block, Cell, TextTable, make_line
from gitbatch.view.envelope import Envelope
from gitbatch.view.review import STYLES, render_criteria

OPEN = "open"
NOT_MERGED = "not-merged"
RUNNING = "running"
_STYLES = {**{str(status): style for status, style in STYLES.items()}, RUNNING: "cyan", NOT_MERGED: "green"}
UNCHECKED = "its output is kept until its checks have answered"
_WORDS = {NOT_MERGED: "done, not merged yet"}
"""What people read instead of a code."""


class RunningProcess(Struct, frozen=True):
    """The process that runs a batch."""

    process: int
    user: str
    host: str
    since: float
    """Seconds since the epoch."""
    pause: BatchPause | None = None
    """What all of the batch waits for; None: its items run."""
    until: float | None = None
    """Seconds since the epoch: how long it waits for a server; None: it waits for none."""


_PAUSES = {
    BatchPause.REVIEW: "it waits for a review in its terminal",
    BatchPause.CONFIGURATION: "it asks in its terminal whether to use a changed gitbatch.toml",
    BatchPause.SERVER: "it waits for a server",
    BatchPause.GATE: "a gate runs",
}


class RecordedCheck(Struct, frozen=True):
    """What a check said of the output of an item."""

    check: str
    verdict: CheckVerdict
    seconds: float
    host: str = ""
    """The other machine that it ran on; empty: this one."""


class ItemState(Struct, frozen=True):
    """An item of a batch.

    `status` is an `ItemStatus`, or `open`, `running`, `waiting`, or `not-merged`: done, and not merged yet.
    """

    item: str
    name: str
    group: int
    slug: ItemKey
    """The last part of its branch's name."""
    status: str
    reason: str = ""
    attempts: int = 0
    """Attempts that have ended, failed ones included."""
    spent: Spent | None = None
    """The usage of all attempts; None: unknown."""
    seconds: float = 0.0
    """The time of all attempts."""
    rescued: str = ""
    """The ref that keeps its finished, unmerged output, or that of a failed attempt; empty if nothing is kept."""
    since: float | None = None
    """Seconds since the epoch: when the attempt began that runs; None if none does."""
    last_line: str = ""
    """The last line that the agent of the running attempt showed."""
    checks: tuple[RecordedCheck, ...] = ()
    """The checks of its output; of an item that is not done, the verdicts that there are so far."""
    early: bool = False
    """Whether it started before its group, and is not merged yet."""
    host: str = ""
    """The other machine that the agent of the running or last attempt works or worked on; empty: this one."""


class RecordedGate(Struct, frozen=True):
    """What a gate said at the checkpoint of a group."""

    group: int
    gate: str
    state: GateState
    tree: str
    """The tree of the checkpoint."""
    host: str = ""
    """The other machine that it ran on; empty: this one."""


class NoBatch(Envelope, frozen=True):
    """The output of `gitbatch status --json` where no batch has run."""

    batch: None = None


class BatchState(Envelope, frozen=True):
    """A batch, as `gitbatch status --json` shows it."""

    batch: str
    state: str
    """`running`, `unfinished` or `ended`."""
    target: str
    mode: str
    agent: str
    groups: int
    groups_done: int
    items: tuple[ItemState, ...]
    criteria: tuple[CriterionState, ...]
    """The Definition of Done at the tip of the target branch."""
    plan: str = ""
    """The path of the plan that it runs."""
    process: RunningProcess | None = None
    """The process that runs it; None if it does not run."""
    gates: tuple[RecordedGate, ...] = ()
    """The verdicts of the gates at the checkpoints, in the order of the groups."""
    spent: Spent = Spent()
    """The usage of all items, over all starts; the cost is the sum of the known costs, null if none is known."""


def batch_state(
    batch: Batch,
    state: BatchProgress,
    criteria: tuple[CriterionState, ...],
    spending: Mapping[ItemKey, ItemSpent],
    rescued: Mapping[ItemKey, RescuedFile],
) -> BatchState:
    """Returns the state of a batch as values, as git has it."""
    failed = {outcome.item.key: outcome for outcome in state.failed}
    items = tuple(
        _add_effort(
            _item_state(group, item, state, failed.get(item.key), has_ended=batch.ended),
            spending.get(item.key),
            rescued.get(item.key),
        )
        for group in batch.record.groups
        for item in group.items
    )
    return BatchState(
        batch=batch.id,
        state="ended" if batch.ended else "unfinished",
        target=batch.record.target,
        plan=batch.record.plan_path,
        mode=batch.record.mode,
        agent=batch.record.agent,
        groups=len(batch.record.groups),
        groups_done=len(state.finished),
        items=items,
        criteria=criteria,
        gates=tuple(
            RecordedGate(finished.group.number, gate.name, gate.state, gate.tree, gate.host)
            for finished in state.finished
            for gate in finished.gates
        ),
        spent=sum_spending(spending),
    )


def _add_effort(shown: ItemState, spent: ItemSpent | None, kept: RescuedFile | None) -> ItemState:
    if spent:
        shown = replace(
            shown,
            attempts=spent.attempts,
            spent=spent.spent,
            seconds=spent.seconds,
            checks=tuple(RecordedCheck(c.name, c.verdict, c.seconds, c.host) for c in spent.checks),
            host=clean_text(spent.host, 100),
        )
    if kept is None or shown.status in {ItemStatus.SUCCEEDED, NOT_MERGED}:
        return shown
    return replace(shown, rescued=kept.ref, reason=shown.reason or kept.reason)


def add_activity(shown: BatchState, holder: Holder, activity: BatchActivity) -> BatchState:
    """Returns the state of an unfinished batch with what the process that runs it does at this moment."""
    items = tuple(
        _active_item(item, activity.items.get(item.slug)) if item.status == OPEN else item
        for item in shown.items
    )
    until = activity.until if activity.pause is BatchPause.SERVER else None
    process = RunningProcess(holder.process, holder.user, holder.host, holder.since, activity.pause, until)
    return replace(shown, state=RUNNING, process=process, items=items)


def _active_item(item: ItemState, activity: ItemActivity | None) -> ItemState:
    """Returns an item that git does not know as done, with what it does."""
    if activity is None:
        return replace(item, status=ItemPhase.WAITING)
    reason = activity.reason
    if activity.phase is ItemPhase.FINISHED:
        return replace(item, status=activity.status or OPEN, reason=reason, attempts=activity.attempt)
    if activity.phase is ItemPhase.WAITING:
        return replace(item, status=ItemPhase.WAITING, reason=reason, attempts=activity.attempt)
    return replace(
        item,
        status=RUNNING,
        reason=reason,
        attempts=max(0, activity.attempt - 1),
        since=activity.since,
        early=activity.is_early,
        last_line=activity.line,
        host=activity.host,
    )


def _item_state(
    group: BatchGroup, item: BatchItem, state: BatchProgress, failed: Outcome | None, *, has_ended: bool
) -> ItemState:
    if failed:
        return ItemState(item.output, item.name, group.number, item.key, failed.status, failed.reason)
    reopened = state.reopened.get(item.key)
    if state.is_finished(group) and reopened is None:
        return ItemState(item.output, item.name, group.number, item.key, ItemStatus.SUCCEEDED)
    status = NOT_MERGED if item.key in state.ready else OPEN
    follows = "its batch was ended before it ran again" if has_ended else "it runs again"
    again = f"{reopened.decision.kind.word} in a review: {follows}" if reopened else ""
    reason = UNCHECKED if item.key in state.unchecked else again
    made = state.ready[item.key].commit if status == NOT_MERGED else None
    is_early = bool(made and made.plan_item)
    return ItemState(item.output, item.name, group.number, item.key, status, reason, early=is_early)


def render_batch(shown: BatchState, now: float) -> Block:
    """Returns a batch for people. `now`: seconds since the epoch."""
    done = sum(item.status == ItemStatus.SUCCEEDED for item in shown.items)
    process = shown.process
    head = make_line(
        ("batch ", "bold"),
        (shown.batch, "bold"),
        f" ({shown.state}) on {short(shown.target)}: {shown.groups_done} of {format_count(shown.groups, 'group')}, "
        f"{done} of {format_count(len(shown.items), 'item')}",
    )
    chosen = make_line((f"  plan {shown.plan}, checkpoint {shown.mode}, agent {shown.agent}", "dim"))
    runs = (make_line(_format_process(process, now)),) if process else ()
    rows = tuple(_item_row(item, now) for item in shown.items)
    used = (make_line(f"used so far: {format_usage(shown.spent)}"),) if shown.spent.usage != Usage() else ()
    return (
        head,
        chosen,
        *runs,
        TextTable((*rows, *map(_gate_row, shown.gates))),
        *used,
        *render_criteria(shown.criteria),
    )


def _gate_row(gate: RecordedGate) -> tuple[Cell, ...]:
    style = "yellow" if gate.state is GateState.RED_BEFORE else "green"
    return (str(gate.group),), ((gate.state, style),), (gate.gate,), (f"gate{name_host(gate.host)}",)


def find_next_step(shown: BatchState) -> str:
    """Returns what the user can do after a batch that has ended; empty if nothing is left."""
    if any(item.status not in {ItemStatus.SUCCEEDED, ItemStatus.REJECTED, OPEN} for item in shown.items):
        return "again: gitbatch run --items failed"
    left = sum(item.status == OPEN for item in shown.items)
    if not left:
        return ""
    if shown.criteria and all(criterion.done for criterion in shown.criteria):
        verb = "does" if left == 1 else "do"
        return f"{format_count(left, 'open item')} {verb} not run: every criterion is ticked; untick one to reopen"
    return "rest:  gitbatch run --items open"


def _format_process(process: RunningProcess, now: float) -> str:
    began = time.strftime("%H:%M:%S", time.localtime(process.since))
    who = f"process {process.process} of {process.user} on {process.host}"
    text = f"  running since {began} ({format_seconds(now - process.since)}) by {who}"
    if process.pause is None or (process.until is not None and process.until < now):
        return text
    left = "" if process.until is None else f", {format_seconds(process.until - now)} more"
    return f"{text}\n  {_PAUSES[process.pause]}{left}"


def _item_row(item: ItemState, now: float) -> tuple[Cell, ...]:
    style = _STYLES.get(item.status, "dim")
    kept = f"kept: gitbatch rescue take {shlex.quote(item.name)}" if item.rescued else ""
    said = item.reason or item.item
    if item.since is not None:
        attempt = f", attempt {item.attempts + 1} ({item.reason})" if item.attempts else ""
        said = f"{format_seconds(now - item.since)}{name_host(item.host)}{attempt}{f': {item.last_line}' * bool(item.last_line)}"
    shown = (said, (_format_work(item), "dim"), (f"\n{kept}" if kept else "", "dim"))
    words = f"{_WORDS.get(item.status, item.status)}{', started early' if item.early else ''}"
    return (str(item.group),), ((words, style),), (item.name,), shown


def _format_work(item: ItemState) -> str:
    """Returns the attempts, time and usage of an item, where there are any to report."""
    parts = [format_count(item.attempts, "attempt")] if item.attempts > 1 else []
    if item.spent and item.spent.usage != Usage():
        parts += [f"{item.seconds:.1f} s", format_tokens(item.spent.usage), format_cost(item.spent)]
    parts += [f"{each.check} {VERDICT_WORDS[each.verdict]}{name_host(each.host)}" for each in item.checks]
    parts += [f"agent{name_host(item.host)}"] if item.host and item.since is None else []
    return f"  ({', '.join(parts)})" if parts else ""
