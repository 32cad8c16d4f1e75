"""`gitbatch lint`: shows the errors and warnings of plans."""

import os
import sys
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct
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
    use_utf_8,
)
from gitbatch.cli.verbosity import is_quiet, show_prose
from gitbatch.errors import GitbatchError, PlanError, UsageError
from gitbatch.plan.render import summary
from gitbatch.project.control import PLAN_FILE
from gitbatch.project.lint import Checked, find_active_plan, fix_plan_on_disk
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
    fix: Annotated[
        bool, typer.Option("--fix", help="Fix what is certain first: lookalike boxes, arrows, doubled ids.")
    ] = False,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Check plans as the disk has them, with their configuration. Exits with 2 if there are errors."""
    linting = _Linting(
        directory, LintSettings(os.environ, Folders(chosen_worktrees(), cache_dir())), here, fix
    )
    checked: dict[str, Checked] = {}
    unreadable: list[GitbatchError] = []
    for path in paths or [HERE]:
        try:
            new = {one.path: one for one in linting.check(path) if one.path not in checked}
        except UsageError as error:
            unreadable.append(error)
            show_prose(f"gitbatch: {error.message}\n  {error.advice}", err=True)
            continue
        checked |= new
        for one in () if json else new.values():
            _show_diagnostics(one, form)
    if json:
        from gitbatch.view.outputs.lint import lint_output

        print_output(lint_output(tuple(checked.values()), tuple(unreadable), strict=strict))
    if unreadable or any(one.plan.errors for one in checked.values()):
        raise typer.Exit(2)
    raise typer.Exit(1 if any(one.find_failures(strict=strict) for one in checked.values()) else 0)


class _Linting(Struct, frozen=True):
    """What is done with each path of the command line."""

    directory: Path
    settings: LintSettings
    is_here: bool
    must_fix: bool

    def check(self, path: Path) -> tuple[Checked, ...]:
        """Checks a path: a plan, a folder, or `-`.

        Raises:
            UsageError: it cannot be read, or fixed.
        """
        if self.must_fix and (self.is_here or path == _STDIN):
            other = "--here, which reads the commit" if self.is_here else "standard input"
            raise UsageError(f"--fix cannot fix {other}", "fix a plan of the disk: gitbatch lint --fix")
        if self.is_here:
            return self._check_commit(path)
        return self._check_input() if path == _STDIN else self._check_file(path)

    def _check_commit(self, path: Path) -> tuple[Checked, ...]:
        """Checks what a run would read."""
        repo, refusals = open_to_start(self.directory)
        with closing(repo):
            full = self.directory / path
            is_folder = full.is_dir()
            choice = choose_plan(repo, full if is_folder else self.directory, None if is_folder else path)
            return lint_start(repo, choice, self.settings, refusals)

    def _check_input(self) -> tuple[Checked, ...]:
        """Checks standard input as if the active plan had its text."""
        text = sys.stdin.buffer.read()
        try:
            home = self.directory / find_active_plan(self.directory, find_checkout_files)
        except PlanError:
            home = self.directory / PLAN_FILE
        plan, *others = lint_plan(home, self.settings, text)
        return replace(plan, path="<stdin>"), *others

    def _check_file(self, path: Path) -> tuple[Checked, ...]:
        """Checks a plan of the disk; of a folder, its own, else the active one."""
        full = self.directory / path
        if full.is_dir():
            is_own = path != HERE and (full / PLAN_FILE).is_file()
            full = full / (PLAN_FILE if is_own else find_active_plan(full, find_checkout_files))
        fixed = fix_plan_on_disk(full, find_checkout_files) if self.must_fix else ()
        if fixed:
            lines = ", ".join(str(line) for line in sorted({diagnostic.line for diagnostic in fixed}))
            count = format_count(len(fixed), "place")
            typer.echo(f"{full}: fixed {count} (line{'s' * (', ' in lines)} {lines})", err=True)
        return lint_plan(full, self.settings)


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
    use_utf_8()
    show = diagnostic_json if form is Format.JSON else diagnostic_annotation
    for diagnostic in diagnostics:
        typer.echo(show(diagnostic, checked.path))
