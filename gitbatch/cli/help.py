"""`gitbatch help`: the documentation, which ships with the program, and the help of the commands."""

import io
import shutil
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Annotated

import typer

from gitbatch.cli.common import Json, print_output
from gitbatch.cli.lazy import load_command
from gitbatch.cli.pager import read_git_variables, show_in_pager
from gitbatch.cli.verbs import VERBS
from gitbatch.errors import UsageError
from gitbatch.plan.spelling import nearest
from gitbatch.resources import resource
from gitbatch.view.block import make_line
from gitbatch.view.help_page import render_page
from gitbatch.view.outputs.help import HelpOutput, HelpTopic

Topic = Annotated[
    str | None,
    typer.Argument(metavar="[TOPIC]", help="A page or a command; without it, the pages are listed."),
]


Manual = Annotated[bool, typer.Option("--man", help="Print the manual page, in the language of man.")]


def show_help(topic: Topic = None, man: Manual = False, json: Json = False) -> None:
    """Show a page of the documentation or the help of a command, or list the pages."""
    if man:
        from gitbatch.cli.manual import render_manual

        typer.echo(render_manual(), nl=False)
        return
    pages = read_pages()
    if json:
        _print_output(pages, topic)
    elif topic is not None:
        show_in_pager(read_git_variables(), (make_line(_find_text(pages, topic).removesuffix("\n")),))
    else:
        width = max(map(len, pages))
        for name, text in pages.items():
            typer.echo(f"{name:{width}}  {find_title(text)}")
        typer.echo("\ngitbatch help TOPIC shows a page; gitbatch --help lists the commands.")


def _find_text(pages: Mapping[str, str], topic: str) -> str:
    """Returns a page, or the help of a command.

    Raises:
        UsageError: the topic is unknown.
    """
    targets = {name: target for name, target, _ in VERBS}
    if topic in pages:
        page = pages[topic]
        return render_page(page, shutil.get_terminal_size().columns) if sys.stdout.isatty() else page
    if topic in targets:
        return _read_command_help(topic, targets[topic])
    known = (*pages, *targets)
    near = nearest(topic, known, 2)
    meant = f"did you mean {near}? " if near else ""
    raise UsageError(f"unknown help topic {topic!r}", f"{meant}topics: {', '.join(known)}")


def _read_command_help(name: str, target: str) -> str:
    """Returns what `--help` of a command shows."""
    shown = io.StringIO()
    with redirect_stdout(shown):
        load_command(name, target).main(["--help"], prog_name=f"gitbatch {name}", standalone_mode=False)
    return shown.getvalue().strip("\n")


def _print_output(pages: Mapping[str, str], topic: str | None) -> None:
    commands = tuple(HelpTopic(name, summary) for name, _, summary in VERBS)
    topics = tuple(HelpTopic(name, find_title(text)) for name, text in pages.items())
    print_output(HelpOutput((*topics, *commands), topic, None if topic is None else _find_text(pages, topic)))


def read_pages() -> dict[str, str]:
    """Returns the text of each page of the documentation for users, by its name."""
    paths = sorted(resource("docs").glob("*.md"))
    return {path.stem: path.read_text(encoding="utf-8") for path in paths}


def find_title(text: str) -> str:
    """Returns a page's first heading."""
    return next((line.lstrip("# ") for line in text.splitlines() if line.startswith("# ")), "")
