"""The output of `gitbatch check --json`."""

from msgspec import Struct

from gitbatch.batch.by_hand.check import HandRun
from gitbatch.checks.verdict import VERDICT_WORDS, CheckVerdict
from gitbatch.errors import ErrorKind
from gitbatch.paths import quote_path
from gitbatch.text import CleanText, format_count
from gitbatch.view.envelope import Envelope, make_report


class CheckedOutput(Struct, frozen=True):
    """The result of a check of an output, or of a gate."""

    output: str
    """Its path; empty: a gate, which judges the whole tree."""
    name: str
    verdict: CheckVerdict
    seconds: float
    reason: CleanText
    findings: tuple[CleanText, ...]
    """What it printed, if it did not pass."""


class SkippedReview(Struct, frozen=True):
    """A check of an agent, which is not run by hand."""

    output: str
    name: str


class CheckOutput(Envelope, frozen=True):
    """The results of checks by hand; `ok` is false if one is red or gave no verdict."""

    commit: str
    """Empty: the files of the working tree were checked."""
    results: tuple[CheckedOutput, ...]
    unchecked: tuple[str, ...]
    """Named outputs that have no check."""
    not_run: tuple[SkippedReview, ...]


def check_output(run: HandRun) -> CheckOutput:
    """Returns the output of checks by hand."""
    rows = tuple(
        CheckedOutput(
            output=quote_path(each.output),
            name=each.result.name,
            verdict=each.result.verdict,
            seconds=each.result.seconds,
            reason=each.result.reason,
            findings=each.result.findings,
        )
        for each in run.results
    )
    bad = [row for row in rows if not row.verdict.lets_through]
    error = None
    if bad:
        first = bad[0]
        message = (
            f"{format_count(len(bad), 'check')} did not pass: {first.name} {VERDICT_WORDS[first.verdict]}"
        )
        error = make_report(ErrorKind.FAILED, f"{message}: {first.reason}", "see the findings of each")
    return CheckOutput(
        run.commit,
        rows,
        tuple(map(quote_path, run.unchecked)),
        tuple(SkippedReview(quote_path(output), name) for output, name in run.not_run),
        ok=not bad,
        error=error,
    )
