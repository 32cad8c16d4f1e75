"""`gitbatch check`: runs checks and gates by hand."""

import os
from typing import Annotated

import typer

from gitbatch.batch.by_hand.check import CheckOrder, check_by_hand
from gitbatch.batch.by_hand.run import HandResult
from gitbatch.batch.by_hand.trees import CheckHost
from gitbatch.batch.planning.start_checks import Folders
from gitbatch.cli.common import (
    HERE,
    Directory,
    Json,
    cache_dir,
    choose_plan,
    chosen_worktrees,
    make_page,
    open_repository_of,
    print_output,
)
from gitbatch.cli.interruption import interrupted_by_signals
from gitbatch.cli.verbosity import is_quiet, show_note
from gitbatch.sandbox.model import SandboxKind
from gitbatch.view.checked import render_hand_result, render_hand_run


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH|ITEM]...",
            help="Files, or ids of items; all outputs of the plan that exist if none.",
        ),
    ] = None,
    gate: Annotated[
        list[str] | None, typer.Option("--gate", metavar="NAME", help="Run this gate on the whole tree.")
    ] = None,
    rev: Annotated[
        str | None, typer.Option("--rev", metavar="REV", help="Check the files of a commit, not the disk's.")
    ] = None,
    sandbox: Annotated[
        SandboxKind | None, typer.Option(help="The sandbox of all programs, whatever the configuration says.")
    ] = None,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Run checks and gates by hand, on the working tree or on a commit. Changes nothing. Exits with 1 if one is red."""
    machine = CheckHost(os.environ, Folders(chosen_worktrees(), cache_dir()), sandbox)
    with open_repository_of(directory, read_only=True) as repo, interrupted_by_signals():
        choice = choose_plan(repo, directory, None)
        order = CheckOrder(tuple(names or ()), tuple(gate or ()), rev, choice.folder)
        show = _ignore_result if json else _show_result
        run = check_by_hand(repo, choice, order, machine, show, show_note)
    if json:
        from gitbatch.view.outputs.check import check_output

        print_output(check_output(run))
    elif not is_quiet():
        make_page().show_block(render_hand_run(run))
    raise typer.Exit(run.code)


def _ignore_result(_: HandResult) -> None:
    """Shows nothing: all results are in the output for programs."""


def _show_result(result: HandResult) -> None:
    if not is_quiet() or not result.result.verdict.lets_through:
        make_page().show_block(render_hand_result(result))
