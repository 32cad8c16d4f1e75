"""Measuring: what a process and all its children cost, and what is typical of several times."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_UNITS = 1024 * 1024 if sys.platform == "darwin" else 1024
"""Of `ru_maxrss` in a megabyte."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process cost, with its children: seconds, the seconds of processor time, and megabytes."""

    wall: float
    cpu: float
    memory: float = 0.0
    """The most that one of its processes had."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one thing, in milliseconds."""

    median: float
    least: float
    most: float
    count: int

    def __str__(self) -> str:
        digits = 1 if self.median < 100 else 0
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}-{self.most:.{digits}f})"


def spread(seconds: Iterable[float]) -> Spread:
    """The median of some times; as the spread, the quartiles, or the ends where there are few."""
    found = sorted(1000 * value for value in seconds)
    low, high = found[0], found[-1]
    if len(found) >= 8:
        low, _, high = statistics.quantiles(found, n=4)
    return Spread(statistics.median(found), low, high, len(found))


class FailedError(Exception):
    """A command that is measured failed: there is nothing to compare."""


def run(argv: Sequence[str | Path], place: Path, environment: Mapping[str, str], log: Path) -> Cost:
    """Run a command to its end; what it says goes to a file.

    Raises:
        FailedError: it failed; the message has the end of what it said.
    """
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            list(map(str, argv)), cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)  # it is reaped: Popen need not look for it
    if process.returncode:
        said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise FailedError(f"{' '.join(map(str, argv))} failed ({process.returncode}):\n{said}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / _UNITS)
