"""How an error is reported: to people on standard error; with `--json` also as an envelope on standard output."""

import os
import shutil
import sys
from collections.abc import Sequence

import typer

from gitbatch.crash import write_traceback
from gitbatch.errors import ErrorKind, ExitCode, GitbatchError, UsageError
from gitbatch.fs.disk import disk_error, expected_error

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
"""The base of the errors of a command line that cannot be parsed. typer brings click, or uses the one installed."""


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the arguments ask for JSON. They may be invalid, so that no parser can say."""
    words = list(arguments)
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def report_error(error: GitbatchError, *, json: bool) -> ExitCode:
    """Reports an expected error; returns the exit code."""
    shown = disk_error(error) or error
    if json:
        from gitbatch.cli.common import print_output
        from gitbatch.view.envelope import describe_error

        print_output(describe_error(shown))
    _show_error(shown)
    return error.code


def report_interruption(*, json: bool) -> None:
    """Reports to programs that Ctrl-C ended a command; people see it."""
    if json:
        from gitbatch.cli.common import print_output
        from gitbatch.view.envelope import ErrorOutput, make_report

        print_output(ErrorOutput(error=make_report(ErrorKind.INTERRUPTED, "interrupted")))


def report_usage(error: Exception, *, json: bool) -> ExitCode:
    """Reports a command line that cannot be parsed, with `--json`; returns the exit code."""
    said = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "gitbatch"
    return report_error(UsageError(said, f"see the options: {command} --help"), json=json)


def report_unexpected(error: Exception, *, json: bool) -> ExitCode:
    """Reports an error of the system, or an internal error with its traceback in a log; returns the exit code."""
    expected = expected_error(error) if isinstance(error, OSError) else None
    if expected:
        return report_error(expected, json=json)
    message = f"internal error; traceback written to {write_traceback(error)}"
    advice = "finished items are in git; resume: gitbatch run"
    typer.echo(f"gitbatch: {message}\n  {advice}", err=True)
    if json:
        from gitbatch.cli.common import print_output
        from gitbatch.view.envelope import ErrorOutput, make_report

        print_output(ErrorOutput(error=make_report(ErrorKind.INTERNAL, message, advice)))
    return ExitCode.BUG


def _show_error(error: GitbatchError) -> None:
    from gitbatch.view.wrapping import wrap_text

    if error.details:
        typer.echo(f"{error.details}\n", err=True)
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    prefix = typer.style("gitbatch:", fg="red", bold=True) if colour else "gitbatch:"
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else 0
    typer.echo(wrap_text(f"gitbatch: {error.message}", width).replace("gitbatch:", prefix, 1), err=True)
    for line in error.advice.splitlines():
        typer.echo(wrap_text(f"  {line}", width), err=True)
