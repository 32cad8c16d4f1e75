"""Where trailers stand in a message: the paragraphs of it, and lines that look like trailers of ours in another place."""

import re

from gitbatch.patterns import compile_later

PREFIX = "Gitbatch-"
OURS = compile_later(rf"{PREFIX}([A-Za-z-]+): (\S.*)")
_SCISSORS = compile_later(r"(?m)^# -+ >8 -+$")
_BLANK = " \t\r"
"""What git takes for blank; `str.strip` takes far more."""
_ANY_SPELLING = compile_later(rf"\s*{PREFIX}[\w-]*\s*[:=]", re.IGNORECASE)
_TRAILER = compile_later(r"[\w-]+\s*:|\s+\S|\(cherry picked from |#|;|-{3}|Conflicts:")
"""A line of a paragraph of trailers, as git reads them, or of what it leaves out when it looks for them."""


def split_paragraphs(message: str) -> list[list[str]]:
    """Returns the paragraphs of a message without the first, where git never reads trailers; at least an empty one."""
    paragraphs: list[list[str]] = [[]]
    for line in message.split("\n"):
        if not line.strip(_BLANK):
            paragraphs.append([])
        else:
            paragraphs[-1].append(line)
    return list(filter(None, paragraphs))[1:] or [[]]


def find_misplaced(message: str, paragraphs: list[list[str]], read: int) -> str:
    """Returns why lines that look like trailers of ours are not written as we write them; empty if they are."""
    if "\0" in message and any(map(_ANY_SPELLING.match, re.split(r"[\n\0]", message))):
        return "its message contains a NUL, after which git shows nothing"
    if _SCISSORS.search(message) and any(map(_ANY_SPELLING.match, message.split("\n"))):
        return "its message contains a line of scissors, after which git reads nothing"
    if sum(1 for line in paragraphs[-1] if _ANY_SPELLING.match(line)) != read:
        return "its trailers are not spelled as gitbatch spells them"
    if not read:
        return _find_elsewhere(message, paragraphs)
    after = zip(paragraphs[-1], paragraphs[-1][1:], strict=False)
    if any(OURS.fullmatch(line) and below[0].isspace() for line, below in after):
        return "one of its trailers has more than one line"
    return ""


def _find_elsewhere(message: str, paragraphs: list[list[str]]) -> str:
    """Returns where trailers of ours stand outside of the last paragraph. A text that quotes some is not a finding."""
    if _ANY_SPELLING.match(message):
        return "its trailers are its subject"
    for paragraph in reversed(paragraphs):
        if not all(map(_TRAILER.match, paragraph)):
            return ""
        if any(map(_ANY_SPELLING.match, paragraph)):
            return "its trailers are not its last paragraph"
    return ""
