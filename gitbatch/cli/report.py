"""`gitbatch report`: writes what happened in a batch as one HTML page."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from gitbatch.batch.history.record import Batch, all_batches
from gitbatch.batch.report.batch_report import read_report
from gitbatch.cli.batch_reading import find_any_batch, list_batches, select_current
from gitbatch.cli.common import HERE, Directory, Json, open_repository_of, print_output, use_utf_8
from gitbatch.cli.verbosity import show_prose
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.fs.durable import write_file
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text
from gitbatch.view.outputs.report import ReportOutput
from gitbatch.view.report.page import is_report, render_report

_BEGINNING = 1000
"""Characters of a file that tell whether it is a report."""
_STANDARD_OUTPUT = "-"


def report(
    batch: Annotated[
        str,
        typer.Argument(metavar="[BATCH]", help="Its id; by default the unfinished batch, else the last one."),
    ] = "",
    html: Annotated[
        str,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Where the page goes; - is standard output. By default into the git folder.",
        ),
    ] = "",
    opens: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Write what happened in a batch as one HTML page, from git alone: times, results, failures, decisions, costs."""
    if html == _STANDARD_OUTPUT and (opens or json):
        raise UsageError("--html - leaves no file to open or to name", "name a file, or leave --html out")
    with open_repository_of(directory, read_only=True) as repo:
        chosen = _choose_batch(repo, batch)
        page = render_report(read_report(repo, chosen))
        if html == _STANDARD_OUTPUT:
            use_utf_8()
            typer.echo(page, nl=False)
            return
        file = _choose_file(repo, chosen.id, directory / html if html else None)
    content = page.encode()
    write_file(file, content)
    if opens:
        _open_page(file)
    if json:
        print_output(ReportOutput(batch=chosen.id, file=str(file), bytes=len(content)))
    else:
        show_prose(f"report of batch {chosen.id}: {file}")


def _choose_batch(repo: Repository, name: str) -> Batch:
    """Returns the batch with an id; without one the unfinished batch, else the last one.

    Raises:
        UsageError: no batch has run, or none has this id.
    """
    batches = all_batches(repo)
    chosen = find_any_batch(repo, batches, name) if name else select_current(batches or list_batches(repo))
    if chosen is None:
        raise UsageError("no batch has run here yet", "start one: gitbatch run")
    return chosen


def _choose_file(repo: Repository, batch: str, named: Path | None) -> Path:
    """Returns the file that a report is written to.

    Raises:
        GitbatchError: something else is there.
    """
    if named is None:
        folder = repo.own_dir / batch
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "report.html"
    file = named.resolve()
    if not file.parent.is_dir():
        raise GitbatchError(
            f"the folder of {clean_text(str(file))} does not exist", "create it, or name another file"
        )
    if file.exists() and not _is_report(file):
        raise GitbatchError(
            f"{clean_text(str(file))} exists and is not a report of gitbatch: it was not written",
            "move it away, or name another file",
        )
    return file


def _is_report(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open(encoding="utf-8", errors="replace") as stream:
        return is_report(stream.read(_BEGINNING))


def _open_page(file: Path) -> None:
    """Shows a page in the user's browser.

    Raises:
        GitbatchError: no browser was found.
    """
    if not webbrowser.open(file.as_uri()):
        raise GitbatchError("no browser was found", f"open the page yourself: {file}")
