"""`gitbatch verify`: audits a history without trusting it, for CI."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from gitbatch.batch.history.verify.audit import Audit, audit_history
from gitbatch.cli.common import (
    HERE,
    Directory,
    Json,
    cache_dir,
    chosen_worktrees,
    open_repository_of,
    print_output,
)
from gitbatch.cli.interruption import interrupted_by_signals
from gitbatch.cli.verbosity import show_note, show_prose
from gitbatch.errors import ExitCode, UsageError
from gitbatch.repo.repository import Repository
from gitbatch.text import format_count
from gitbatch.view.outputs.verify import verify_output

if TYPE_CHECKING:
    from gitbatch.batch.by_hand.recheck import Recheck


def verify(
    revisions: Annotated[
        str, typer.Argument(metavar="RANGE", help="A range A..B, or a revision: all that it has.")
    ] = "HEAD",
    checks: Annotated[
        bool,
        typer.Option(
            "--checks", help="Run the checks and gates again, sandboxed, as the start of the range has them."
        ),
    ] = False,
    config: Annotated[
        str | None, typer.Option("--config", metavar="REV", help="With --checks: as this commit has them.")
    ] = None,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Audit the commits of gitbatch in a history. Changes nothing. Exits with 1 if there are findings."""
    if config is not None and not checks:
        raise UsageError("--config says whose checks --checks runs", "add --checks, or leave it out")
    with open_repository_of(directory, read_only=True) as repo:
        found = audit_history(repo, revisions)
        again = _run_again(repo, revisions, config) if checks else None
    if json:
        print_output(verify_output(found, again))
    else:
        _show_findings(found, again)
    for end in found.ends:
        show_note(f"note: this clone ends at {end[:12]}; what is older was not seen")
    if found.findings or (again and again.findings):
        raise typer.Exit(ExitCode.FAILED)
    raise typer.Exit(ExitCode.TRY_AGAIN if again and again.no_verdict else ExitCode.DONE)


def _run_again(repo: Repository, revisions: str, config: str | None) -> "Recheck":
    from gitbatch.batch.by_hand.recheck import recheck_history
    from gitbatch.batch.by_hand.trees import CheckHost
    from gitbatch.batch.planning.start_checks import Folders

    host = CheckHost(os.environ, Folders(chosen_worktrees(), cache_dir()))
    with interrupted_by_signals():
        return recheck_history(repo, revisions, config, host)


def _show_findings(found: Audit, again: "Recheck | None") -> None:
    rerun = (*again.findings, *again.no_verdict) if again else ()
    for finding in (*found.findings, *rerun):
        show_prose(f"{finding.commit[:12]}  {finding.rule} {finding.check}: {finding.message}")
    if again:
        agents = f", {format_count(again.not_run, 'check')} of agents not" if again.not_run else ""
        show_prose(f"{format_count(again.runs, 'check')} and gates run again by {again.source[:12]}{agents}")
    show_prose(describe_result(found, again))


def describe_result(found: Audit, again: "Recheck | None" = None) -> str:
    """Returns the last line of an audit: what was judged, and what was found, by the checks that ran again too."""
    findings = len(found.findings) + len(again.findings if again else ())
    missing = len(again.no_verdict if again else ())
    result = format_count(findings, "finding") if findings else "nothing found"
    unsure = f"; {missing} without a verdict" if missing else ""
    earlier = f"; {found.unjudged} of gitbatch 0.1 not judged" if found.unjudged else ""
    return f"{format_count(found.judged, 'commit')} of gitbatch judged, {result}{unsure}{earlier}"
