"""Wrapping prose at words for a terminal. Commands and code are never broken: they can be copied whole.

A line that is laid out already stays as it is: a quoted line of a file and the marks below it, a row of a table.
"""

from itertools import pairwise

from gitbatch.patterns import compile_later
from gitbatch.text import display_width

_COMMAND = (
    r"(?:gitbatch|git)(?: -C (?:'[^']*'|\S+))?(?: [a-z][a-z-]*(?![\w./:=-])){1,2}"
    r"(?: (?:-[^\s,;)]+(?: (?:'[^']*'|\"[^\"]*\"|(?!-)[\w./:*@'\"]+))?|'[^']*'|\"[^\"]*\"|[^\s(]*[/=:.][^\s)]+|[A-Z][A-Z_]+\b))*"
)
"""A command: its verb and a word, then options with a value, quoted words, paths, and names such as ITEM."""
_COMMANDS = rf"{_COMMAND}(?: && {_COMMAND})*"
_TOKEN = compile_later(rf"(?:[^\s`]*`[^`]*`)+[^\s`]*|[^\s\w]*{_COMMANDS}\S*|\S+")
_LAID_OUT = compile_later(r"\s*\d* \| |\||\s*\^+$")
_LEADING = compile_later(r" *")
_HANGING = 2
"""The indent of the lines that follow, more than that of the first."""
_NARROW = 20
"""Columns below which nothing is wrapped."""


def find_breaks(line: str, width: int) -> tuple[int, ...]:
    """Returns the offsets in a line at which the next lines start, each before a word."""
    if width < _NARROW or display_width(line) <= width or _LAID_OUT.match(line):
        return ()
    breaks = []
    start, room = 0, width
    for token in _TOKEN.finditer(line):
        before = line[start : token.start()]
        is_word = (
            before[-1:].isspace() and before.strip()
        )  # not the first, nor the rest of one with odd backticks
        if is_word and display_width(line[start : token.end()]) > room:
            breaks.append(token.start())
            start, room = token.start(), width - find_indent(line)
    return tuple(breaks)


def find_indent(line: str) -> int:
    """Returns the indent of the lines that follow a line's first."""
    return len(_LEADING.match(line)[0]) + _HANGING  # type: ignore[index]  # it matches every text


def wrap_text(text: str, width: int) -> str:
    """Returns a text with each of its lines wrapped."""
    return "\n".join(part for line in text.split("\n") for part in _wrap_line(line, width))


def _wrap_line(line: str, width: int) -> list[str]:
    edges = (0, *find_breaks(line, width), len(line))
    parts = [line[start:end].rstrip() for start, end in pairwise(edges)]
    return [parts[0], *(" " * find_indent(line) + part for part in parts[1:])]
