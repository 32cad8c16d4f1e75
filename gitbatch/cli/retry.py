"""`gitbatch retry`: items that did not succeed, or were rejected, run again."""

from typing import Annotated

import typer

from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.review.choices import (
    LIST,
    Choice,
    choose_freed,
    select_failed,
    select_review_items,
    select_stale,
)
from gitbatch.batch.review.reviewable import Reviewable
from gitbatch.cli.common import HERE, Directory, Json, open_repository_of
from gitbatch.cli.review import ReviewItems, record_choices
from gitbatch.cli.run import MaxCost
from gitbatch.errors import UsageError
from gitbatch.repo.repository import Repository


def retry(
    items: ReviewItems = None,
    failed: Annotated[bool, typer.Option("--failed", help="Every item that did not succeed.")] = False,
    stale: Annotated[
        bool,
        typer.Option("--stale", help="Every item that read other versions than the branch has by now."),
    ] = False,
    agent: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The agent of these items, for this run of them."),
    ] = None,
    say: Annotated[
        str, typer.Option("--say", metavar="TEXT", help="An instruction to the agents of these items.")
    ] = "",
    max_cost: MaxCost = None,
    no_run: Annotated[
        bool, typer.Option("--no-run", help="Only record it: they run at the next gitbatch run.")
    ] = False,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Run items again that did not succeed, were rejected or are stale, before the next group starts.

    Items that are blocked by nothing but these run too. Then the batch continues as with gitbatch run, until its next pause.
    """
    if bool(items) is (failed or stale):
        raise UsageError("name items, --failed or --stale", "for example: gitbatch retry --failed")
    if no_run and max_cost is not None:
        raise UsageError("--max-cost is of the run, and --no-run starts none", "leave one of them out")

    def choose(repo: Repository, found: Reviewable) -> tuple[Choice, ...]:
        chosen = select_review_items(found, tuple(items or ())) if items else ()
        chosen += tuple((item, "") for item in select_failed(found) if failed)
        chosen += tuple((item, "") for item in select_stale(repo, found) if stale)
        if not chosen:
            which = " or ".join(name for name, wanted in (("failed", failed), ("stale", stale)) if wanted)
            raise UsageError(f"no item is {which}", LIST)
        again = tuple(Choice(DecisionKind.RETRY, item, seen or None, say, agent) for item, seen in chosen)
        return (*again, *choose_freed(repo, found, again))

    if no_run:
        with open_repository_of(directory) as repo:
            record_choices(repo, choose, "retry", json=json)
        return
    from gitbatch.batch.review.rerun import RerunChecks
    from gitbatch.cli.batch import RunOptions, run_command
    from gitbatch.cli.notifier import require_user_config

    options = RunOptions(limits=SpendingLimits(max_cost), json=json, directory=directory)

    def prepare(repo: Repository) -> None:
        checks = RerunChecks(options.make_settings(repo), options.can_ask, (require_user_config,))
        record_choices(
            repo, choose, "retry", json=json, is_reported=not json, before_run=checks.require_start
        )

    raise typer.Exit(run_command(options, prepare))
