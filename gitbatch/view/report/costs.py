"""What a batch has used: by group and by model. The items' own usage is in the tables of the groups."""

from collections.abc import Iterable, Iterator

from gitbatch.batch.report.model import BatchReport
from gitbatch.limits.usage import Spent
from gitbatch.view.report.markup import Markup
from gitbatch.view.report.words import (
    format_spent_cost,
    format_spent_tokens,
    make_cell,
    make_row,
    make_section,
    make_table,
)

_COLUMNS = ("Items", "Input", "Output", "Cache read", "Cache write", "Tokens", "Cost")


def render_costs(report: BatchReport) -> Markup:
    """Returns the section of the usage."""
    groups = ((f"{group.number}. {group.title}", len(group.items), group.spent) for group in report.groups)
    total = ("All groups", len(report.items), report.spent)
    models = ((m.model or "unknown model", m.items, m.spent) for m in report.models)
    return make_section(
        "Costs",
        make_table("By group", ("Group", *_COLUMNS), _list_rows((*groups, total))),
        make_table("By model", ("Model", *_COLUMNS), _list_rows(models)) if report.models else "",
    )


def _list_rows(counted: Iterable[tuple[str, int, Spent]]) -> Iterator[Markup]:
    for title, items, spent in counted:
        usage = spent.usage
        kinds = (usage.input, usage.output, usage.cache_read, usage.cache_write)
        counts = (format_spent_tokens(spent, count) for count in kinds)
        texts = (f"{items:,}", *counts, format_spent_tokens(spent), format_spent_cost(spent))
        yield make_row(title, *(make_cell(text, kind="number") for text in texts))
