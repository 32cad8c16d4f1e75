r"""The bytes of a Markdown file, as text whose every character knows its byte offset, line and column.

Invariant: lines end at `\n`, `\r\n` or `\r` and nowhere else (`str.splitlines` knows eight more), so a line
here is a line for Markdown, for git and for an editor. A byte order mark is not part of the text.
The limits keep every later stage fast: what is quadratic in a line or in the file stays bounded.
Not for meaning: this module knows nothing of headings or boxes.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from msgspec import Struct

from gitbatch.patterns import compile_later
from gitbatch.plan import help_texts
from gitbatch.plan.help_texts import Advice
from gitbatch.plan.model import Diagnostic, Severity

MAX_FILE = 2 * 1024 * 1024
"""Bytes in a file."""
MAX_LINE = 8 * 1024
"""Bytes in a line."""

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NEWLINE = compile_later(r"\r\n|\n|\r")
_NEWLINE_BYTES = compile_later(rb"\r\n|\n|\r")
_PLANE_ENDS = "".join(chr(plane * 0x10000 + low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_NONCHARACTER = compile_later(f"[\ufdd0-\ufdef{_PLANE_ENDS}]")
_NONCHARACTER_BYTES = (b"\xef\xb7", b"\xbf\xbe", b"\xbf\xbf")
"""Two bytes that every noncharacter has, searched first: that is a hundred times as fast."""
_YAML_KEY = compile_later(r"[\"']?[\w.-]+[\"']?\s*:")


class Span(NamedTuple):
    """A stretch of text, in characters."""

    start: int
    end: int


class Source(Struct, frozen=True):
    """A text and where its lines are. Offsets are characters of `text`; lines count from 0 here."""

    text: str
    starts: tuple[int, ...]
    """Where each line begins."""
    ends: tuple[int, ...]
    """Where each line ends, before its line break."""
    byte_starts: tuple[int, ...]
    """Where each line begins in the file."""
    front_matter: int
    """How many lines at the top are YAML front matter."""

    def line(self, offset: int) -> int:
        """The line that holds a character."""
        return bisect_right(self.starts, offset) - 1

    def byte(self, offset: int) -> int:
        """The offset in the file of a character."""
        line = self.line(offset)
        return self.byte_starts[line] + len(self.text[self.starts[line] : offset].encode())

    def raw_line(self, line: int) -> str:
        """A line without its line break."""
        return self.text[self.starts[line] : self.ends[line]]

    def lines(self) -> Iterator[str]:
        """All lines, without their line breaks."""
        return (self.text[start:end] for start, end in zip(self.starts, self.ends, strict=True))

    def diagnostic(self, code: str, severity: Severity, span: Span, message: str, advice: str) -> Diagnostic:
        """Something to say about a stretch of this text."""
        line = self.line(span.start)
        return Diagnostic(
            code=code,
            severity=severity,
            message=message,
            help=advice,
            start=self.byte(span.start),
            end=self.byte(span.end),
            line=line + 1,
            column=span.start - self.starts[line] + 1,
        )


def read(data: bytes) -> tuple[Source, tuple[Diagnostic, ...]]:
    """A file's text, and why it cannot be used: with a diagnostic, only the positions in it are good."""
    if len(data) > MAX_FILE:
        empty = _source("", b"", 0)
        message = f"the file is larger than {MAX_FILE:,} bytes"
        return empty, (_refused(empty, "GB002", Span(0, 0), message, help_texts.SPLIT_PLAN),)
    body = data.removeprefix(_BOM)
    shift = len(data) - len(body)
    try:
        source = _source(body.decode(), body, shift)
    except UnicodeDecodeError as error:
        before = body[: error.start]
        source = _source(before.decode(), before, shift)
        return source, (_undecodable(source, data, body[error.start]),)
    return source, (*_long_lines(source, body, shift), *_forbidden(source, body))


def _source(text: str, body: bytes, shift: int) -> Source:
    breaks = [match.span() for match in _NEWLINE.finditer(text)]
    starts = (0, *(end for _, end in breaks))
    ends = (*(start for start, _ in breaks), len(text))
    byte_starts = tuple(chain((shift,), (match.end() + shift for match in _NEWLINE_BYTES.finditer(body))))
    return Source(text, starts, ends, byte_starts, _front_matter(text, starts, ends))


def _front_matter(text: str, starts: tuple[int, ...], ends: tuple[int, ...]) -> int:
    """The number of lines that YAML front matter takes; 0 where `---` is only a rule."""
    lines = (text[start:end].rstrip() for start, end in zip(starts, ends, strict=True))
    if next(lines) != "---":
        return 0
    is_yaml = False
    for number, line in enumerate(lines, 2):
        if line in {"---", "..."}:
            return number if is_yaml or number == 2 else 0
        if not is_yaml and line and not line.startswith("#"):
            if not _YAML_KEY.match(line):
                return 0
            is_yaml = True
    return 0


def _refused(source: Source, code: str, span: Span, message: str, advice: Advice) -> Diagnostic:
    return source.diagnostic(code, Severity.ERROR, span, message, advice.english)


def _undecodable(source: Source, data: bytes, byte: int) -> Diagnostic:
    end = len(source.text)
    what = "the file is UTF-16" if data.startswith(_UTF16) else f"byte 0x{byte:02x} is not UTF-8"
    return _refused(source, "GB001", Span(end, end), what, help_texts.SAVE_AS_UTF8)


def _long_lines(source: Source, body: bytes, shift: int) -> Iterator[Diagnostic]:
    following = (*source.byte_starts[1:], len(body) + shift)
    for line, (start, end) in enumerate(zip(source.byte_starts, following, strict=True)):
        if end - start > MAX_LINE + 2 or len(source.raw_line(line).encode()) > MAX_LINE:
            span = Span(source.starts[line], source.ends[line])
            message = f"the line is longer than {MAX_LINE:,} bytes"
            yield _refused(source, "GB002", span, message, help_texts.BREAK_LINE)


def _forbidden(source: Source, body: bytes) -> Iterator[Diagnostic]:
    nul = source.text.find("\0")
    if nul >= 0:
        message = "a NUL character in a text file"
        yield _refused(source, "GB001", Span(nul, nul + 1), message, help_texts.REMOVE_CHARACTER)
    is_suspicious = any(part in body for part in _NONCHARACTER_BYTES)
    found = _NONCHARACTER.search(source.text) if is_suspicious else None
    if found:
        message = f"U+{ord(found[0]):04X} is not a character (Unicode keeps it for internal use)"
        yield _refused(source, "GB003", Span(*found.span()), message, help_texts.REMOVE_CHARACTER)
