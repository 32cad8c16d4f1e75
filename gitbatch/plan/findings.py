"""What one reading of a plan has to say: diagnostics, collected at their places.

Every stage of the parser gets the same `Findings` and adds to it; nothing is decided by what is in it.
"""

from msgspec import Struct, field

from gitbatch.plan.model import Diagnostic, Severity
from gitbatch.plan.source import Source, Span
from gitbatch.text import clean_text


class Findings(Struct, frozen=True):
    """Diagnostics about one source, in the order in which they were found."""

    source: Source
    _found: list[Diagnostic] = field(default_factory=list)

    def error(self, code: str, span: Span, message: str, advice: str) -> None:
        """Something that keeps the plan from running."""
        self._found.append(self.source.diagnostic(code, Severity.ERROR, span, message, advice))

    def warning(self, code: str, span: Span, message: str, advice: str) -> None:
        """Something that is probably not meant, but harms nothing."""
        self._found.append(self.source.diagnostic(code, Severity.WARNING, span, message, advice))

    def in_order(self) -> tuple[Diagnostic, ...]:
        """All of them, in document order."""
        return tuple(sorted(self._found, key=lambda d: (d.start, d.end, d.code)))


def quoted(text: str) -> str:
    """A piece of the plan as a message shows it: one short harmless line in quotation marks."""
    return f"“{clean_text(text, 60)}”"
