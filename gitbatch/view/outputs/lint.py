"""The output of `gitbatch lint --json`."""

from msgspec import Struct

from gitbatch.errors import ErrorKind, FilePlace, GitbatchError
from gitbatch.plan.render import summary
from gitbatch.project.lint import Checked
from gitbatch.view.diagnostics import LintFinding, make_finding
from gitbatch.view.envelope import Envelope, ErrorReport, describe_error, make_report


class LintedFile(Struct, frozen=True):
    """A file that was checked."""

    path: str
    groups: int
    items: int
    errors: int
    warnings: int


class LintOutput(Envelope, frozen=True):
    """What was checked and found; `ok` is false if there are errors, or with `--strict` warnings."""

    files: tuple[LintedFile, ...]
    findings: tuple[LintFinding, ...]


def lint_output(
    checked: tuple[Checked, ...], unreadable: tuple[GitbatchError, ...], *, strict: bool
) -> LintOutput:
    """Returns the output of a check. `unreadable`: the errors of the files that could not be read."""
    files = tuple(
        LintedFile(
            one.path,
            len(one.plan.groups),
            len(one.plan.items),
            len(one.plan.errors),
            len(one.plan.diagnostics) - len(one.plan.errors),
        )
        for one in checked
    )
    findings = tuple(make_finding(d, one.path) for one in checked for d in one.plan.diagnostics)
    error = describe_error(unreadable[0]).error if unreadable else _describe_findings(checked, strict=strict)
    return LintOutput(files, findings, ok=error is None, error=error)


def _describe_findings(checked: tuple[Checked, ...], *, strict: bool) -> ErrorReport | None:
    """Returns the error of a check that has found something to fix, with the place of the first."""
    found = [(one, d) for one in checked for d in one.find_failures(strict=strict)]
    if not found:
        return None
    one, first = found[0]
    message = summary(d for each in checked for d in each.plan.diagnostics)
    return make_report(
        ErrorKind.FINDINGS,
        message,
        "fix what the findings name",
        FilePlace(one.path, first.line, first.column),
    )
