"""The command line as a whole: the group of verbs, and how an error is shown."""

import errno
import io
import os
import sys
from pathlib import Path
from typing import Annotated, TextIO

import typer

from gitbatch import __version__
from gitbatch.cli.report_error import (
    USAGE_ERROR,
    report_error,
    report_interruption,
    report_unexpected,
    report_usage,
    wants_json,
)
from gitbatch.cli.verbosity import Quiet, Verbose, reset_level
from gitbatch.cli.verbs import Verbs
from gitbatch.errors import ExitCode, GitbatchError
from gitbatch.view.encoding import ASCII_FORMS

app = typer.Typer(
    cls=Verbs,
    name="gitbatch",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"gitbatch {__version__}")
        raise typer.Exit


@app.callback()
def root(
    directory: Annotated[  # noqa: ARG001  # the option -C of each verb reads it
        Path, typer.Option("-C", metavar="DIR", help="Run as if started in DIR.", show_default=False)
    ] = Path(),
    quiet: Quiet = False,  # noqa: ARG001  # its callback does the work
    verbose: Verbose = False,  # noqa: ARG001  # as above
    version: Annotated[  # noqa: ARG001  # the callback does the work
        bool,
        typer.Option(
            "-V",
            "--version",
            help="Show the version.",
            is_eager=True,
            callback=lambda wanted: _show_version(wanted=wanted),
        ),
    ] = False,
) -> None:
    """A plan in task.md becomes one reviewed commit per group, and no agent can put anything into history but its one file."""
    _require_current_folder()


def _require_current_folder() -> None:
    """Refuses to run in a deleted folder, where relative paths (also of `-C`) have no meaning.

    Raises:
        GitbatchError: the current folder is gone.
    """
    try:
        os.getcwd()  # noqa: PTH109  # Path.cwd() is the same call
    except OSError as error:
        raise GitbatchError(
            f"the current folder cannot be used: {error.strerror}",
            "it was probably deleted or renamed: change into the repository (cd) and run the command again",
        ) from error


def main() -> None:
    """Runs the command line and exits with its code."""
    _open_closed_streams()
    try:
        _run_app()
    finally:
        discard_unseen()


def _run_app() -> None:
    reset_level()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ASCII_FORMS)  # a name that cannot be shown must not stop the run
    json = wants_json(sys.argv[1:])
    try:
        code = app(standalone_mode=not json)
    except BrokenPipeError:
        _discard_output(sys.stdout)
        sys.exit(ExitCode.FAILED)
    except GitbatchError as error:
        sys.exit(report_error(error, json=json))
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:  # noqa: BLE001  # an internal error must leave a traceback and an exit code
        is_usage = isinstance(error, USAGE_ERROR)
        sys.exit((report_usage if is_usage else report_unexpected)(error, json=json))
    if code == ExitCode.INTERRUPTED and not isinstance(code, ExitCode):  # typer's, for Ctrl-C before a run
        report_interruption(json=json)
    sys.exit(code or ExitCode.DONE)


def _open_closed_streams() -> None:
    """Opens the null device for a standard output or error that was closed at the start (`>&-`)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - until the end


def discard_unseen() -> None:
    """Discards what is left for a terminal that was closed: Python would exit with 120 instead of the command's code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            if error.errno == errno.EIO:
                _discard_output(stream)


def _discard_output(stream: TextIO) -> None:
    """Discards what is left in a stream's buffer: the reader has closed its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
