"""`gitbatch logs`: shows what the agent of an item wrote, also while it runs."""

import time
from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
import typer

from gitbatch.batch.history.item_log import LogLine, follow_item_log, read_item_log, select_attempt
from gitbatch.batch.history.record import Batch
from gitbatch.batch.model import BatchItem
from gitbatch.cli.batch_reading import choose_item, name_show, read_runner, runs_batch
from gitbatch.cli.common import HERE, Directory, Json, make_page, open_repository_of, print_output
from gitbatch.cli.show import BatchId, ItemName
from gitbatch.errors import GitbatchError
from gitbatch.repo.repository import Repository
from gitbatch.view.item_log import render_log_line
from gitbatch.view.outputs.logs import LogsOutput

_PAUSE = 0.2
"""Seconds between two readings."""


def logs(
    item: ItemName,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Show lines as they come, until the item has a result.")
    ] = False,
    attempt: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="This attempt, and not the last one.")
    ] = None,
    batch: BatchId = None,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Show what the agent of an item wrote, also while it runs. Changes nothing."""
    with open_repository_of(directory, read_only=True) as repo:
        chosen, named = choose_item(repo, item, batch)
        lines = _follow(repo, chosen, named, attempt) if follow else _read(repo, chosen, named, attempt)
        count = _print_lines(lines, json=json)
    if json:
        print_output(LogsOutput(chosen.id, named.output, count))
    elif not count:
        raise GitbatchError(
            f"{named.name} has no log: it was removed, or its agent has not started",
            f"what git knows: {name_show(directory, named)}",
        )


def _print_lines(lines: Iterable[LogLine], *, json: bool) -> int:
    """Prints lines, and returns how many they were."""
    count, page = 0, make_page()
    for line in lines:
        count += 1
        if json:
            typer.echo(msgspec.json.encode(line))
        else:
            page.show_block((render_log_line(line),))
    return count


def _read(repo: Repository, batch: Batch, item: BatchItem, attempt: int | None) -> tuple[LogLine, ...]:
    """Returns the lines of an attempt.

    Raises:
        GitbatchError: the log has other attempts and not this one.
    """
    every = read_item_log(repo.own_dir, batch.id, item.key)
    lines = select_attempt(every, attempt)
    if every and not lines:
        known = ", ".join(str(number) for number in sorted({line.attempt for line in every}))
        raise GitbatchError(f"{item.name} has no attempt {attempt} in the log", f"attempts: {known}")
    return lines


def _follow(repo: Repository, batch: Batch, item: BatchItem, attempt: int | None) -> Iterator[LogLine]:
    def is_running() -> bool:
        return runs_batch(read_runner(repo), batch)

    found = follow_item_log(repo.own_dir, batch.id, item.key, is_running, lambda: time.sleep(_PAUSE))
    return (line for line in found if attempt in {None, line.attempt})
