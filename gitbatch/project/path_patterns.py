"""Patterns of repository paths, as in `on` of a check: `docs/**/*.md`, `*.py`.

`*` and `?` stand for characters other than a slash, `**` for any number of folders, `[…]` for one character of a set.
A pattern without a slash matches in every folder, as in a `.gitignore`. Upper and lower case are different.
"""

import re
from functools import lru_cache

from gitbatch.plan.outputs import MAX_PATH


def pattern_problem(pattern: str) -> str | None:
    """Returns why a text is not a pattern of paths; None if it is one."""
    if not pattern.strip("/ ") or len(pattern) > MAX_PATH or pattern.endswith("/"):
        return f"{pattern!r} is not a pattern of files"
    try:
        compile_pattern(pattern)
    except re.error:
        return f"{pattern!r} is not a pattern of files"
    return None


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Returns a pattern of paths as a regular expression.

    Raises:
        re.error: it has an invalid set of characters.
    """
    text = pattern if "/" in pattern else f"**/{pattern}"
    parts = text.removeprefix("/").split("/")
    last = len(parts) - 1
    written = "".join(_translate_part(part, is_last=at == last) for at, part in enumerate(parts))
    return re.compile(written, re.DOTALL)


def _translate_part(part: str, *, is_last: bool) -> str:
    if part == "**":
        return ".*" if is_last else "(?:[^/]+/)*"
    found = re.split(r"(\*+|\?|\[!?\]?[^\]]*\])", part)
    written = "".join(
        _translate_wildcard(piece) if at % 2 else re.escape(piece) for at, piece in enumerate(found)
    )
    return written if is_last else f"{written}/"


def _translate_wildcard(wildcard: str) -> str:
    if wildcard.startswith("["):
        inside = wildcard[1:-1].replace("\\", r"\\").replace("[", r"\[")
        negated = inside.startswith("!")
        return f"(?!/)[{'^' * negated}{inside[negated:]}]"
    return "[^/]" if wildcard == "?" else "[^/]*"
