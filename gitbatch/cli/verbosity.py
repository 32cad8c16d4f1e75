"""How much the commands say: `-q` and `-v`, before the verb or after it.

Quiet: results, failures and errors. Verbose: also what agents read.
"""

import shutil
import sys
from contextvars import ContextVar
from enum import IntEnum
from typing import Annotated, Any

import typer


class Verbosity(IntEnum):
    """How much is said."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


_LEVEL: ContextVar[Verbosity] = ContextVar("verbosity", default=Verbosity.NORMAL)


def _choose_quiet(*, wanted: bool) -> None:
    if wanted:
        _LEVEL.set(Verbosity.QUIET)


def _choose_verbose(*, wanted: bool) -> None:
    if wanted:
        _LEVEL.set(Verbosity.VERBOSE)


Quiet = Annotated[
    bool,
    typer.Option(
        "-q",
        "--quiet",
        help="Show results, failures and errors only.",
        callback=lambda value: _choose_quiet(wanted=value),
        expose_value=False,
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "-v",
        "--verbose",
        help="Show more, such as what each agent reads.",
        callback=lambda value: _choose_verbose(wanted=value),
        expose_value=False,
    ),
]


def reset_level() -> None:
    """Forgets what an earlier command in this process chose."""
    _LEVEL.set(Verbosity.NORMAL)


def is_quiet() -> bool:
    """Whether the user wants results and errors only."""
    return _LEVEL.get() is Verbosity.QUIET


def is_verbose() -> bool:
    """Whether the user wants more than usual."""
    return _LEVEL.get() is Verbosity.VERBOSE


def show_prose(text: str, *, err: bool = False) -> None:
    """Shows a text; in a terminal it is wrapped at words."""
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        from gitbatch.view.wrapping import wrap_text

        text = wrap_text(text, shutil.get_terminal_size().columns)
    typer.echo(text, err=err)


def show_text(text: str) -> None:
    """Shows what a command has done, unless it is to be quiet."""
    if not is_quiet():
        show_prose(text)


def show_note(text: str) -> None:
    """Shows a note on standard error, unless the command is to be quiet."""
    if not is_quiet():
        show_prose(text, err=True)


def make_level_options() -> list[Any]:
    """Returns `-q` and `-v` as parameters of a command; the parser's types are typer's own."""
    app = typer.Typer(add_completion=False)

    @app.command()
    def _options(quiet: Quiet = False, verbose: Verbose = False) -> None:
        """Has the options that every command gets."""

    return [option for option in typer.main.get_command(app).params if option.name in {"quiet", "verbose"}]
