"""The steps of a trial, as values."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

from gitbatch.limits.causes import Cause
from gitbatch.text import CleanText, clean_text


class StepName(StrEnum):
    """The steps of a trial, in their order."""

    PROGRAM = "program"
    VERSION = "version"
    SANDBOX = "sandbox"
    NETWORK = "network"
    KEY = "key"
    SETTINGS = "settings"
    """The agent is made from its table."""
    STARTED = "started"
    WAITING = "waiting"
    """The server is busy."""
    REFUSED = "refused"
    """The proxy refused a host."""
    OUTPUT = "first output"
    TOOLS = "tools"
    FILE = "wrote its file"
    OTHER_FILE = "other file"
    """It was asked to write a file that it may not write."""
    SUMMARY = "summary"
    USAGE = "usage"


class StepStatus(StrEnum):
    """The result of a step."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It could not be seen, or is not as good as it could be; the agent can work nevertheless."""


class TrialStep(Struct, frozen=True):
    """A step of a trial."""

    name: StepName
    status: StepStatus
    detail: CleanText
    advice: str = ""
    """What to do about it."""
    lines: tuple[CleanText, ...] = ()
    """The last lines that the agent printed, if it failed."""
    seconds: float | None = None
    """Since the start of the item."""


class StepList:
    """The steps so far; each is reported as it comes."""

    def __init__(self, report: Callable[[TrialStep], None]) -> None:
        self.steps: list[TrialStep] = []
        self._report = report

    def add_step(self, step: TrialStep) -> None:
        """Adds a step."""
        self.steps.append(step)
        self._report(step)

    def note_ok(self, name: StepName, detail: str, seconds: float | None = None) -> None:
        """Adds a step that succeeded."""
        self.add_step(TrialStep(name, StepStatus.OK, clean_text(detail), seconds=seconds))

    def note_unknown(self, name: StepName, detail: str, advice: str = "") -> None:
        """Adds a step whose result is not known, or not as good as it could be."""
        self.add_step(TrialStep(name, StepStatus.UNKNOWN, clean_text(detail), advice))

    def note_failure(
        self, name: StepName, detail: str, advice: str, lines: tuple[CleanText, ...] = ()
    ) -> None:
        """Adds a step that failed."""
        self.add_step(TrialStep(name, StepStatus.FAILED, clean_text(detail), advice, lines))

    @property
    def failures(self) -> tuple[TrialStep, ...]:
        """The steps that failed."""
        return tuple(step for step in self.steps if step.status is StepStatus.FAILED)


_LATER = "the server is busy or out of reach, or a limit of your account is reached: try again later"
_BY_HAND = "run its program by hand, with the command of its table, and see what it says"
ADVICE: Mapping[Cause, str] = MappingProxyType(
    {
        Cause.BUSY: _LATER,
        Cause.LATER: _LATER,
        Cause.CONTEXT: "the context of the model is too small for a tiny item: choose another model",
        Cause.TIMEOUT: "it may wait for an answer, such as a login or a permission: let its command ask nothing",
        Cause.REFUSED: "let its command allow the one output only",
        Cause.NO_OUTPUT: "allow it to write its output without a question, by the options of its command",
        Cause.LEAK: "it wrote a key into its file: let its command show it no key",
        Cause.DECLINED: "the model declined a harmless item: choose another model",
        Cause.BUDGET: "a tiny item costs more than the limit of a trial: choose a cheaper model",
        Cause.LIMIT: "a tiny item costs more than max-cost: choose a cheaper model, or raise it",
        Cause.DISK: "free disk space",
        Cause.FATAL: "set its key, or correct its program, model or options in gitbatch.toml",
    }
)
"""What to do if the item of a trial fails by one of these causes."""


def find_advice(cause: Cause) -> str:
    """Returns what to do if the item of a trial fails."""
    return ADVICE.get(cause, _BY_HAND)
