"""Decisions about the items of a test's batch, recorded by the service that the command line uses."""

from collections.abc import Callable

import pytest
from conftest import Workspace

from gitbatch.batch.group.review import RecordedReview
from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.review.choices import Choice, choose_rest, select_review_items
from gitbatch.batch.review.deciding import decide_items
from gitbatch.batch.review.reviewable import Reviewable, find_reviewable, list_review_items
from gitbatch.plan.model import ItemKey
from gitbatch.repo.lock import repository_lock
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository

APPROVE, REVISE, REJECT = DecisionKind.APPROVE, DecisionKind.REVISE, DecisionKind.REJECT
RETRY, UNDO = DecisionKind.RETRY, DecisionKind.UNDO


def record_choices(
    workspace: Workspace, choose: Callable[[Repository, Reviewable], tuple[Choice, ...]]
) -> tuple[RecordedReview, tuple[Choice, ...]]:
    """Record what `choose` returns as one review; returns the review and the choices."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in workspace.environment.items():
            patch.setenv(name, value)
        opened = open_repository(workspace.root)
    try:
        with repository_lock(opened, print) as repo:
            found = find_reviewable(repo)
            choices = choose(repo, found)
            return decide_items(repo, found, choices, lambda: 1767323045.0), choices
    finally:
        opened.close()


def decide(
    workspace: Workspace, *chosen: tuple[DecisionKind, str], rest: bool = False, comment: str = ""
) -> RecordedReview:
    """Record decisions about items, given by their words."""

    def choose(repo: Repository, found: Reviewable) -> tuple[Choice, ...]:
        choices = tuple(
            Choice(kind, item, seen or None, comment)
            for kind, word in chosen
            for item, seen in select_review_items(found, (word,))
        )
        keys = frozenset(ItemKey(c.item.slug) for c in choices)
        return (*choices, *(choose_rest(repo, found, keys) if rest else ()))

    return record_choices(workspace, choose)[0]


def list_items(workspace: Workspace) -> dict[str, tuple[str, DecisionKind | None]]:
    """Returns the status of each item and the decision that stands, by name."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in workspace.environment.items():
            patch.setenv(name, value)
        repo = open_repository(workspace.root, read_only=True)
    try:
        return {i.name: (i.status, i.decision) for i in list_review_items(repo, find_reviewable(repo))}
    finally:
        repo.close()
