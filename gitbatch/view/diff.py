"""A diff for a terminal: nothing in it is obeyed, and what a terminal would hide or obey is spelled, so that it is seen."""

from collections.abc import Iterator

from gitbatch.text import spell_hidden
from gitbatch.view.block import Cell

_LONGEST = 20_000
"""Characters of a line that are shown."""
_STYLES = {"+": "green", "-": "red", "@": "cyan"}
_CODES = {"green": "32", "red": "31", "cyan": "36", "bold": "1", "reverse": "7"}
_HEADS = ("diff --git ", "index ", "--- ", "+++ ", "new file ", "deleted file ", "similarity ", "Binary ")


def render_diff(diff: bytes, *, has_colour: bool) -> str:
    """Returns a diff of git's as text."""
    return "".join(f"{''.join(_render_parts(line, has_colour))}\n" for line in paint_diff(diff))


def _render_parts(line: Cell, has_colour: bool) -> Iterator[str]:  # noqa: FBT001 - of a function of this module
    for part in line:
        text, style = (part, "") if isinstance(part, str) else part
        codes = ";".join(_CODES[word] for word in style.split())
        yield f"\x1b[{codes}m{text}\x1b[m" if codes and has_colour else text


def paint_diff(diff: bytes) -> Iterator[Cell]:
    """Yields the lines of a diff in styled parts: one line for each of git's, whatever is in it."""
    is_head = True
    for line in _split_diff(diff):
        if line.startswith("diff --git "):
            is_head = True
        style = (
            "bold" if is_head and line.startswith(_HEADS) else ("" if is_head else _STYLES.get(line[:1], ""))
        )
        if line.startswith("@@ "):
            is_head, style = False, _STYLES["@"]
        yield tuple(
            (text, f"{style} reverse".strip() if is_spelled else style)
            for text, is_spelled in spell_hidden(line)
        )


def _split_diff(diff: bytes) -> Iterator[str]:
    if diff:
        for line in diff.decode(errors="surrogateescape").removesuffix("\n").split("\n"):
            shown = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
            yield shown.expandtabs(4).rstrip(" ")
