"""A diff for a terminal: what an agent wrote is shown without anything that a terminal obeys."""

from collections.abc import Iterator

from gitbatch.text import clean_lines

_LONGEST = 20_000
"""Characters of a line that are shown."""
_STYLES = {"+": "green", "-": "red", "@": "cyan"}
_CODES = {"green": "32", "red": "31", "cyan": "36", "bold": "1"}
_HEADS = ("diff --git ", "index ", "--- ", "+++ ", "new file ", "deleted file ", "similarity ", "Binary ")


def render_diff(diff: bytes, *, has_colour: bool) -> str:
    """Returns a diff of git's as text."""
    return "".join(
        f"\x1b[{_CODES[style]}m{line}\x1b[m\n" if style and has_colour else f"{line}\n"
        for line, style in paint_diff(diff)
    )


def paint_diff(diff: bytes) -> Iterator[tuple[str, str]]:
    """Yields the lines of a diff, each with its style: one for each of git's, whatever is in it."""
    is_head = True
    for line in _clean_diff(diff):
        if line.startswith("diff --git "):
            is_head = True
        style = (
            "bold" if is_head and line.startswith(_HEADS) else ("" if is_head else _STYLES.get(line[:1], ""))
        )
        if line.startswith("@@ "):
            is_head, style = False, _STYLES["@"]
        yield line, style


def _clean_diff(diff: bytes) -> Iterator[str]:
    if diff:
        for line in diff.decode(errors="replace").removesuffix("\n").split("\n"):
            yield " ".join(clean_lines(line, _LONGEST).splitlines())
