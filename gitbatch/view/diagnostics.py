"""The diagnostics of a plan: in colour for people, as JSON or as workflow annotations for programs."""

import msgspec
from msgspec import Struct

from gitbatch.batch.events import SCHEMA
from gitbatch.plan.model import Diagnostic, Severity
from gitbatch.plan.render import render_diagnostic
from gitbatch.text import clean_text
from gitbatch.view.block import StyledLine, make_line

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow"}


class LintFinding(Struct, frozen=True):
    """A diagnostic as one line of JSON. `start`, `end`: byte offsets; line and column: from 1, in characters."""

    path: str
    code: str
    severity: Severity
    message: str
    help: str
    line: int
    column: int
    start: int
    end: int
    schema: int = SCHEMA


def diagnostic_lines(diagnostic: Diagnostic, source: bytes, path: str) -> StyledLine:
    """Returns a diagnostic for people, with its severity, its caret and its help in colour."""
    head, shown, caret, *advice = render_diagnostic(diagnostic, source, path).split("\n")
    position, _, message = head.partition(f"{diagnostic.code} {diagnostic.severity}: ")
    style = _STYLES[diagnostic.severity]
    return make_line(
        (position, "bold"),
        (f"{diagnostic.code} {diagnostic.severity}: ", style),
        (message, "bold"),
        f"\n{shown}\n",
        (caret, style),
        ("\n" + "\n".join(advice), "cyan"),
    )


def make_finding(diagnostic: Diagnostic, path: str) -> LintFinding:
    """Returns a diagnostic for programs."""
    d = diagnostic
    return LintFinding(path, d.code, d.severity, d.message, d.help, d.line, d.column, d.start, d.end)


def diagnostic_json(diagnostic: Diagnostic, path: str) -> str:
    """Returns a diagnostic as one line of JSON."""
    return msgspec.json.encode(make_finding(diagnostic, path)).decode()


def diagnostic_annotation(diagnostic: Diagnostic, path: str) -> str:
    """Returns a diagnostic as a GitHub workflow command, which shows it at its line in a review."""
    position = f"file={_escape_property(path)},line={diagnostic.line},col={diagnostic.column}"
    text = _escape_message(f"{diagnostic.message}\n{diagnostic.help}")
    return f"::{diagnostic.severity} {position},title={_escape_property(diagnostic.code)}::{text}"


def _escape_message(text: str) -> str:
    lines = (clean_text(line, 2000) for line in text.split("\n"))
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _escape_property(text: str) -> str:
    return _escape_message(text).replace(":", "%3A").replace(",", "%2C")
