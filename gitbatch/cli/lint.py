"""`gitbatch lint`: shows the errors and warnings of plans."""

import os
import sys
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from gitbatch.batch.planning.checkout_files import find_checkout_files
from gitbatch.batch.planning.lint import LintSettings, lint_plan, lint_start, open_to_start
from gitbatch.batch.planning.start_checks import Folders
from gitbatch.cli.common import (
    HERE,
    Directory,
    Json,
    cache_dir,
    choose_plan,
    chosen_worktrees,
    make_page,
    print_output,
)
from gitbatch.cli.verbosity import is_quiet
from gitbatch.errors import GitbatchError, PlanError, UsageError
from gitbatch.plan.render import summary
from gitbatch.project.control import TASK
from gitbatch.project.lint import Checked, find_active_plan
from gitbatch.text import format_count
from gitbatch.view.diagnostics import diagnostic_annotation, diagnostic_json, diagnostic_lines

_STDIN = Path("-")


class Format(StrEnum):
    """The formats of diagnostics."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def lint(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Plans or folders, or - for standard input; the active phase's plan if none is given.",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 1 if there are warnings, but for those about this machine."),
    ] = False,
    form: Annotated[
        Format, typer.Option("--format", help="For people, programs, or GitHub annotations.")
    ] = Format.TEXT,
    here: Annotated[
        bool,
        typer.Option(
            "--here", help="Check the commit as a run would on this machine, with all that it would refuse."
        ),
    ] = False,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Check plans as the disk has them, with their configuration. Exits with 2 if there are errors."""
    settings = LintSettings(os.environ, Folders(chosen_worktrees(), cache_dir()))
    checked: dict[str, Checked] = {}
    unreadable: list[GitbatchError] = []
    for path in paths or [Path()]:
        try:
            found = (
                _lint_committed(directory, path, settings)
                if here
                else _lint_on_disk(directory, path, settings)
            )
        except UsageError as error:
            unreadable.append(error)
            typer.echo(f"gitbatch: {error.message}\n  {error.advice}", err=True)
            continue
        new = {one.path: one for one in found if one.path not in checked}
        checked |= new
        for one in () if json else new.values():
            _show_diagnostics(one, form)
    if json:
        from gitbatch.view.outputs.lint import lint_output

        print_output(lint_output(tuple(checked.values()), tuple(unreadable), strict=strict))
    if unreadable or any(one.plan.errors for one in checked.values()):
        raise typer.Exit(2)
    raise typer.Exit(1 if any(one.find_failures(strict=strict) for one in checked.values()) else 0)


def _lint_committed(directory: Path, path: Path, settings: LintSettings) -> tuple[Checked, ...]:
    """Checks what a run would read."""
    repo, refusals = open_to_start(directory)
    with closing(repo):
        full = directory / path
        choice = choose_plan(repo, full, None) if full.is_dir() else choose_plan(repo, directory, path)
        return lint_start(repo, choice, settings, refusals)


def _lint_on_disk(directory: Path, path: Path, settings: LintSettings) -> tuple[Checked, ...]:
    """Checks a plan on the disk, or the active plan with the text of standard input (`-`)."""
    if path == _STDIN:
        text = sys.stdin.buffer.read()
        try:
            home = directory / find_active_plan(directory, find_checkout_files)
        except PlanError:
            home = directory / TASK
        plan, *others = lint_plan(home, settings, text)
        return replace(plan, path="<stdin>"), *others
    full = directory / path
    if full.is_dir():
        full = full / (
            TASK if path != HERE and (full / TASK).is_file() else find_active_plan(full, find_checkout_files)
        )
    return lint_plan(full, settings)


def _show_diagnostics(checked: Checked, form: Format) -> None:
    diagnostics = checked.plan.errors if is_quiet() else checked.plan.diagnostics
    if form is Format.TEXT:
        page = make_page()
        for diagnostic in diagnostics:
            page.show_line(*diagnostic_lines(diagnostic, checked.source, checked.path).parts, "\n")
        if is_quiet() and not diagnostics:
            return
        items = len(checked.plan.items)
        good = f"{format_count(items, 'item')} in {format_count(len(checked.plan.groups), 'group')}"
        page.show_line(f"{checked.path}: {summary(diagnostics) or good}")
        return
    show = diagnostic_json if form is Format.JSON else diagnostic_annotation
    for diagnostic in diagnostics:
        typer.echo(show(diagnostic, checked.path))
