"""What one reading of a plan has to say: diagnostics, collected at their places.

Every stage of the parser gets the same `Findings` and adds to it; nothing is decided by what is in it.
"""

from msgspec import Struct, field

from gitbatch.plan.help_texts import Advice, Language
from gitbatch.plan.model import Diagnostic, Severity
from gitbatch.plan.source import Source, Span
from gitbatch.text import clean_text


class _Finding(Struct, frozen=True):
    """A diagnostic whose language is not known yet: the work section's title decides it."""

    code: str
    severity: Severity
    span: Span
    message: str
    advice: Advice


class Findings(Struct, frozen=True):
    """Diagnostics about one source, in the order in which they were found."""

    source: Source
    _found: list[_Finding] = field(default_factory=list)

    def error(self, code: str, span: Span, message: str, advice: Advice) -> None:
        """Something that keeps the plan from running."""
        self._found.append(_Finding(code, Severity.ERROR, span, message, advice))

    def warning(self, code: str, span: Span, message: str, advice: Advice) -> None:
        """Something that is probably not meant, but harms nothing."""
        self._found.append(_Finding(code, Severity.WARNING, span, message, advice))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to say so far."""
        return not self._found

    def in_order(self, language: Language = Language.EN) -> tuple[Diagnostic, ...]:
        """All of them, in document order, with their help in a language."""
        ordered = sorted(self._found, key=lambda f: (*f.span, f.code))
        return tuple(
            self.source.diagnostic(f.code, f.severity, f.span, f.message, f.advice.in_language(language))
            for f in ordered
        )


def quoted(text: str) -> str:
    """A piece of the plan as a message shows it: one short harmless line in quotation marks."""
    return f"“{clean_text(text, 60)}”"
