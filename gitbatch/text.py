"""Making text from agents harmless, before it reaches a file, a commit message or a terminal.

`clean_text` and `markdown` give one line: no line break, no escape sequence, no invisible or unassigned character can
come through, so text from an agent can neither start a Markdown block nor a commit trailer nor move a cursor.
`clean_lines` keeps the lines of a person's comment: who writes it somewhere indents or quotes them.
`spell_hidden` is for a file that a person judges: what is hidden in it is seen.
What they can't do: judge what the words say. Text stays untrusted when a later agent reads it.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from typing import NewType

from gitbatch.patterns import compile_later

CleanText = NewType("CleanText", str)
"""One line that `clean_text` has made, or `markdown`: where a text from an agent may end up, this is the type.

Nothing else makes one, so the type checker finds every call site that leaves the cleaning out.
"""

LIMIT = 600
"""Characters that a text from an agent may have."""

_EXACT = 10
"""Seconds below which a tenth counts."""
_MINUTE, _HOUR = 60, 3600

_ESCAPES = compile_later(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x1b\\|[\x07\x9c]|$)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]",  # two-character escapes
    re.DOTALL,
)
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of characters that a terminal does not show, or obeys."""
_NO_WIDTH = frozenset({"Mn", "Me"})
# What Unicode calls default ignorable although it is a letter or a mark: joiners, fillers, variation selectors.
_IGNORABLE = compile_later(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_EMOJI_FORM = compile_later("(?<=[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff])\ufe0f")
"""The selector that follows many an emoji, and does nothing but choose its form."""
_BYTES = range(0xDC80, 0xDD00)
"""What `surrogateescape` makes of bytes that are not UTF-8."""
_FIRST_OF_C1 = 0x80
_BREAKS = str.maketrans(dict.fromkeys("\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029", " "))
_LONGEST_COMPOSED = 4
"""The most characters that NFC makes one of."""
_MARKDOWN = compile_later(r"[\\`*_\[\]<>#|~&!$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_PIECE = compile_later(r"[^\s`|<>\\]+|[`|<>\\]+")
_AROUND = "()[]{}\"'*_~.,;:!?"
"""What may stand around an address and is not part of it."""
_ADDRESS = compile_later(r".@.|://|www\.", re.IGNORECASE)
"""What every automatic link of GitHub Flavored Markdown has: URLs, `www.`, mail addresses, `mailto:`, `xmpp:`."""
_IN_NAME = "_."
"""What may stand around an address, and may also begin the name of a mail address: `_@a.b`."""
_RUNS = r"(?:ci|actions?|builds?|checks?|pipelines?|deploy|tests?|travis|circleci|jenkins|azurepipelines)"
_SKIPPING = compile_later(
    rf"(?:\[|\*{{3}})\s*((?:skip|no)[ _-]{_RUNS}|{_RUNS}[ _-]skip)\s*(?:\]|\*{{3}})", re.IGNORECASE
)
_CLOSING = compile_later(
    r"(\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)\b:?\s+(?:[\w.-]+/[\w.-]+)?)#(?=\d)", re.IGNORECASE
)
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_NAMED = 5
"""The most names in a line."""
_LEADING = compile_later(r"^(?:[-+=]|(\d+)(?=[.)]))")


def clean_text(text: str, limit: int = LIMIT) -> CleanText:
    """One harmless line for terminals, logs and commit messages, at most `limit` characters; idempotent."""
    if len(text) <= limit and text.isascii() and text.isprintable():  # most are: nothing is to be dropped
        return CleanText(" ".join(text.split()))
    bounded = text[: limit * 20]  # no agent makes us clean a gigabyte
    flat = _IGNORABLE.sub("", _ESCAPES.sub("", bounded).translate(_BREAKS))
    visible = "".join(c for c in flat if unicodedata.category(c) not in INVISIBLE)
    # NFC comes last: what stood between a letter and its accent is gone, and it brings nothing back that was dropped.
    # It is quadratic in a pile of accents, so it gets no more than what can end up in the line.
    line = unicodedata.normalize("NFC", " ".join(visible.split())[: (limit + 1) * _LONGEST_COMPOSED])
    return CleanText(line if len(line) <= limit else line[: limit - 1].rstrip() + "…")


def clean_lines(text: str, limit: int) -> str:
    """Returns a text of several lines with nothing that a terminal hides or obeys; idempotent.

    Line breaks and indentation stay. Blank lines at both ends, and what is beyond `limit` characters, are left out.
    """
    lines = _ESCAPES.sub("", text[: limit * 20]).expandtabs(4).splitlines()
    cleaned = "\n".join(_clean_line(line) for line in lines).strip("\n")
    return cleaned if len(cleaned) <= limit else f"{cleaned[: limit - 1].rstrip()}…"


def _clean_line(line: str) -> str:
    visible = (c for c in _IGNORABLE.sub("", line) if unicodedata.category(c) not in INVISIBLE)
    return unicodedata.normalize("NFC", "".join(visible)).rstrip()


def spell_hidden(line: str) -> Iterator[tuple[str, bool]]:
    """Yields the parts of a line, each with whether it spells characters that a terminal hides or obeys.

    As git's pager does: `^[` for a control character, `<U+202E>` for an invisible one, `<FF>` for a byte that is not UTF-8
    (decoded with `surrogateescape`). Nothing is dropped but the selector of an emoji's form.
    """
    if line.isascii() and line.isprintable():
        yield line, False
        return
    for is_hidden, run in groupby(_EMOJI_FORM.sub("", line), _is_hidden):
        text = "".join(run)
        yield (
            ("".join(map(_spell_character, text)) if is_hidden else unicodedata.normalize("NFC", text)),
            is_hidden,
        )


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in INVISIBLE or _IGNORABLE.match(character) is not None


def _spell_character(character: str) -> str:
    code = ord(character)
    if code < _FIRST_OF_C1:
        return f"^{chr(code ^ 0x40)}"
    return f"<{code - 0xDC00:02X}>" if code in _BYTES else f"<U+{code:04X}>"


def neutralise_forge_commands(message: str) -> str:
    """A message in which nothing is an order to a forge: `[skip ci]` and `Closes #1` would be obeyed on a push."""
    if "[" in message or "***" in message:  # most messages have neither
        message = _SKIPPING.sub(r"(\1)", message)
    return _CLOSING.sub("\\1№", message) if "#" in message else message


def markdown(text: str, limit: int = LIMIT) -> CleanText:
    """One harmless line for Markdown: what `clean_text` gives, with everything that could be syntax escaped.

    Addresses become code: GitHub makes links of mail addresses after it has dropped the backslashes, but not in code.
    """
    escaped = _PIECE.sub(lambda piece: _escape(piece[0]), clean_text(text, limit))
    return CleanText(_LEADING.sub(lambda m: f"{m[1]}\\" if m[1] else f"\\{m[0]}", escaped))


def format_count(count: int, noun: str, plural: str = "") -> str:
    """Returns a count with its noun: 1 item, 2 items; `plural` where the noun does not simply get an s."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def format_size(size: int) -> str:
    """Returns a number of bytes in the unit in which it has at most four digits."""
    number, units = float(size), iter(_UNITS)
    unit = next(units)
    for larger in units:
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{size} {unit}" if unit == _UNITS[0] else f"{number:.1f} {unit}"


def name_host(host: str) -> str:
    """Returns the words for the other machine that something ran on; none for this one."""
    return f" on {host}" if host else ""


def format_seconds(seconds: float) -> str:
    """Returns a time for people in its two largest units: 0.4 s, 12 s, 3 min 5 s, 2 h."""
    if round(seconds, 1) < _EXACT:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _join_units((whole // _MINUTE, "min"), (whole % _MINUTE, "s"))
    return _join_units((whole // _HOUR, "h"), (whole % _HOUR // _MINUTE, "min"))


def _join_units(*parts: tuple[int, str]) -> str:
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def list_names(names: tuple[str, ...]) -> str:
    """Returns names in a line: the first ones, and the number of the others."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def display_width(text: str) -> int:
    """Returns the columns that a terminal gives to one line: wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    category = unicodedata.category(character)
    if category in _NO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _escape(piece: str) -> str:
    """The Markdown of a text without spaces."""
    core = piece.strip(_AROUND)
    if core.startswith("@"):
        before = piece[: piece.index(core)]
        core = before[len(before.rstrip(_IN_NAME)) :] + core
    if not _ADDRESS.search(core):
        return _MARKDOWN.sub(r"\\\g<0>", piece)
    before, _, after = piece.partition(core)
    return f"{_escape(before)}`{core}`{_escape(after)}"
