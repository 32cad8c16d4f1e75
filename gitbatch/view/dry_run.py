"""The output of `gitbatch run --dry-run`."""

from msgspec import Struct

from gitbatch.batch.model import BatchGroup, BatchItem
from gitbatch.batch.preview import Preview
from gitbatch.repo.refs.names import short
from gitbatch.text import format_count
from gitbatch.view.block import Block, Cell, StyledLine, TextTable, make_line
from gitbatch.view.envelope import Envelope


class DryRunItem(Struct, frozen=True):
    """An item that would run."""

    item: str
    """Its output."""
    name: str
    title: str
    slug: str


class DryRunGroup(Struct, frozen=True):
    """A group with the items of it that would run."""

    number: int
    title: str
    items: tuple[DryRunItem, ...]


class DryRunOutput(Envelope, frozen=True):
    """What a run would do, as `gitbatch run --dry-run --json` shows it."""

    resumed: bool
    """Whether it would resume the unfinished batch."""
    target: str | None
    """The branch that checkpoints would go to; null if nothing would run."""
    plan: str | None
    mode: str | None
    agent: str | None
    jobs: int | None
    groups: tuple[DryRunGroup, ...]
    reason: str
    """Why nothing would run; empty if something would."""


def dry_run_output(preview: Preview) -> DryRunOutput:
    """Returns a preview for programs."""
    record = preview.record
    return DryRunOutput(
        preview.is_resumed,
        record.target if record else None,
        record.plan_path if record else None,
        record.mode if record else None,
        record.agent if record else None,
        record.jobs if record else None,
        tuple(map(_make_group, preview.groups)),
        preview.reason,
    )


def _make_group(group: BatchGroup) -> DryRunGroup:
    items = tuple(DryRunItem(item.output, item.name, item.title, item.slug) for item in group.items)
    return DryRunGroup(group.number, group.title, items)


def render_preview(preview: Preview) -> Block:
    """Returns a preview for people."""
    record = preview.record
    if record is None:
        return (make_line(f"nothing would run: {preview.reason}"),)
    verb = f"would resume batch {record.batch}" if preview.is_resumed else "would start a batch"
    items = sum(len(group.items) for group in preview.groups)
    parts: list[StyledLine | TextTable] = [
        make_line((verb, "bold"), f" of {record.plan_path} on {short(record.target)}"),
        make_line(
            f"{format_count(items, 'item')} in {format_count(len(preview.groups), 'group')}, "
            f"checkpoint {record.mode}, agent {record.agent}, {record.jobs} at a time",
            indent=2,
        ),
    ]
    if preview.changes:
        parts.append(make_line(preview.changes, indent=2))
    for group in preview.groups:
        parts += [
            make_line((f"group {group.number}", "bold"), f"  {group.title}"),
            TextTable(tuple(map(_item_row, group.items))),
        ]
    return (*parts, make_line(("nothing was started", "dim")))


def _item_row(item: BatchItem) -> tuple[Cell, ...]:
    return ((item.name, "bold"),), ((item.output, "cyan"),)
