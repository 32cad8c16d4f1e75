"""Keys of clauses without an arrow or a bracket, which declare nothing: reported (GB210), with how to write the clause.

A key counts if its colon is followed by a value that such a clause has: a file with an ending or in backticks, a number
of the Definition of Done, an id, a word at the end of the line. “Context: what users say” is text.
"""

import re
from collections.abc import Sequence
from functools import cache

from gitbatch.patterns import compile_later
from gitbatch.plan import help_texts
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.help_texts import Advice
from gitbatch.plan.inline import COMMENT, HIDDEN
from gitbatch.plan.source import Span

_FILE = rf"(?:{HIDDEN}+|[^\s,;()`]*[\w-]\.[A-Za-z]\w{{0,9}})"
_ID = r"[A-Z]{1,8}-?[0-9][\w.]*"
_END = rf"[ \t.{COMMENT}]*(?=[→⇒]|[-=]>|$)"
_FORMS = (
    (r"Output|Ausgabe", rf"{_FILE}{_END}", help_texts.WRITE_OUTPUT),
    (r"Context|Kontext", rf"\+?{_FILE}(?:[ \t]*[,;][ \t]*\+?{_FILE})*{_END}", help_texts.WRITE_CONTEXT),
    (r"After|Nach", rf"{_ID}(?:[ \t]*[,;][ \t]*{_ID})*{_END}", help_texts.WRITE_AFTER),
    (r"DoD", r"#?[0-9]{1,9}\b", help_texts.WRITE_DOD),
    (r"Agent", rf"[\w-]+{_END}", help_texts.WRITE_AGENT),
)
_EMPHASIS = r"(?:\*\*|__|\*|_)?"
_ANY_KEY = compile_later(
    r"(?:output|ausgabe|context|kontext|after|nach|dod|agent)[*_]{0,2}\s*:", re.IGNORECASE
)
_OPENED = compile_later(rf"[>(\u2190-\u21ff\u2794-\u27be\u27f0-\u27ff]\s*{_EMPHASIS}$")
"""Behind an arrow of any kind: those that open no clause are reported by themselves."""
_LEAD = 20
"""The most characters that are looked at for an arrow."""


def report_bare_keys(mask: str, start: int, clauses: Sequence[Span], findings: Findings) -> None:
    """Says of each key without an arrow that it has no effect.

    Args:
        mask: a part of an item, with code spans, links and comments hidden.
        start: the place of that part in the source.
        clauses: the places of clauses in the source, in order; a key inside of one is reported elsewhere.
        findings: receives what is found.
    """
    if not _ANY_KEY.search(mask):
        return
    for pattern, advice in _compile_forms():
        inside = iter(clauses)
        clause = next(inside, None)
        for found in pattern.finditer(mask):
            span = Span(start + found.start("key"), start + found.end("key"))
            while clause and clause.end <= span.start:
                clause = next(inside, None)
            is_inside = clause is not None and clause.start <= span.start
            if not is_inside and not _OPENED.search(
                mask, max(0, found.start("key") - _LEAD), found.start("key")
            ):
                message = f"{quoted(found['key'] + ':')} has no effect without an arrow before it"
                findings.warning("GB210", span, message, advice)


@cache
def _compile_forms() -> tuple[tuple[re.Pattern[str], Advice], ...]:
    """Returns the pattern of each form, with its advice. Compiled when it is needed first: few plans have such keys."""
    return tuple(
        (
            re.compile(
                rf"(?<![\w/.`-])(?P<key>{keys}){_EMPHASIS}\s*:{_EMPHASIS}[ \t]+{value}",
                re.IGNORECASE | re.MULTILINE,
            ),
            advice,
        )
        for keys, value, advice in _FORMS
    )
