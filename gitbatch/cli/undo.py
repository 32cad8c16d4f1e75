"""`gitbatch undo`: takes items back whose outputs are in history."""

from typing import Annotated

import typer

from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.review.choices import (
    LIST,
    Choice,
    choose_dependants,
    select_group,
    select_last,
    select_review_items,
)
from gitbatch.batch.review.reviewable import Reviewable
from gitbatch.cli.common import HERE, Directory, Json, open_repository_of
from gitbatch.cli.review import ReviewItems, Say, record_choices
from gitbatch.errors import UsageError
from gitbatch.repo.repository import Repository


def undo(
    items: ReviewItems = None,
    checkpoint: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="All items of this checkpoint; the last one if nothing is named."
        ),
    ] = None,
    with_dependants: Annotated[
        bool,
        typer.Option(
            "--with-dependants", help="Also all that has read what is undone; it runs again at the next run."
        ),
    ] = False,
    say: Say = "",
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Take items back whose outputs are in history: their files are as they were before, their boxes open.

    It is one new commit. Their lines in shared artifacts are removed. A file that you or a later item have changed since is a conflict, and nothing changes.
    """
    if items and checkpoint is not None:
        raise UsageError("name items, or --checkpoint", "leave one of them out")

    def choose(repo: Repository, found: Reviewable) -> tuple[Choice, ...]:
        named = select_review_items(found, tuple(items or ())) if items else ()
        of_checkpoint = select_last(found) if checkpoint is None else select_group(found, checkpoint)
        chosen = named or tuple((item, "") for item in of_checkpoint)
        if not chosen:
            which = "the last checkpoint" if checkpoint is None else f"checkpoint {checkpoint}"
            raise UsageError(f"nothing that {which} brought is in history", LIST)
        undone = tuple(Choice(DecisionKind.UNDO, item, seen or None, say) for item, seen in chosen)
        return (*undone, *(choose_dependants(repo, found, undone) if with_dependants else ()))

    with open_repository_of(directory) as repo:
        record_choices(repo, choose, "undo", json=json)
