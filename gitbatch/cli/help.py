"""`gitbatch help`: the documentation, which ships with the program."""

from collections.abc import Mapping
from typing import Annotated

import typer

from gitbatch.cli.common import Json, print_output
from gitbatch.cli.pager import read_git_variables, show_in_pager
from gitbatch.errors import UsageError
from gitbatch.resources import resource
from gitbatch.view.block import make_line
from gitbatch.view.outputs.help import HelpOutput, HelpTopic

Topic = Annotated[
    str | None, typer.Argument(metavar="[TOPIC]", help="A page; without it, the pages are listed.")
]


def show_help(topic: Topic = None, json: Json = False) -> None:
    """Show a page of the documentation, or list the pages."""
    pages = read_pages()
    if json:
        _print_output(pages, topic)
        return
    if topic is None:
        width = max(map(len, pages))
        for name, text in pages.items():
            typer.echo(f"{name:{width}}  {find_title(text)}")
        typer.echo("\ngitbatch help TOPIC shows a page; gitbatch --help lists the commands.")
        return
    page = make_line(_find_page(pages, topic).removesuffix("\n"))
    show_in_pager(read_git_variables(), (page,))


def _find_page(pages: Mapping[str, str], topic: str) -> str:
    if topic not in pages:
        raise UsageError(f"unknown help topic {topic!r}", f"topics: {', '.join(pages)}")
    return pages[topic]


def _print_output(pages: Mapping[str, str], topic: str | None) -> None:
    topics = tuple(HelpTopic(name, find_title(text)) for name, text in pages.items())
    print_output(HelpOutput(topics, topic, None if topic is None else _find_page(pages, topic)))


def read_pages() -> dict[str, str]:
    """Returns the text of each page of the documentation for users, by its name."""
    paths = sorted(resource("docs").glob("*.md"))
    return {path.stem: path.read_text(encoding="utf-8") for path in paths}


def find_title(text: str) -> str:
    """Returns a page's first heading."""
    return next((line.lstrip("# ") for line in text.splitlines() if line.startswith("# ")), "")
