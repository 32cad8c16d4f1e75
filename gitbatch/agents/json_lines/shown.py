"""How calls of tools are shown, in all formats: `write: docs/page.md`, and the first words of their errors."""

from pathlib import Path
from typing import Any

_NAMED_BY = (
    *("file_path", "filePath", "path", "absolute_path", "notebook_path", "dir_path"),
    *("pattern", "command", "query", "url"),
)
"""The arguments by which a call of a tool is shown, the most useful first."""
_LONGEST = 200
"""Characters of an error of a tool."""


class ShownPaths:
    """Shows calls with their paths relative to a worktree."""

    def __init__(self, worktree: Path) -> None:
        self._roots = tuple({worktree, worktree.resolve()})

    def describe_call(self, name: str, given: Any, between: str = ": ") -> str:  # noqa: ANN401 - arguments of any tool
        """Returns the name of a tool, and what it is called with."""
        found = [given[key] for key in _NAMED_BY if key in given] if isinstance(given, dict) else []
        about = next((value for value in found if isinstance(value, str)), "")
        return f"{name}{between}{self.shorten_path(about)}" if about else name

    def shorten_path(self, text: str) -> str:
        """Returns a path relative to the worktree, if it is in there."""
        for root in self._roots:
            if text.startswith(f"{root}/"):
                return text.removeprefix(f"{root}/")
        return text


def describe_failure(call: str, error: str) -> str:
    """Returns the line for a call that failed."""
    said = " ".join(error.split())
    short = said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"
    return f"{call} failed: {short}"
