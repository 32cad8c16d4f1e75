"""`gitbatch rescue`: lists the files that rescue refs keep, and writes one to the checkout."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from gitbatch.batch.history.rescued_files import RescuedFile, list_rescued, take_rescued
from gitbatch.cli.common import HERE, Directory, Json, make_page, open_repository_of, print_output
from gitbatch.cli.verbosity import show_text
from gitbatch.view.outputs.rescue import RescueOutput
from gitbatch.view.rescued import render_rescued_files

app = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    help="List what is kept of failed and unmerged items, and write it to the checkout.",
)


@app.callback()
def root(context: typer.Context, json: Json = False, directory: Directory = HERE) -> None:
    """List what is kept of failed and unmerged items, and write it to the checkout."""
    if context.invoked_subcommand is None:
        list_files(json=json, directory=directory)


@app.command("list")
def list_files(json: Json = False, directory: Directory = HERE) -> None:
    """List the kept files, the oldest batch first. Changes nothing."""
    with open_repository_of(directory, read_only=True) as repo:
        found = list_rescued(repo)
    if json:
        print_output(RescueOutput(found))
        return
    make_page().show_block(render_rescued_files(found))


@app.command()
def take(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="An id, a path or a ref, as the list has it.")],
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Write a kept file to its path in the checkout. Never overwrites a change of yours."""
    with open_repository_of(directory, read_only=True) as repo:
        taken = take_rescued(repo, item)
        folder_option = "" if Path.cwd() == repo.root else f" -C {shlex.quote(str(repo.root))}"
    if json:
        print_output(RescueOutput(taken=taken))
        return
    show_text(f"wrote {taken.path}   ({_describe(taken)})")
    show_text(f"nothing is staged; if it is good: git{folder_option} add {shlex.quote(taken.path)}")


def _describe(taken: RescuedFile) -> str:
    return f"{taken.name}, attempt {taken.attempt}" if taken.attempt else f"{taken.name}, finished"
