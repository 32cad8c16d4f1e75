"""The output of `gitbatch verify --json`."""

from gitbatch.batch.history.verify.audit import Audit, AuditFinding
from gitbatch.errors import ErrorKind
from gitbatch.text import format_count
from gitbatch.view.envelope import Envelope, make_report

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


def verify_output(audit: Audit) -> VerifyOutput:
    """Returns the output of an audit."""
    count = len(audit.findings)
    message = f"{format_count(count, 'finding')} in {format_count(audit.judged, 'commit')} of gitbatch"
    return VerifyOutput(
        audit.judged,
        audit.unjudged,
        audit.findings,
        audit.ends,
        ok=not count,
        error=make_report(ErrorKind.FINDINGS, message, _ADVICE) if count else None,
    )
