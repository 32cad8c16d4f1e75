"""The places of keys and values in a TOML text: `tomllib` gives values alone.

The text is one that `tomllib` has accepted, so that this module only has to follow its structure.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import NamedTuple

from gitbatch.patterns import compile_later
from gitbatch.plan.source import Span

Path = tuple[str | int, ...]
"""Keys, and the numbers of the elements of arrays."""

MAX_DEPTH = 8
"""Arrays and inline tables inside each other whose elements are looked at."""

_BLANK = compile_later(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = compile_later(r"[ \t]*")
_KEY = compile_later(r'[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')
_STRING = compile_later(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_PLAIN = compile_later(r"[^,\]}#\n]*")
_TOKEN = compile_later(rf"{_STRING.pattern}|#[^\n]*|[\[\]{{}}]", re.DOTALL)


class KeyPlace(NamedTuple):
    """The spans of a key and of its value. A table has the span of its name for both."""

    key: Span
    value: Span


def find_places(text: str) -> Mapping[Path, KeyPlace]:
    """Returns the place of each key and of each element of an array, by its path."""
    scanner = _Scanner(text)
    scanner.scan_document()
    return scanner.places


class _Scanner:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self.places: dict[Path, KeyPlace] = {}
        self._text = text
        self._position = 0
        self._counts: dict[Path, int] = {}
        """The number of tables in each array of tables."""

    def scan_document(self) -> None:
        """Scans the whole text."""
        table: Path = ()
        self._skip(_BLANK)
        while self._position < len(self._text):
            if self._text.startswith("[", self._position):
                table = self._scan_header()
            else:
                self._scan_pair(table, 0)
            self._skip(_BLANK)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        """Skips what a pattern matches here, and at least nothing; returns the position behind it."""
        found = pattern.match(self._text, self._position)
        self._position = found.end() if found else self._position
        return self._position

    def _scan_header(self) -> Path:
        """Scans `[table]` or `[[table]]`; returns the path of the table."""
        brackets = 2 if self._text.startswith("[[", self._position) else 1
        self._position += brackets
        path = self._scan_keys(())
        self._position += brackets
        if brackets == 2:
            number = self._counts.get(path, 0)
            self._counts[path] = number + 1
            self.places[*path, number] = self.places[path]
            return (*path, number)
        return path

    def _scan_keys(self, table: Path) -> Path:
        """Scans a key with its dots, below a table; returns its path."""
        path = table
        while True:
            start = self._skip(_SPACE)
            end = self._skip(_KEY)
            raw = self._text[start:end]
            path = (*path, _decode_key(raw))
            self.places.setdefault(path, KeyPlace(Span(start, end), Span(start, end)))
            self._skip(_SPACE)
            if not self._text.startswith(".", self._position):
                return path
            if path in self._counts:  # `[a.b]` below `[[a]]`
                path = (*path, self._counts[path] - 1)
            self._position += 1

    def _scan_pair(self, table: Path, depth: int) -> None:
        """Scans `key = value`."""
        path = self._scan_keys(table)
        self._position += 1
        self._skip(_SPACE)
        value = self._scan_value(path, depth)
        self.places[path] = KeyPlace(self.places[path].key, value)

    def _scan_value(self, path: Path, depth: int) -> Span:
        """Scans a value with everything in it; returns its span."""
        start = self._position
        opening = self._text[start : start + 1]
        if opening in {"[", "{"} and opening:
            if depth >= MAX_DEPTH:
                self._skip_brackets()
            else:
                self._scan_elements(path, depth + 1, "]" if opening == "[" else "}")
            return Span(start, self._position)
        if opening in {'"', "'"} and opening:
            return Span(start, self._skip(_STRING))
        end = self._skip(_PLAIN)
        return Span(start, start + len(self._text[start:end].rstrip()))

    def _scan_elements(self, path: Path, depth: int, closing: str) -> None:
        """Scans an array or an inline table."""
        self._position += 1
        number = 0
        self._skip(_BLANK)
        while self._position < len(self._text) and not self._text.startswith(closing, self._position):
            if closing == "]":
                span = self._scan_value((*path, number), depth)
                self.places[*path, number] = KeyPlace(span, span)
                number += 1
            else:
                self._scan_pair(path, depth)
            self._skip(_BLANK)
            if self._text.startswith(",", self._position):
                self._position += 1
                self._skip(_BLANK)
        self._position += 1

    def _skip_brackets(self) -> None:
        """Skips an array or an inline table that is too deep."""
        depth = 0
        for token in _TOKEN.finditer(self._text, self._position):
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
            self._position = token.end()
            if depth == 0:
                return


def _decode_key(raw: str) -> str:
    """Returns the text of a key."""
    return next(iter(tomllib.loads(f"{raw} = 0"))) if raw[:1] in {'"', "'"} else raw
