"""Reads the last lines of a program that failed: the reason in one line, and whether a server was busy."""

import re
from collections.abc import Iterable, Sequence
from functools import cache

from gitbatch.patterns import compile_later
from gitbatch.text import CleanText, clean_text

LOOKED_AT = 5
"""The number of last lines that are searched for a busy server: the program has survived earlier errors."""
_REASON = 200
"""Characters of a reason: the rest is in the details."""
_WORD = compile_later(r"[^\W\d_]{2}")
_NOISE = compile_later(
    r"at .*(?::\d+|native code|<anonymous>)\)?$"  # a frame of JavaScript
    r"|at [\w$.]+\([^)]*\)$"  # of Java
    r"|File \".*\", line \d+"  # of Python
    r"|\.\.\. \d+ more$|Node\.js v\d|note: run with |goroutine \d+ \[|exit status \d+$"
)
"""Lines that programs print after the line that has the error."""
_NO_STATUS = r"(?!\s*(?:ms|s|sec\w*|minutes?|[kKMG]i?B|bytes?|lines?|files?|tests?|items?|tokens?|words?|char\w*|passed|failed)\b)"
"""A number before such a unit is a count, not the number of an error."""


def find_reason(lines: Sequence[CleanText]) -> CleanText:
    """Returns the last line with words in it; empty if no line has any."""
    said = [line for line in lines if _WORD.search(line)]
    telling = [line for line in said if not _NOISE.match(line)]
    return clean_text((telling or said)[-1], _REASON) if said else CleanText("")


def is_busy(lines: Iterable[str], patterns: tuple[str, ...]) -> bool:
    """Returns whether one of some lines has one of the patterns in it, in upper or lower case.

    Args:
        lines: the last ones of a program that failed.
        patterns: words, between which there may be `-` or `_` as well; or a number, which stands alone, and is
            neither that of a line of a file nor counts anything.
    """
    pattern = _compile_patterns(patterns)
    return pattern is not None and any(map(pattern.search, lines))


@cache
def _compile_patterns(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(_compile_pattern, patterns)), re.IGNORECASE) if patterns else None


def _compile_pattern(pattern: str) -> str:
    if pattern.isdigit():
        return rf"(?<![\w.,#/-])(?<!\w:)(?<!\bline )(?<!\blines ){pattern}(?![\w/-]|[.,:]\d){_NO_STATUS}"
    return r"(?<![^\W_])" + r"[\s_-]*".join(map(re.escape, re.split(r"[\s_-]+", pattern.strip())))
