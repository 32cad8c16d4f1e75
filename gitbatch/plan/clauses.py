"""An item's first paragraph, taken apart: id, title, clauses.

Both clause forms (`→ Key: values` and `(key: values)`) become one `Clause`. Text that is not a clause is title; what
was probably meant as one is an error. Spans are characters of the source.
Not for meaning: whether a path or a DoD number is good is judged where it is used.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from msgspec import Struct

from gitbatch.patterns import compile_later
from gitbatch.plan import help_texts
from gitbatch.plan.bare_keys import report_bare_keys
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.foreign import report_foreign_words
from gitbatch.plan.inline import COMMENT, HIDDEN, Inline, SpanKind, one_line, scan
from gitbatch.plan.source import Span
from gitbatch.plan.spelling import nearest


class Key(Enum):
    """What a clause declares."""

    DOD = "DoD"
    OUTPUT = "Output"
    CONTEXT = "Context"
    AFTER = "After"
    AGENT = "Agent"
    ID = "Id"
    CHECK = "Check"


_SPELLINGS = {key.value.casefold(): key for key in Key} | {
    "ausgabe": Key.OUTPUT,
    "kontext": Key.CONTEXT,
    "nach": Key.AFTER,
    "prüfung": Key.CHECK,
}
_LONG_NAMES = ("Output", "Ausgabe", "Context", "Kontext", "After", "Nach", "Agent", "Check", "Prüfung")
_NAMES = ("DoD", "Id", *_LONG_NAMES)

_WORD = r"[^\W\d_]{1,20}"
_EMPHASIS = r"(?:\*\*|__)?"
# Both patterns begin with the last character of what they look for: a set of characters is found fast.
_LEAD = rf"[→⇒>(](?:(?<=[→⇒(])|(?<=[-=]>))\s*{_EMPHASIS}"
_OPENING = compile_later(rf"{_LEAD}(?P<key>{_WORD})(?P<colon>{_EMPHASIS}\s*:{_EMPHASIS})?")
_BOUNDARY = compile_later(rf"[→⇒>(){COMMENT}](?:(?<=\()\s*{_EMPHASIS}(?P<key>{_WORD}){_EMPHASIS}\s*:)?")
_OTHER_ARROW = compile_later(
    rf"[➔➙➛➜➝➞➟➠➡➤➨⇨⟶⟹⟾↦\u2013\u2014](?:(?<![\u2013\u2014])|>)\s*{_EMPHASIS}(?P<key>{_WORD}){_EMPHASIS}\s*:"
)
_ARROW_BODIES = ("--", "==")
_ATOM = rf"(?:[^\s,;(){COMMENT}]+|\([^()]*\)|[()])"
_VALUE = compile_later(rf"{_ATOM}(?:[\s{COMMENT}]*{_ATOM})*")
_SPECIAL = compile_later(f"[,;(){HIDDEN}{COMMENT}]")
_NESTED = compile_later(rf"({_WORD})\s*:")
_IN_WORD = compile_later(r"[\w./-]")
_BRACKET = compile_later(r"[()]")
_ID_BODY = r"[A-Z]{1,8}-?[0-9]{1,9}(?:\.[0-9]{1,9})*[A-Za-z]?|[0-9]{1,9}(?:\.[0-9]{1,9})+"
_LEADING_ID = compile_later(
    rf"\s*(?:\*\*)?({_ID_BODY})(?:[:.)]?\*\*|\*\*[:.)]|[:.)])?(?=\s|$)(?!\s+[/&+]\s)"
    rf"|\s*\*\*({_ID_BODY})[:.)]?(?=\s)(?!\s+[/&+]\s)"
)
"""Not “FR-3 / Clean”, which names something that has a slash in it."""
_SWALLOWED_KEY = compile_later(
    rf"\S.*?(?:[→⇒(]|[-=]>)\s*{_EMPHASIS}(?P<key>{_WORD}){_EMPHASIS}\s*:{_EMPHASIS}\s*$", re.DOTALL
)
_SWALLOWED_ARROW = compile_later(rf"(?:[→⇒(]|[-=]>)\s*{_EMPHASIS}(?P<key>{_WORD}){_EMPHASIS}\s*:")
_PATH = rf"(?:{HIDDEN}+|[^\s,;()]*[\w-](?:/|\.[A-Za-z]\w*)[^\s,;()]*)"
_PATHS = rf"\s+{_PATH}(?:\s*[,;]\s*{_PATH})*\s*(?=[)→⇒{COMMENT}]|[-=]>|$)"
"""Paths to the end of the clause: “Context API/React hooks” in brackets is text."""
_FITS = {
    Key.DOD: r"\s*#?[0-9]",
    Key.ID: rf"\s*(?:{_ID_BODY})\b",
    Key.AFTER: rf"\s+(?:{_ID_BODY})(?:\s*,\s*(?:{_ID_BODY}))*\s*(?:\)|$)",
    Key.OUTPUT: _PATHS,
    Key.CONTEXT: _PATHS,
}
"""What the values of a key look like: a word that is only near the key, or lacks its colon, is taken seriously if this follows."""


class Value(NamedTuple):
    """One value of a clause: a code span's content, a link's target, or bare text as it is written.

    A named tuple, like `Clause`, because a large plan has tens of thousands of them.
    """

    text: str
    span: Span
    is_bare: bool
    is_added: bool = False
    """Whether a `+` stands before it: a context in addition."""


class Clause(NamedTuple):
    """A clause and its values; a clause without any is reported."""

    key: Key
    values: tuple[Value, ...]
    span: Span


class Wording(Struct, frozen=True, gc=False):
    """What an item's text says."""

    id: str | None
    title: str
    """On one line, with its id, without clauses and comments."""
    label: str
    """The title without its id."""
    clauses: tuple[Clause, ...]

    def of(self, key: Key) -> tuple[Value, ...]:
        """The values that the clauses with a key have together."""
        found: tuple[Value, ...] = ()
        for clause in self.clauses:
            if clause.key is key:
                found = found + clause.values if found else clause.values
        return found


