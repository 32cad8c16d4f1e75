"""The page of a report: one HTML file that loads nothing, runs nothing, and leads nowhere but to its own commits."""

from collections.abc import Iterator

from gitbatch.batch.report.model import BatchReport, ReportCommit
from gitbatch.text import format_count, format_seconds
from gitbatch.view.report.context import render_context
from gitbatch.view.report.costs import render_costs
from gitbatch.view.report.decisions import render_criteria, render_decisions
from gitbatch.view.report.items import count_items, render_failures, render_groups
from gitbatch.view.report.markup import Content, Markup, make_element, make_style
from gitbatch.view.report.style import STYLE
from gitbatch.view.report.timeline import render_timeline
from gitbatch.view.report.words import (
    format_spent_cost,
    format_spent_tokens,
    make_cell,
    make_row,
    make_section,
    make_table,
    make_time,
)

DOCTYPE = "<!DOCTYPE html>\n"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The policy of the page: nothing is loaded, even if a text of a batch were not escaped."""
GENERATOR = "gitbatch report"
"""Names the pages that gitbatch writes; it writes over no other file."""


def render_report(report: BatchReport) -> str:
    """Returns the page of a report."""
    title = f"Batch {report.batch} of {report.repository}"
    head = make_element(
        "head",
        make_element("meta", charset="utf-8"),
        make_element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        make_element("meta", name="generator", content=GENERATOR),
        make_element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        make_element("meta", name="color-scheme", content="light dark"),
        make_element("title", title),
        make_style(STYLE),
    )
    body = make_element(
        "body",
        make_element("header", *_render_head(report)),
        make_element("main", *_render_sections(report)),
        make_element("footer", make_element("p", "Written by gitbatch from the repository alone.")),
    )
    return f"{DOCTYPE}{make_element('html', head, body, lang='en')}\n"


def is_report(beginning: str) -> bool:
    """Whether a file that begins like this is a page that `render_report` has written."""
    return beginning.startswith(DOCTYPE) and f'content="{GENERATOR}"' in beginning


def _render_head(report: BatchReport) -> Iterator[Markup]:
    yield make_element("h1", f"Batch {report.batch}")
    branch = report.target.removeprefix("refs/heads/")
    phase = f", phase {report.phase}" if report.phase else ""
    yield make_element("p", f"{report.repository}: {report.plan} on {branch}{phase}", class_="muted")
    facts = (
        make_element("div", make_element("dt", name), make_element("dd", fact))
        for name, fact in _list_facts(report)
    )
    yield make_element("dl", *facts)


def _list_facts(report: BatchReport) -> Iterator[tuple[str, Content]]:
    own = [commit for commit in report.commits if commit.kind]
    last = own[-1].at if own else 0.0
    done = sum(bool(group.checkpoints) for group in report.groups)
    yield "State", "ended" if report.ended else "unfinished"
    yield "Items", count_items(report)
    yield "Groups", f"{done} of {len(report.groups)} recorded"
    yield "Started", make_time(report.started)
    yield "Last commit", make_time(last) if last else "none yet"
    if last > report.started:
        yield "Time", format_seconds(last - report.started)
    yield "Cost", format_spent_cost(report.spent)
    yield "Tokens", format_spent_tokens(report.spent)
    yield "Checkpoints", report.mode
    yield "Agent", report.agent or "unknown"


def _render_sections(report: BatchReport) -> Iterator[Markup]:
    yield render_failures(report)
    yield render_timeline(report)
    yield render_groups(report)
    yield render_decisions(report)
    yield render_criteria(report)
    yield render_costs(report)
    yield render_context(report)
    yield _render_commits(report)


def _render_commits(report: BatchReport) -> Markup:
    """Returns the section of the commits, to which the links of the page lead."""
    items = [c for item in report.items for c in (*item.earlier, item.commit) if c]
    listed = {commit.oid: commit for commit in (*report.commits, *items)}
    base = make_element("p", "The batch began at ", make_element("code", report.base), ".")
    caption = f"{format_count(len(listed), 'commit')}; to see one: git show COMMIT"
    head = ("Commit", "Kind", "Time", "Subject")
    rows = map(_render_commit, listed.values())
    return make_section("Commits", base, make_table(caption, head, rows))


def _render_commit(commit: ReportCommit) -> Markup:
    return make_row(
        make_element("code", commit.oid),
        make_cell(str(commit.kind or "yours")),
        make_cell(make_time(commit.at)),
        make_cell(commit.subject),
        id=commit.oid,
    )
