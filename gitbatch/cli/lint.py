"""`gitbatch lint`: shows the errors and warnings of plans."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from gitbatch.batch.planning.checkout_files import find_checkout_files
from gitbatch.batch.planning.risks import find_disk_risks
from gitbatch.cli.common import HERE, Directory, Json, make_page, print_output
from gitbatch.cli.verbosity import is_quiet
from gitbatch.errors import UsageError
from gitbatch.plan.render import summary
from gitbatch.project.lint import Checked, check_plan, find_active_plan
from gitbatch.text import format_count
from gitbatch.view.diagnostics import diagnostic_annotation, diagnostic_json, diagnostic_lines


class Format(StrEnum):
    """The formats of diagnostics."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def lint(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Plans; the active phase's if none is given."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if there are warnings.")] = False,
    form: Annotated[
        Format, typer.Option("--format", help="For people, programs, or GitHub annotations.")
    ] = Format.TEXT,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Check plans as the disk has them. Exits with 2 if there are errors."""
    wanted = (
        [directory / path for path in paths]
        if paths
        else [directory / find_active_plan(directory, find_checkout_files)]
    )
    checked: list[Checked] = []
    unreadable: list[UsageError] = []
    for path in wanted:
        try:
            checked.append(_with_risks(check_plan(path, find_checkout_files)))
        except UsageError as error:
            unreadable.append(error)
            typer.echo(f"gitbatch: {error.message}\n  {error.advice}", err=True)
            continue
        if not json:
            _show_diagnostics(checked[-1], form)
    if json:
        from gitbatch.view.outputs.lint import lint_output

        print_output(lint_output(tuple(checked), tuple(unreadable), strict=strict))
    if unreadable or any(one.plan.errors for one in checked):
        raise typer.Exit(2)
    raise typer.Exit(1 if strict and any(one.plan.diagnostics for one in checked) else 0)


def _with_risks(checked: Checked) -> Checked:
    """Returns a plan without errors with the risks of running it: what a run would refuse or warn of."""
    if checked.plan.errors:
        return checked
    return replace(
        checked,
        plan=replace(checked.plan, diagnostics=(*checked.plan.diagnostics, *find_disk_risks(checked))),
    )


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