def read_wording(span: Span, findings: Findings) -> Wording:
    """The wording of the item whose first paragraph (behind its box) is `span`."""
    inline = scan(findings.source.text[slice(*span)])
    clauses: tuple[Clause, ...] = ()
    if _OPENING.search(inline.mask):
        clauses = tuple(_Reader(inline, span.start, findings).clauses())
    _report_repeated(clauses, findings)
    cuts = [(clause.span.start - span.start, clause.span.end - span.start) for clause in clauses]
    cuts += [(piece.start, piece.end) for piece in inline.comments]
    _report_other_arrows(inline, span.start, findings)
    _report_swallowed(inline, span.start, findings)
    report_foreign_words(inline.text, span.start, findings)
    if inline.mask.count(":") != len(clauses):  # each clause has its own colon
        report_bare_keys(inline.mask, span.start, [clause.span for clause in clauses], findings)
    lead = _LEADING_ID.match(inline.text)
    title = one_line(inline.text, cuts).rstrip(" ,;")
    label = title.removeprefix(lead[0].strip()).strip() if lead else title
    return Wording((lead[1] or lead[2]) if lead else None, title, label, clauses)


def report_misplaced(text: str, start: int, findings: Findings) -> None:
    """Say of each clause below an item's first paragraph (here: a text and its place) that it has no effect."""
    report_foreign_words(text, start, findings)
    if ":" not in text:
        return
    mask = scan(text).mask
    report_bare_keys(mask, start, (), findings)
    for opening in _OPENING.finditer(mask):
        if opening["colon"] and opening["key"].casefold() in _SPELLINGS:
            span = Span(start + opening.start("key"), start + opening.end("key"))
            message = f"{quoted(opening['key'])} has no effect below an item's first paragraph"
            findings.warning("GB210", span, message, help_texts.TO_FIRST_PARAGRAPH)


def _report_other_arrows(inline: Inline, start: int, findings: Findings) -> None:
    for found in _OTHER_ARROW.finditer(inline.mask):
        if found["key"].casefold() in _SPELLINGS:
            span = Span(start + found.start(), start + found.end())
            key = f"{found['key']}:"
            advice = help_texts.USE_KNOWN_ARROW.fill(arrow=quoted(f"→ {key}"), ascii=quoted(f"-> {key}"))
            arrow = Span(span.start, span.start + (2 if found[0][1] == ">" else 1))
            findings.error("GB210", span, "this arrow opens no clause", advice, (arrow, "→"))


