"""`gitbatch verify`: audits a history without trusting it, for CI."""

from typing import Annotated

import typer

from gitbatch.batch.history.verify.audit import Audit, audit_history
from gitbatch.cli.common import HERE, Directory, Json, open_repository_of, print_output
from gitbatch.cli.verbosity import show_note, show_prose
from gitbatch.text import format_count
from gitbatch.view.outputs.verify import verify_output


def verify(
    revisions: Annotated[
        str, typer.Argument(metavar="RANGE", help="A range A..B, or a revision: all that it has.")
    ] = "HEAD",
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Audit the commits of gitbatch in a history. Changes nothing. Exits with 1 if there are findings."""
    with open_repository_of(directory, read_only=True) as repo:
        found = audit_history(repo, revisions)
    if json:
        print_output(verify_output(found))
    else:
        _show_findings(found)
    for end in found.ends:
        show_note(f"note: this clone ends at {end[:12]}; what is older was not seen")
    raise typer.Exit(1 if found.findings else 0)


def _show_findings(found: Audit) -> None:
    for finding in found.findings:
        show_prose(f"{finding.commit[:12]}  {finding.rule} {finding.check}: {finding.message}")
    result = format_count(len(found.findings), "finding") if found.findings else "nothing found"
    earlier = f"; {found.unjudged} of gitbatch 0.1 not judged" if found.unjudged else ""
    show_prose(f"{format_count(found.judged, 'commit')} of gitbatch judged, {result}{earlier}")
