"""Rows of what is to be reached: what was measured, against its aim."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a row says of its aim."""

    OK = "ok"
    MISSED = "missed"
    SAID = "said"
    """There is no aim: the number stands next to the others."""
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was measured."""

    name: str
    measured: str
    """The numbers, with their units."""
    value: float | None = None
    """What is compared with the aim: a ratio, or a number in the aim's unit; None: it could not be measured."""
    aim: float | None = None
    """None: there is none."""
    unit: str = " x"
    at_least: bool = False
    """Whether the value has to be as large as the aim; else as small."""

    @property
    def verdict(self) -> Verdict:
        """What the row says of its aim."""
        if self.value is None:
            return Verdict.UNKNOWN
        if self.aim is None:
            return Verdict.SAID
        reached = self.value >= self.aim if self.at_least else self.value <= self.aim
        return Verdict.OK if reached else Verdict.MISSED

    @property
    def cells(self) -> list[str]:
        """Returns the row of a table."""
        sign = ">=" if self.at_least else "<="
        aim = "" if self.aim is None else f"{sign} {self.aim:g}{self.unit}"
        value = "" if self.value is None else f"{self.value:.3g}{self.unit}"
        return [self.name, aim, value, self.measured, str(self.verdict)]

    @property
    def as_json(self) -> dict[str, object]:
        """Returns the row for programs."""
        return {
            "name": self.name,
            "aim": self.aim,
            "at_least": self.at_least,
            "unit": self.unit.strip(),
            "value": self.value,
            "measured": self.measured,
            "verdict": str(self.verdict),
        }


HEAD = ["", "aim", "found", "measured", ""]


def render_table(rows: list[list[str]]) -> str:
    """Returns a table as Markdown."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def summarize(rows: Iterable[Row]) -> str:
    """Returns how many rows reach their aims, and the names of those that do not."""
    found = list(rows)
    missed = [row.name for row in found if row.verdict is Verdict.MISSED]
    unknown = [row.name for row in found if row.verdict is Verdict.UNKNOWN]
    parts = [f"{sum(row.verdict is Verdict.OK for row in found)} ok, {len(missed)} missed"]
    parts += [f"missed: {name}" for name in missed]
    parts += [f"not measured: {name}" for name in unknown]
    return "\n".join(parts)
