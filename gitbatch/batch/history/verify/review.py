"""Judging a review: it decides about items that the history has as they are, and changes only what it decides."""

from gitbatch.batch.history.trailers import Kind
from gitbatch.batch.history.verify.graph import History, Ours
from gitbatch.batch.history.verify.rules import Check, Complaints
from gitbatch.batch.history.verify.trees import Trees


def judge_review(history: History, _trees: Trees, ours: Ours) -> Complaints:
    """Yields the findings about a review."""
    commit = ours.commit
    if len(commit.parents) != 1:
        yield Check.REVIEW_PLACE, f"has {len(commit.parents)} parents; a review has one"
        return
    kind = history.kind_of(commit.parents[0])
    if kind in {Kind.ITEM, Kind.MERGE, Kind.RESCUE}:
        yield Check.REVIEW_PLACE, f"stands on the commit of an {kind}, not on the branch"
    if not ours.trailers.decisions:
        yield Check.REVIEW_ITEMS, "decides about no item"
