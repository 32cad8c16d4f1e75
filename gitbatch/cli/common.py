"""Shared by the commands: common options, opening the repository, choosing the output."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from platformdirs import user_cache_path

from gitbatch.cli.verbosity import show_note
from gitbatch.errors import UsageError
from gitbatch.project.control import PlanChoice
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.view.page import PlainPage

if TYPE_CHECKING:
    from gitbatch.view.envelope import Envelope, ErrorOutput
    from gitbatch.view.terminal import Terminal


def _start_below(context: typer.Context, value: Path) -> Path:
    """Returns the folder of `-C`: relative to that of a `-C` before the verb."""
    above: Path = context.find_root().params.get("directory") or HERE
    return value if context.parent is None else above / value


HERE = Path()
Directory = Annotated[
    Path,
    typer.Option(
        "-C", metavar="DIR", help="Run as if started in DIR.", show_default=False, callback=_start_below
    ),
]
Json = Annotated[bool, typer.Option("--json", help="For programs: one JSON object on a line.")]
PlanPath = Annotated[
    Path | None,
    typer.Argument(
        metavar="[TASK_MD]", help="The plan; by default the active phase's, else the nearest task.md."
    ),
]


@contextmanager
def open_repository_of(directory: Path, *, read_only: bool = False) -> Iterator[Repository]:
    """Yields the repository that contains a directory, and closes it. `read_only` needs no identity of the user."""
    repo = open_repository(directory, read_only=read_only)
    try:
        yield repo
    finally:
        repo.close()


def make_page() -> "PlainPage | Terminal":
    """Returns the page on standard output: with colour for a terminal, or if FORCE_COLOR is set."""
    if sys.stdout.isatty() or os.environ.get("FORCE_COLOR"):
        from gitbatch.view.terminal import Terminal

        return Terminal()
    return PlainPage(sys.stdout)


def print_output(output: "Envelope | ErrorOutput") -> None:
    """Prints the output of a command for programs: one line."""
    from gitbatch.view.envelope import encode_output

    use_utf_8()
    typer.echo(encode_output(output))


def use_utf_8() -> None:
    """Writes standard output as UTF-8: JSON is, whatever the terminal is."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def chosen_worktrees() -> Path | None:
    """Returns the folder for worktrees that the environment names, if any."""
    named = os.environ.get("GITBATCH_WORKTREES")
    return Path(named).expanduser() if named else None


def cache_dir() -> Path:
    """Returns the user's cache folder for gitbatch, or the one that the environment names."""
    named = os.environ.get("GITBATCH_CACHE")
    return Path(named).expanduser().absolute() if named else user_cache_path("gitbatch")


def tell_waiting(text: str) -> None:
    """Reports what a command waits for before it begins."""
    show_note(f"gitbatch: {text}")


def choose_plan(repo: Repository, directory: Path, path: Path | None) -> PlanChoice:
    """Returns the plan that the command line names, else the choice of the nearest one.

    Raises:
        UsageError: it is outside the repository.
    """
    if path is None:
        here, root = directory.resolve(), repo.root.resolve()
        return PlanChoice(folder="/".join(here.relative_to(root).parts) if here.is_relative_to(root) else "")
    named = directory / path
    full = Path(os.path.normpath(named.parent.resolve() / named.name))
    try:
        return PlanChoice(full.relative_to(repo.root.resolve()).as_posix())
    except ValueError:
        raise UsageError(
            f"{path} is outside the repository {repo.root}", "name the plan of this repository"
        ) from None
