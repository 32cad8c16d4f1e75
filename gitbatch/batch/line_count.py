"""The lines that commits change, as a value."""

from msgspec import Struct


class LineCount(Struct, frozen=True):
    """The lines that a commit adds and removes, as `git diff` counts them."""

    added: int
    removed: int

    def __add__(self, other: "LineCount") -> "LineCount":
        return LineCount(self.added + other.added, self.removed + other.removed)

    def __str__(self) -> str:
        return f"+{self.added:,} \N{MINUS SIGN}{self.removed:,}"