def _report_swallowed(inline: Inline, start: int, findings: Findings) -> None:
    """Reports a code span that began too early, at a stray backtick, and so hides a clause."""
    for piece in inline.pieces:
        if piece.kind is not SpanKind.CODE:
            continue
        raw = inline.text[piece.start : piece.end]
        ticks = len(raw) - len(raw.lstrip("`"))
        content = raw[ticks:-ticks]
        found = _SWALLOWED_KEY.fullmatch(content.lstrip())
        if not found and (content[:1].isspace() or content[-1:].isspace()):
            found = _SWALLOWED_ARROW.search(content)
        if found and found["key"].casefold() in _SPELLINGS:
            span = Span(start + piece.start, start + piece.end)
            message = f"this code span hides {quoted(found['key'] + ':')}"
            findings.error("GB210", span, message, help_texts.REMOVE_BACKTICK)


def _report_repeated(clauses: tuple[Clause, ...], findings: Findings) -> None:
    seen: list[Key] = []
    for clause in clauses:
        if clause.key not in seen:
            seen.append(clause.key)
        else:
            code = "GB220" if clause.key is Key.OUTPUT else "GB212"
            is_single = clause.key in {Key.OUTPUT, Key.AGENT, Key.ID}
            advice = help_texts.KEEP_ONE if is_single else help_texts.JOIN_VALUES
            findings.error(code, clause.span, f"{clause.key.value} is declared twice", advice)


