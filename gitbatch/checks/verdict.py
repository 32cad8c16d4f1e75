"""The verdict of a check or a gate, and what it is based on.

Only PASS and SKIP let an output through. A check that gives no verdict, for whatever reason, is UNAVAILABLE: it never
counts as passed, and it is never the fault of the agent whose output it was to judge.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

from gitbatch.agents.protocol import Failure
from gitbatch.limits.usage import Usage
from gitbatch.text import CleanText


class CheckVerdict(StrEnum):
    """What a check says. The values are codes: they stand in JSON and in trailers."""

    PASS = "pass"  # noqa: S105 - not a password
    SKIP = "skip"
    """It does not apply to this output, by its own account (exit code 77)."""
    RED = "red"
    UNAVAILABLE = "unavailable"
    """It could not judge: its time, a signal, a missing program, exit code 75 to the end, the sandbox."""

    @property
    def lets_through(self) -> bool:
        """Whether the output counts as done as far as this check is concerned."""
        return self in {CheckVerdict.PASS, CheckVerdict.SKIP}


VERDICT_WORDS: Mapping[CheckVerdict, str] = MappingProxyType(
    {
        CheckVerdict.PASS: "passed",
        CheckVerdict.SKIP: "skipped",
        CheckVerdict.RED: "failed",
        CheckVerdict.UNAVAILABLE: "gave no verdict",
    }
)
"""The words that people read for each verdict."""


class CheckResult(Struct, frozen=True):
    """The result of one check or gate."""

    name: str
    """Its name in the configuration."""
    verdict: CheckVerdict
    seconds: float = 0.0
    """From its start to its end, with all pauses."""
    reason: CleanText = CleanText("")
    """Why it did not pass, in one line."""
    findings: tuple[CleanText, ...] = ()
    """What it printed, harmless and shortened: material, never instructions."""
    usage: Usage = Usage()
    """What an agent that reviews has used."""
    failure: Failure | None = None
    """Why an agent that reviews gave no verdict, or why the item ends with its verdict: the attempt fails with this cause,
    whatever the other checks say."""
    host: CleanText = CleanText("")
    """The other machine that it ran on; empty: this one."""
