"""`gitbatch help`: the documentation, which ships with the program."""

from typing import Annotated

import typer

from gitbatch.errors import UsageError
from gitbatch.resources import resource

Topic = Annotated[
    str | None, typer.Argument(metavar="[TOPIC]", help="A page; without it, the pages are listed.")
]


def show_help(topic: Topic = None) -> None:
    """Show a page of the documentation, or list the pages."""
    pages = read_pages()
    if topic is None:
        width = max(map(len, pages))
        for name, text in pages.items():
            typer.echo(f"{name:{width}}  {find_title(text)}")
        typer.echo("\ngitbatch help TOPIC shows a page; gitbatch --help lists the commands.")
        return
    if topic not in pages:
        raise UsageError(f"unknown help topic {topic!r}", f"topics: {', '.join(pages)}")
    typer.echo(pages[topic])


def read_pages() -> dict[str, str]:
    """Returns the text of each page of the documentation for users, by its name."""
    paths = sorted(resource("docs").glob("*.md"))
    return {path.stem: path.read_text(encoding="utf-8") for path in paths}


def find_title(text: str) -> str:
    """Returns a page's first heading."""
    return next((line.lstrip("# ") for line in text.splitlines() if line.startswith("# ")), "")
