"""Forged reviews. Each returns the commit that is wrong."""

from collections.abc import Mapping

from batch.forger import BATCH, FORMAT_LINE, OUT, Forger

from gitbatch.batch.history.decisions import DecisionKind, ItemDecision, ItemName, render_decision


def review(
    f: Forger,
    *decisions: str,
    changes: Mapping[str, str | tuple[str, str]] | None = None,
    parents: tuple[str, ...] = (),
) -> str:
    """A review with decisions as their trailers say them."""
    trailers = f"{FORMAT_LINE}Gitbatch-Batch: {BATCH}\nGitbatch-Group: 1 G\nGitbatch-Plan: task.md\nGitbatch-Reviewed: 1/1"
    said = "".join(f"\nGitbatch-Review: {decision}" for decision in decisions)
    return f.commit(f"gitbatch: review 1/1\n\nrows\n\n{trailers}{said}", parents or (f.tip,), changes or {})


def approved(output: str = OUT) -> str:
    return render_decision(ItemDecision(DecisionKind.APPROVE, ItemName(1, output), None))


def review_that_merges(f: Forger) -> str:
    return review(f, approved(), parents=(f.tip, f.plan))


def review_on_an_item(f: Forger) -> str:
    return review(f, approved(), parents=(f.item({OUT: "x"}),))


def review_of_nothing(f: Forger) -> str:
    return review(f)


def review_in_another_spelling(f: Forger) -> str:
    return review(f, approved().replace("approve", "praise"))
