"""The groups of a report with their checkpoints and items, and the failures with their details."""

from collections.abc import Iterator

from gitbatch.agents.protocol import FLAG_DESCRIPTIONS
from gitbatch.batch.history.effort import format_gate_effort
from gitbatch.batch.model import FailedAttempt
from gitbatch.batch.report.model import BatchReport, ReportCheckpoint, ReportGroup, ReportItem
from gitbatch.batch.verdicts import GateState
from gitbatch.batch.verdicts import describe_state as describe_gate
from gitbatch.checks.verdict import VERDICT_WORDS
from gitbatch.limits.causes import TREATMENTS
from gitbatch.paths import quote_for_message
from gitbatch.text import format_count, format_seconds, name_host
from gitbatch.view.report.markup import Content, Markup, join_markup, link_commit, make_element
from gitbatch.view.report.words import (
    DASH,
    describe_state,
    format_spent_cost,
    format_spent_tokens,
    make_cell,
    make_list,
    make_path,
    make_row,
    make_section,
    make_table,
    make_time,
)

_COLUMNS = ("Item", "State", "Summary", "Attempts", "Time", "Tokens", "Cost", "Commit")


def render_groups(report: BatchReport) -> Markup:
    """Returns the section of the groups."""
    return make_section("Groups", *(part for group in report.groups for part in _render_group(group)))


def render_failures(report: BatchReport) -> Markup:
    """Returns the section of the items that did not succeed; nothing if there are none."""
    failures = [item for item in report.items if item.is_failure]
    if not failures:
        return Markup()
    recorded = {
        group.number: group.checkpoints[-1].commit.oid for group in report.groups if group.checkpoints
    }
    return make_section(
        "Failures", *(_render_failure(item, recorded.get(item.item.group, "")) for item in failures)
    )


def _render_group(group: ReportGroup) -> Iterator[Markup]:
    yield make_element("h3", f"{group.number}. {group.title}")
    yield make_list(_describe_checkpoint(checkpoint) for checkpoint in group.checkpoints)
    if not group.checkpoints:
        yield make_element("p", "This group has no checkpoint yet.", class_="muted")
    caption = f"Items of group {group.number}"
    yield make_table(caption, _COLUMNS, map(_render_item, group.items))


def _describe_checkpoint(checkpoint: ReportCheckpoint) -> Markup:
    number, of = checkpoint.position
    revision = f", revision {checkpoint.revision}" if checkpoint.revision else ""
    failed = f", {checkpoint.failed} not" if checkpoint.failed else ""
    said: list[Content] = [
        f"checkpoint {number}/{of}{revision}: {checkpoint.succeeded} done{failed}, ",
        make_time(checkpoint.commit.at),
        ", ",
        link_commit(checkpoint.commit.oid),
    ]
    for gate in checkpoint.gates:
        kind = "bad" if gate.state is GateState.RED_BEFORE else "good"
        said += ["; gate ", make_element("code", gate.name), " "]
        said += [make_element("span", describe_gate(gate.state), class_=kind), format_gate_effort(gate)]
    return join_markup(said)


def _render_item(item: ReportItem) -> Markup:
    return make_row(
        _make_title(item),
        make_cell(describe_state(item)),
        make_cell(*_describe_work(item)),
        make_cell(f"{item.attempts:,}" if item.attempts else DASH, kind="number"),
        make_cell(format_seconds(item.seconds) if item.seconds else DASH, kind="number"),
        make_cell(format_spent_tokens(item.spent), kind="number"),
        make_cell(format_spent_cost(item.spent), kind="number"),
        make_cell(link_commit(item.commit.oid) if item.commit else DASH, kind="id"),
    )


def _make_title(item: ReportItem) -> Markup:
    """Returns the name of an item, its path where that is another, and its title without its name."""
    path, name = make_path(item.item.output), item.item.name
    title = make_element("small", item.item.title.removeprefix(name).strip())
    return join_markup((path, " ", title) if name == item.item.output else (name, " ", path, " ", title))


def _describe_work(item: ReportItem) -> Iterator[Markup]:
    """Yields what an item's agent returned, and what its checks said."""
    if item.reason:
        yield make_element("p", item.reason)
    elif item.reply:
        yield make_element("p", item.reply.summary)
    yield make_list(_list_remarks(item))


def _list_remarks(item: ReportItem) -> Iterator[Content]:
    for check in item.checks:
        kind = "good" if check.verdict.lets_through else "bad"
        verdict = make_element("span", VERDICT_WORDS[check.verdict], class_=kind)
        yield join_markup(
            (
                "check ",
                make_element("code", check.name),
                " ",
                verdict,
                f" ({check.seconds:.1f} s{name_host(check.host)})",
            )
        )
    if item.is_early:
        yield "started before its group"
    for missing in item.missing:
        yield f"missing input: {missing.describe(quote_for_message)}"
    if item.reply:
        yield from (f"agent's decision: {decision}" for decision in item.reply.decisions)
        yield from (f"for {given.artifact}: {given.text}" for given in item.reply.contributions)
        yield from (FLAG_DESCRIPTIONS[flag] for flag in item.reply.flags)
    for commit in item.earlier:
        yield join_markup(("earlier version: ", link_commit(commit.oid)))
    if round(item.waited, 1):
        yield f"waited {format_seconds(item.waited)}"
    if item.agent:
        model, host = f", {item.model}" * bool(item.model), f", on {item.host}" * bool(item.host)
        yield make_element("small", f"agent {item.agent}{model}{host}")


def _render_failure(item: ReportItem, checkpoint: str) -> Markup:
    kept: tuple[Content, ...] = ()
    if item.kept:
        kept = (
            make_element("p", "What it had written is kept: ", make_element("code", f"git show {item.kept}")),
        )
    recorded = (make_element("p", "Recorded in ", link_commit(checkpoint)),) if checkpoint else ()
    return make_element(
        "article",
        make_element("h3", _make_title(item), " ", describe_state(item)),
        make_element("p", make_element("strong", item.reason)),
        *(part for tried in item.failed for part in _describe_attempt(tried)),
        *kept,
        *recorded,
        aria_label=f"Failure of {item.item.name}",
    )


def _describe_attempt(tried: FailedAttempt) -> Iterator[Markup]:
    cause = TREATMENTS[tried.cause].description if tried.cause else "interrupted"
    number = f"Attempt {tried.number}" if tried.number else "An attempt"
    took = f" after {format_seconds(tried.seconds)}" if tried.seconds else ""
    took += name_host(tried.host)
    yield make_element("p", f"{number}{took} ({cause}): {tried.reason}")
    checks = (f"check {c.name} {VERDICT_WORDS[c.verdict]}: {c.reason}" for c in tried.checks if c.reason)
    found = (line for check in tried.checks for line in check.findings)
    strays = ("left in its worktree: " + ", ".join(tried.strays),) if tried.strays else ()
    lines = tuple(dict.fromkeys((*checks, *tried.details, *found, *strays)))
    if lines:
        yield make_element("pre", "\n".join(lines))


def count_items(report: BatchReport) -> str:
    """Returns how many items of a batch succeeded, and how many did not."""
    items = report.items
    failed = sum(item.is_failure for item in items)
    done = f"{sum(item.succeeded for item in items):,} of {format_count(len(items), 'item')} done"
    return f"{done}, {failed:,} not" if failed else done
