"""A diagnostic as a person reads it: where, what, the line with a caret under it, what to do.

Every character of the file is shown in as many columns as the caret line counts for it, and none can reach a
terminal as a control sequence. No colours here: a view adds them.
"""

import unicodedata
from collections.abc import Iterable

from gitbatch.plan.model import Diagnostic, Severity
from gitbatch.text import INVISIBLE, clean_text, display_width

BEFORE = 100
"""Characters of a long line that are shown before the place."""
BEHIND = 120
"""Characters that are shown from the place on."""

_REPLACED = "\N{REPLACEMENT CHARACTER}"


def render_diagnostic(diagnostic: Diagnostic, source: bytes, path: str) -> str:
    """Several lines without a line break at the end. `source`: the bytes that the diagnostic is about."""
    place = f"{clean_text(path)}:{diagnostic.line}:{diagnostic.column}"
    number = str(diagnostic.line)
    line, caret = _line_and_caret(diagnostic, source)
    advice = (_harmless(text) for text in diagnostic.help.split("\n"))
    return "\n".join(
        (
            f"{place}: {diagnostic.code} {diagnostic.severity}: {_harmless(diagnostic.message)}",
            f"{number} | {line}",
            f"{' ' * len(number)} | {caret}",
            "\n      ".join(("help: " + next(advice), *advice)).replace("\n      \n", "\n\n"),
        )
    )


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """How many errors and warnings there are, in words; empty if there are none."""
    severities = [diagnostic.severity for diagnostic in diagnostics]
    counts = ((severities.count(severity), severity.value) for severity in Severity)
    return ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count)


def _line_and_caret(diagnostic: Diagnostic, source: bytes) -> tuple[str, str]:
    at = diagnostic.start
    start = max(source.rfind(b"\n", 0, at), source.rfind(b"\r", 0, at)) + 1
    stop = min(
        (found for found in (source.find(b"\n", at), source.find(b"\r", at)) if found >= 0),
        default=len(source),
    )
    end = max(at, min(diagnostic.end, stop))
    parts = (source[start:at], source[at:end], source[end:stop])
    before, marked, after = (part.decode(errors="replace") for part in parts)
    before = before.removeprefix("\ufeff")
    if len(before) > BEFORE:
        before = f"…{before[-BEFORE:]}"
    if len(marked + after) > BEHIND:
        marked, after = marked[:BEHIND], f"{after[: max(0, BEHIND - len(marked))]}…"
    space = "".join(
        character if character == "\t" else " " * display_width(_harmless(character)) for character in before
    )
    width = display_width(_harmless(marked.partition("\t")[0]))
    return _harmless(before + marked + after), space + "^" * max(1, width)


def _harmless(text: str) -> str:
    """The text with every character that could act on a terminal replaced by one that only looks strange."""
    return "".join(_REPLACED if _is_unseen(character) else character for character in text)


def _is_unseen(character: str) -> bool:
    return character != "\t" and unicodedata.category(character) in INVISIBLE
