"""What people decided in reviews, and what the Definition of Done says of each group."""

from collections.abc import Iterator

from gitbatch.batch.report.model import BatchReport, ReportCriterion, ReportReview
from gitbatch.view.report.markup import Markup, join_markup, link_commit, make_element
from gitbatch.view.report.words import (
    DASH,
    make_cell,
    make_path,
    make_row,
    make_section,
    make_table,
    make_time,
)


def render_decisions(report: BatchReport) -> Markup:
    """Returns the section of the reviews."""
    if not report.reviews:
        return make_section(
            "Decisions", make_element("p", "Nothing was decided in a review.", class_="muted")
        )
    return make_section("Decisions", *(part for review in report.reviews for part in _render_review(review)))


def render_criteria(report: BatchReport) -> Markup:
    """Returns the section of the Definition of Done: its entries against the groups of the plan."""
    if not report.criteria:
        none = make_element("p", "The plan has no Definition of Done.", class_="muted")
        return make_section("Definition of Done", none)
    numbers = sorted({item.group for criterion in report.criteria for item in criterion.items})
    head = ("Entry", "State", *(f"Group {number}" for number in numbers))
    rows = (_render_criterion(criterion, numbers) for criterion in report.criteria)
    return make_section("Definition of Done", make_table("Entries, and the items that name them", head, rows))


def _render_review(review: ReportReview) -> Iterator[Markup]:
    number, of = review.position
    head = make_element("h3", f"Review {number}/{of}")
    yield head
    yield make_element(
        "p",
        f"by {review.commit.committer}, ",
        make_time(review.commit.at),
        ", ",
        link_commit(review.commit.oid),
    )
    rows = (
        make_row(
            make_path(decision.item.output),
            make_cell(f"{decision.item.group}", kind="number"),
            make_cell(decision.kind.word),
            make_cell(make_element("pre", decision.comment)) if decision.comment else make_cell(DASH),
        )
        for decision in review.decisions
    )
    yield make_table(f"Decisions of review {number}/{of}", ("File", "Group", "Decision", "Comment"), rows)


def _render_criterion(criterion: ReportCriterion, numbers: list[int]) -> Markup:
    state = make_element("span", "done", class_="good") if criterion.done else make_element("span", "open")
    crossing = () if criterion.items else (", named by no item",)
    cells = (_render_group_cell(criterion, number) for number in numbers)
    return make_row(f"#{criterion.number} {criterion.text}", make_cell(state, *crossing), *cells)


def _render_group_cell(criterion: ReportCriterion, number: int) -> Markup:
    items = [item for item in criterion.items if item.group == number]
    if not items:
        return make_cell(DASH)
    left = [item.name for item in items if not item.done]
    count = f"{len(items) - len(left)} of {len(items)}"
    still = (make_element("small", f" open: {', '.join(left)}"),) if left else ()
    return make_cell(join_markup((make_element("span", count, class_="wait" if left else "good"), *still)))
