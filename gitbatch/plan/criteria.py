"""The Definition of Done: its entries, and the references to them.

Entries are counted, never matched by what they say: `#n` is the n-th top-level box (rule T2).
"""

import re
from collections.abc import Iterable, Iterator

from gitbatch.patterns import compile_later
from gitbatch.plan import help_texts
from gitbatch.plan.blocks import Box
from gitbatch.plan.clauses import Value
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.help_texts import Advice
from gitbatch.plan.inline import one_line, scan
from gitbatch.plan.model import BoxPosition, Criterion
from gitbatch.plan.source import Source, Span

_PRINTED = compile_later(
    r"\s*(?:\*\*)?(?:(?:DoD|AC)[ -]?#?|#)?([0-9]{1,6})(?:\*\*)?[.):](?=\s|\*)|\s*(?:\*\*)?(?:DoD[ -]?#?|#)([0-9]{1,6})\b"
)
_REFERENCE = compile_later(r"#?([0-9]{1,9})(?:\s*[-\u2013\u2014]\s*#?([0-9]{1,9}))?(?![0-9\w])")
_JOIN = compile_later(r"(?:\s|&|(?:und|and)\b)+", re.IGNORECASE)


def box_mark(box: Box, source: Source) -> BoxPosition:
    """What a tick needs to find a box again."""
    return BoxPosition(source.byte(box.inner), source.raw_line(box.line).encode())


def read_criteria(boxes: Iterable[Box], findings: Findings) -> tuple[Criterion, ...]:
    """The entries of the Definition of Done. Warns where printed numbers are not the real ones."""
    source = findings.source
    criteria: list[Criterion] = []
    differs = False
    for number, box in enumerate(boxes, 1):
        raw = source.text[slice(*box.text)]
        comments = scan(raw).comments if "<!--" in raw else ()
        text = one_line(raw, [(piece.start, piece.end) for piece in comments])
        criteria.append(Criterion(number, text, box.is_done(source), box_mark(box, source), box.line + 1))
        if not text:
            message = f"DoD #{number} says nothing"
            findings.warning("GB203", box.span, message, help_texts.SAY_WHAT_MUST_HOLD)
        printed = _printed(raw) or box.number
        if printed is not None and printed != number and not differs:
            differs = True
            message = f"this entry is DoD #{number}, but the number before it is {printed}"
            findings.warning("GB214", box.span, message, help_texts.COUNTED_IN_ORDER)
    return tuple(criteria)


def _printed(text: str) -> int | None:
    """The number that an entry's text gives itself."""
    match = _PRINTED.match(text)
    return int(match[1] or match[2]) if match else None


def read_references(values: Iterable[Value], count: int, findings: Findings) -> tuple[int, ...]:
    """The DoD entries that an item names, each once, in order. Reports those that do not exist."""
    ranges: list[tuple[int, int]] = []
    for value in values:
        for first, last, span in _ranges(value, findings):
            missing = next((number for number in (first, last) if not 1 <= number <= count), None)
            if missing is not None:
                entries = f"{count} {'entry' if count == 1 else 'entries'}"
                advice = _choices(count)
                findings.error("GB214", span, f"DoD #{missing} does not exist ({entries})", advice)
            elif last < first:
                message = f"{quoted(f'#{first}-#{last}')} runs backwards"
                findings.error("GB213", span, message, help_texts.LOWER_FIRST)
            else:
                ranges.append((first, last))
    return tuple(_numbers(ranges))


def _choices(count: int) -> Advice:
    if not count:
        return help_texts.ADD_DOD
    return help_texts.ONLY_FIRST_DOD if count == 1 else help_texts.NAME_DOD.fill(last=str(count))


def _numbers(ranges: list[tuple[int, int]]) -> Iterator[int]:
    covered = 0
    for first, last in sorted(ranges):
        yield from range(max(first, covered + 1), last + 1)
        covered = max(covered, last)


def _ranges(value: Value, findings: Findings) -> Iterator[tuple[int, int, Span]]:
    """First and last number of every reference in a value, with its place."""
    text = findings.source.text[slice(*value.span)] if value.is_bare else value.text
    position = 0
    while position < len(text):
        match = _REFERENCE.match(text, position)
        if not match:
            message = f"{quoted(text[position:])} is not a DoD entry"
            findings.error("GB213", value.span, message, help_texts.DOD_FORM)
            return
        start = value.span.start
        span = Span(start + match.start(), start + match.end()) if value.is_bare else value.span
        yield int(match[1]), int(match[2] or match[1]), span
        join = _JOIN.match(text, match.end())
        position = join.end() if join else match.end()
