"""`gitbatch show`: shows an item in full, its diff, its prompt or its log."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct

from gitbatch.batch.history.batches import read_any_progress
from gitbatch.batch.history.item_details import ItemDetails, read_item_details
from gitbatch.batch.history.item_log import LogLine, list_last_errors, read_item_log, select_attempt
from gitbatch.batch.history.kept_prompts import KeptPrompt
from gitbatch.batch.history.ledger import LedgerEntries, read_ledger
from gitbatch.batch.history.record import Batch
from gitbatch.batch.model import BatchItem
from gitbatch.batch.planning.prompt_again import complete_context, find_prompt
from gitbatch.cli.batch_reading import choose_item, name_folder, name_show, read_batch_state, read_runner
from gitbatch.cli.common import HERE, Directory, Json, make_page, open_repository_of, print_output
from gitbatch.cli.pager import read_git_variables, show_in_pager, show_text_in_pager
from gitbatch.cli.verbosity import show_note
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.repo.private_dir import read_diff
from gitbatch.repo.repository import Repository
from gitbatch.view.batch_state import ItemState
from gitbatch.view.block import Block
from gitbatch.view.diff import render_diff
from gitbatch.view.item_log import render_log_line
from gitbatch.view.item_page import render_item_page
from gitbatch.view.outputs.show import LINES, ShowOutput
from gitbatch.view.page import PlainPage

ERRORS = 10
"""The most lines of standard error that the page has."""
AGAIN = "this prompt was rendered again from git: the one that the agent was given is not kept"

ItemName = Annotated[
    str, typer.Argument(metavar="ITEM", help="An id, an output path, or a group and a path (2:docs/a.md).")
]
BatchId = Annotated[
    str | None,
    typer.Option("--batch", metavar="BATCH", help="Of this batch; by default of the last one that has it."),
]


class _Shown(Struct, frozen=True):
    """The item that is shown, and what git knows of it."""

    batch: Batch
    item: BatchItem
    entries: LedgerEntries
    details: ItemDetails
    command: str
    """What shows its page."""


def show(
    item: ItemName,
    diff: Annotated[bool, typer.Option("--diff", help="What it changed, in git's pager.")] = False,
    prompt: Annotated[bool, typer.Option("--prompt", help="What its agent was given.")] = False,
    log: Annotated[bool, typer.Option("--log", help="What its agent wrote in its last attempt.")] = False,
    batch: BatchId = None,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Show an item in full: result, summary, files read, attempts, costs, checks. Changes nothing."""
    if diff + prompt + log + json > 1:
        raise UsageError("--diff, --prompt, --log and --json exclude each other", "choose one of them")
    variables = read_git_variables()
    with open_repository_of(directory, read_only=True) as repo:
        shown = _read_item(repo, *choose_item(repo, item, batch), directory)
        if json:
            print_output(_make_output(repo, shown))
        elif diff:
            _show_diff(repo, shown, variables)
        elif prompt:
            _show_prompt(repo, shown, variables)
        else:
            block = _render_log(repo, shown) if log else _render_page(repo, shown, directory)
            show_in_pager(variables, block)


def _read_item(repo: Repository, batch: Batch, item: BatchItem, directory: Path) -> _Shown:
    entries = read_ledger(repo, batch.id)
    details = read_item_details(repo, batch, item, read_any_progress(repo, batch), entries)
    details = complete_context(repo, batch, item, details, entries)
    return _Shown(batch, item, entries, details, name_show(directory, item))


def _read_state(repo: Repository, shown: _Shown) -> ItemState:
    state = read_batch_state(repo, shown.batch, read_runner(repo))
    return next(each for each in state.items if each.slug == shown.item.key)


def _read_log(repo: Repository, shown: _Shown) -> tuple[LogLine, ...]:
    return read_item_log(repo.own_dir, shown.batch.id, shown.item.key)


def _find_prompt(repo: Repository, shown: _Shown) -> KeptPrompt | None:
    return find_prompt(repo, shown.batch, shown.item, shown.details, shown.entries)


def _make_output(repo: Repository, shown: _Shown) -> ShowOutput:
    state, lines = _read_state(repo, shown), _read_log(repo, shown)
    return ShowOutput(shown.batch.id, state, shown.details, _find_prompt(repo, shown), lines[-LINES:])


def _render_page(repo: Repository, shown: _Shown, directory: Path) -> Block:
    state = _read_state(repo, shown)
    errors = list_last_errors(select_attempt(_read_log(repo, shown), None), ERRORS)
    return render_item_page(shown.batch.id, state, shown.details, errors, name_folder(directory))


def _render_log(repo: Repository, shown: _Shown) -> Block:
    lines = select_attempt(_read_log(repo, shown), None)
    if not lines:
        raise GitbatchError(
            f"{shown.item.name} has no log: it was removed, or its agent has not started",
            f"what git knows: {shown.command}",
        )
    return tuple(map(render_log_line, lines))


def _show_diff(repo: Repository, shown: _Shown, variables: Mapping[str, str]) -> None:
    if not shown.details.commit:
        raise GitbatchError(f"{shown.item.name} has no output", f"see why: {shown.command}")
    diff = read_diff(repo, shown.details.base, shown.details.commit)
    page = make_page()
    has_colour = not isinstance(page, PlainPage) and not page.console.no_color
    is_terminal = not isinstance(page, PlainPage) and page.console.is_terminal
    height = page.console.height if not isinstance(page, PlainPage) and is_terminal else 0
    show_text_in_pager(variables, render_diff(diff, has_colour=has_colour), height)


def _show_prompt(repo: Repository, shown: _Shown, variables: Mapping[str, str]) -> None:
    prompt = _find_prompt(repo, shown)
    if prompt is None:
        raise GitbatchError(
            f"the prompt of {shown.item.name} is gone, and the plan at its base does not have it",
            f"what git knows: {shown.command}",
        )
    if prompt.is_rendered_again:
        show_note(f"note: {AGAIN}")
    page = make_page()
    height = 0 if isinstance(page, PlainPage) else page.console.height
    show_text_in_pager(variables, f"{prompt.text}\n", height)
