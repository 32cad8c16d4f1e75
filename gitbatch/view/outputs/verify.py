"""The output of `gitbatch verify --json`."""

from typing import TYPE_CHECKING

from gitbatch.batch.history.verify.audit import Audit, AuditFinding
from gitbatch.errors import ErrorKind
from gitbatch.text import format_count
from gitbatch.view.envelope import Envelope, make_report

if TYPE_CHECKING:
    from gitbatch.batch.by_hand.recheck import Recheck

_ADVICE = "look at each commit: git show COMMIT"


class VerifyOutput(Envelope, frozen=True):
    """The result of an audit; `ok` is false if there are findings."""

    judged: int
    """The number of commits of gitbatch that were judged."""
    unjudged: int
    """The number of commits of gitbatch 0.1, which are not judged."""
    findings: tuple[AuditFinding, ...]
    """The oldest commit first."""
    ends: tuple[str, ...]
    """The commits whose parents a shallow clone lacks: neither they nor older commits are judged."""
    checked_by: str = ""
    """With `--checks`, the commit whose configuration and plan say which checks were run again."""
    checks_run: int = 0
    """The number of checks and gates that were run again; those that are red are among the findings."""
    no_verdict: tuple[AuditFinding, ...] = ()
    """Those of them that could not judge."""
    checks_not_run: int = 0
    """The number of checks of agents, which are not run again."""


def verify_output(audit: Audit, again: "Recheck | None" = None) -> VerifyOutput:
    """Returns the output of an audit. `again`: what its checks say now."""
    findings = (*audit.findings, *(again.findings if again else ()))
    missing = again.no_verdict if again else ()
    error = None
    if findings:
        message = (
            f"{format_count(len(findings), 'finding')} in {format_count(audit.judged, 'commit')} of gitbatch"
        )
        error = make_report(ErrorKind.FINDINGS, message, _ADVICE)
    elif missing:
        message = f"{format_count(len(missing), 'check')} gave no verdict"
        error = make_report(ErrorKind.FAILED, message, "see to the reason of each, then run it again")
    return VerifyOutput(
        judged=audit.judged,
        unjudged=audit.unjudged,
        findings=findings,
        ends=audit.ends,
        checked_by=again.source if again else "",
        checks_run=again.runs if again else 0,
        no_verdict=missing,
        checks_not_run=again.not_run if again else 0,
        ok=error is None,
        error=error,
    )
