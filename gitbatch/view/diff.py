"""A diff for a terminal: what an agent wrote is shown without anything that a terminal obeys."""

from collections.abc import Iterator

from gitbatch.text import clean_lines

_LONGEST = 20_000
"""Characters of a line that are shown."""
_COLOURS = {"+": "32", "-": "31", "@": "36"}
_HEADS = ("diff --git ", "index ", "--- ", "+++ ", "new file ", "deleted file ", "similarity ", "Binary ")


def render_diff(diff: bytes, *, has_colour: bool) -> str:
    """Returns a diff of git's as text."""
    lines = _clean_diff(diff)
    return "".join(f"{line}\n" for line in (_paint_lines(lines) if has_colour else lines))


def _clean_diff(diff: bytes) -> Iterator[str]:
    """Yields the lines: one for each of git's, whatever is in it."""
    for line in diff.decode(errors="replace").removesuffix("\n").split("\n"):
        yield " ".join(clean_lines(line, _LONGEST).splitlines())


def _paint_lines(lines: Iterator[str]) -> Iterator[str]:
    is_head = True
    for line in lines:
        if line.startswith("diff --git "):
            is_head = True
        code = "1" if is_head and line.startswith(_HEADS) else ("" if is_head else _COLOURS.get(line[:1], ""))
        if line.startswith("@@ "):
            is_head, code = False, _COLOURS["@"]
        yield f"\x1b[{code}m{line}\x1b[m" if code else line