class _Reader:
    """Finds the clauses of one paragraph, from left to right."""

    def __init__(self, inline: Inline, base: int, findings: Findings) -> None:
        self._mask = inline.mask
        self._text = inline.text
        self._pieces = {piece.start: piece for piece in inline.pieces if piece.kind is not SpanKind.COMMENT}
        self._closings = _closings(inline.mask)
        self._base = base
        self._findings = findings

    def clauses(self) -> Iterator[Clause]:
        position = 0
        while opening := _OPENING.search(self._mask, position):
            key = self._key(opening)
            position = opening.start() + 1
            if key:
                end, position = self._extent(opening)
                yield self._clause(key, opening, end, position)

    def _key(self, opening: re.Match[str]) -> Key | None:
        """The key that opens a clause here; reports a word that was probably meant as one."""
        word, colon = opening["key"], opening["colon"]
        key = _SPELLINGS.get(word.casefold())
        if key and colon:
            return key
        near = word if key else nearest(word, _NAMES, 1) if colon else None
        if near and self._is_meant(near, opening):
            message = f"{quoted(word)} has no colon" if key else f"{quoted(word)} opens no clause"
            advice = help_texts.MEANT_KEY.fill(key=quoted(f"{near}:"))
            self._findings.error("GB210", self._span(*opening.span("key")), message, advice)
        return None

    def _is_meant(self, near: str, opening: re.Match[str]) -> bool:
        if opening["colon"] and near in _LONG_NAMES:
            return True
        fits = _FITS.get(_SPELLINGS[near.casefold()])
        return bool(fits and re.compile(fits).match(self._mask, opening.end()))

    def _extent(self, opening: re.Match[str]) -> tuple[int, int]:
        """Where the clause's values end, and where it ends itself."""
        if opening[0][0] == "(":
            close = self._closings.get(opening.start())
            if close is not None:
                return close, close + 1
            span = self._span(*opening.span())
            self._findings.error("GB211", span, "the bracket is never closed", help_texts.CLOSE_BRACKET)
        end = self._boundary(opening.end())
        return end, end

    def _boundary(self, start: int) -> int:
        """Where a clause without a closing bracket stops: at the next arrow, clause, comment or outer bracket."""
        depth = 0
        for found in _BOUNDARY.finditer(self._mask, start):
            character = found[0][0]
            if character == "(" and not (found["key"] and _is_key(found["key"])):
                depth += 1
            elif character == ")" and depth:
                depth -= 1
            elif (character != ">" or self._mask[found.start() - 1] in "-=") and not self._is_in_word(
                found.start()
            ):
                return self._arrow(found.start())
        return len(self._mask)

    def _is_in_word(self, last: int) -> bool:
        """Whether an arrow, by its last character, stands inside a word and opens no clause, as in `a->b.md`."""
        if self._mask[last] in "()" or self._mask[last + 1 : last + 2].isspace():
            return False  # as nearly always
        first = self._arrow(last)
        around = self._mask[max(0, first - 1) : first], self._mask[last + 1 : last + 2]
        opening = _OPENING.match(self._mask, last)
        opens = opening is not None and opening["colon"] and _is_key(opening["key"])
        return all(map(_IN_WORD.match, around)) and not opens

    def _arrow(self, last: int) -> int:
        """Where the arrow begins whose last character this is; other characters begin where they are."""
        if self._mask[last] != ">":
            return last
        return last - 2 if self._mask[max(0, last - 2) : last] in _ARROW_BODIES else last - 1

    def _clause(self, key: Key, opening: re.Match[str], end: int, clause_end: int) -> Clause:
        values = self._values(opening.end(), end)
        if key is Key.CONTEXT and "+" in self._mask[opening.end() : end]:
            values = tuple(map(self._without_plus, values))
        clause = Clause(key, values, self._span(self._arrow(opening.start()), clause_end))
        if not values:
            message = f"{quoted(key.value)} has no value"
            self._findings.error("GB213", clause.span, message, help_texts.WRITE_VALUE)
        for value in values:
            nested = _NESTED.match(value.text) if value.is_bare and ":" in value.text else None
            if nested and nested[1].casefold() in _SPELLINGS:
                advice = help_texts.OWN_BRACKET.fill(key=quoted(nested[1]))
                self._findings.error("GB213", value.span, "a clause inside a clause", advice)
        return clause

    def _without_plus(self, value: Value) -> Value:
        """Returns a value without the `+` that adds it; in a code span or a link, it is part of the name."""
        if not value.is_bare or not value.text.startswith("+"):
            return value
        left = value.span.start - self._base + 1
        left += len(self._mask[left:]) - len(self._mask[left:].lstrip())
        right = value.span.end - self._base
        piece = self._pieces.get(left)
        is_piece = piece is not None and piece.end == right
        text = piece.content if piece and is_piece else value.text.removeprefix("+")
        return Value(text.strip(), value.span, not is_piece, is_added=True)

    def _values(self, start: int, end: int) -> tuple[Value, ...]:
        """Returns what stands between the separators; nothing for two separators with nothing between them."""
        body = self._mask[start:end]
        if _SPECIAL.search(body):
            return tuple(self._separate(start, end))
        text = body.strip()  # the most frequent clause, three times as fast
        if not text:
            return ()
        left = self._base + end - len(body.lstrip())
        span = Span(left, left + len(text))
        return (Value(" ".join(text.split()), span, is_bare=True),)

    def _separate(self, start: int, end: int) -> Iterator[Value]:
        """Yields the values of a clause that has separators, code spans or brackets."""
        for match in _VALUE.finditer(self._mask, start, end):
            left, right = match.span()
            piece = self._pieces.get(left)
            span = Span(self._base + left, self._base + right)
            if piece and piece.end == right:
                yield Value(piece.content.strip(), span, is_bare=False)
            else:
                yield Value(" ".join(self._text[left:right].split()), span, is_bare=True)

    def _span(self, start: int, end: int) -> Span:
        """A stretch of the paragraph as a span of the source, without the space at its end."""
        return Span(self._base + start, self._base + start + len(self._mask[start:end].rstrip()))


def _is_key(word: str) -> bool:
    """Whether a word with a colon opens a clause, or was probably meant to."""
    return word.casefold() in _SPELLINGS or nearest(word, _LONG_NAMES, 1) is not None


def _closings(mask: str) -> dict[int, int]:
    """For each opening bracket that is closed, where: one pass, or many unclosed ones would be quadratic."""
    opened: list[int] = []
    pairs: dict[int, int] = {}
    for bracket in _BRACKET.finditer(mask):
        if bracket[0] == "(":
            opened.append(bracket.start())
        elif opened:
            pairs[opened.pop()] = bracket.start()
    return pairs
