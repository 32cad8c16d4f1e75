"""What one reading of a plan has to say: diagnostics, collected at their places.

Every stage of the parser gets the same `Findings` and adds to it; nothing is decided by what is in it.
"""

from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.plan.help_texts import Advice, Language
from gitbatch.plan.model import Diagnostic, Edit, Severity
from gitbatch.plan.source import Source, Span
from gitbatch.text import clean_text


class _Finding(Struct, frozen=True):
    """A diagnostic whose language is not known yet: the work section's title decides it."""

    code: str
    severity: Severity
    span: Span
    message: str
    advice: Advice
    fix: tuple[Span, str] | None = None


class Findings(Struct, frozen=True):
    """Diagnostics about one source, in the order in which they were found."""

    source: Source
    _found: list[_Finding] = field(default_factory=list)

    def error(
        self, code: str, span: Span, message: str, advice: Advice, fix: tuple[Span, str] | None = None
    ) -> None:
        """Something that keeps the plan from running. `fix`: a span, and the text that would stand there."""
        self._found.append(_Finding(code, Severity.ERROR, span, message, advice, fix))

    def warning(
        self, code: str, span: Span, message: str, advice: Advice, fix: tuple[Span, str] | None = None
    ) -> None:
        """Something that is probably not meant, but harms nothing. `fix` as for an error."""
        self._found.append(_Finding(code, Severity.WARNING, span, message, advice, fix))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to say so far."""
        return not self._found

    def in_order(self, language: Language = Language.EN) -> tuple[Diagnostic, ...]:
        """All of them, in document order, with their help in a language."""
        ordered = sorted(self._found, key=lambda f: (*f.span, f.code))
        return tuple(self._make_diagnostic(found, language) for found in ordered)

    def _make_diagnostic(self, found: _Finding, language: Language) -> Diagnostic:
        advice, source = found.advice.in_language(language), self.source
        made = source.diagnostic(found.code, found.severity, found.span, found.message, advice)
        if found.fix is None:
            return made
        (start, end), text = found.fix
        return replace(made, fix=Edit(source.byte(start), source.byte(end), text.encode()))


def quoted(text: str) -> str:
    """A piece of the plan as a message shows it: one short harmless line in quotation marks."""
    return f"“{clean_text(text, 60)}”"
