"""The steps of a trial while its item runs, from the events of the session."""

from gitbatch.agents.protocol import FLAG_DESCRIPTIONS, OutputStream
from gitbatch.batch.events import (
    AttemptFailed,
    BatchHalted,
    BatchWaiting,
    Event,
    ItemFinished,
    ItemProgress,
    ItemStarted,
    ItemWaiting,
)
from gitbatch.batch.history.effort import format_usage
from gitbatch.batch.model import Outcome
from gitbatch.batch.trial.model import StepList, StepName, find_advice
from gitbatch.batch.trial.repository import OTHER_FILE, OUTPUT
from gitbatch.limits.causes import WAIT_DESCRIPTIONS, Cause
from gitbatch.limits.usage import Usage
from gitbatch.text import CleanText

_SHOWN_TOOLS = 3
_REFUSED = "refused by the proxy: "


class TrialWatch:
    """Turns the events of a session into steps."""

    def __init__(self, steps: StepList, *, denies_other_files: bool) -> None:
        """Starts with no event.

        Args:
            steps: get the steps.
            denies_other_files: the agent has a rule of its own that allows its output only.
        """
        self._steps = steps
        self._denies = denies_other_files
        self._began: float | None = None
        self._has_output = False
        self._tools = list[CleanText]()
        self._refused = set[str]()
        self._outcome: Outcome | None = None
        self._advice = ""

    def __call__(self, event: Event) -> None:
        """Receives an event."""
        match event:
            case ItemStarted():
                self._began = event.at
                self._steps.note_ok(StepName.STARTED, f"with the prompt of {OUTPUT}")
            case ItemProgress():
                self._take_line(event)
            case BatchWaiting():
                said = f"{event.seconds:.0f} s: {WAIT_DESCRIPTIONS[event.reason]}"
                self._steps.note_unknown(StepName.WAITING, said)
            case ItemWaiting():
                self._steps.note_unknown(StepName.WAITING, event.reason)
            case AttemptFailed() | ItemFinished():
                self._outcome = event.outcome
            case BatchHalted():
                self._advice = event.advice

    def close(self) -> None:
        """Nothing is redrawn."""

    def finish(self) -> None:
        """Adds the steps that are known at the end."""
        outcome = self._outcome
        if outcome is None:
            self._steps.note_failure(StepName.STARTED, "the item was not started", self._advice)
            return
        if not self._has_output:
            self._steps.note_unknown(StepName.OUTPUT, "it showed nothing while it worked")
        more = f" and {len(self._tools) - _SHOWN_TOOLS} more" if len(self._tools) > _SHOWN_TOOLS else ""
        if self._tools:
            self._steps.note_ok(StepName.TOOLS, ", ".join(self._tools[:_SHOWN_TOOLS]) + more)
        else:
            self._steps.note_unknown(StepName.TOOLS, "none was shown")
        self._note_file(outcome)
        self._note_other_file(outcome)
        self._note_reply(outcome)

    def _take_line(self, event: ItemProgress) -> None:
        if event.line.startswith(_REFUSED):
            self._note_refusal(event.line.removeprefix(_REFUSED))
            return
        if not self._has_output:
            self._has_output = True
            self._steps.note_ok(StepName.OUTPUT, event.line, round(event.at - (self._began or event.at), 1))
        if event.stream is OutputStream.PROGRESS:
            self._tools.append(event.line)

    def _note_refusal(self, what: str) -> None:
        if what not in self._refused:
            self._refused.add(what)
            self._steps.note_unknown(StepName.REFUSED, what)

    def _note_file(self, outcome: Outcome) -> None:
        if outcome.succeeded:
            self._steps.note_ok(StepName.FILE, OUTPUT, round(outcome.seconds, 1))
            return
        cause = outcome.cause or Cause.FAILED
        self._steps.note_failure(StepName.FILE, outcome.reason, find_advice(cause), outcome.details)

    def _note_other_file(self, outcome: Outcome) -> None:
        """Adds the step about the file that it may not write: whether it tried to, and what stopped it."""
        denied = next((line for line in self._tools if OTHER_FILE in line and _is_denial(line)), None)
        if OTHER_FILE in outcome.strays and self._denies:
            said = f"it wrote {OTHER_FILE}, which its permissions should deny; only its output was taken"
            self._steps.note_failure(
                StepName.OTHER_FILE,
                said,
                "this version does not keep the rule: the sandbox and gitbatch still do; report it",
            )
        elif OTHER_FILE in outcome.strays:
            self._steps.note_ok(
                StepName.OTHER_FILE, f"{OTHER_FILE} was written and thrown away: only its output is taken"
            )
        elif denied:
            self._steps.note_ok(StepName.OTHER_FILE, denied)
        elif outcome.succeeded:
            self._steps.note_unknown(
                StepName.OTHER_FILE, f"{OTHER_FILE} was not written; no denial was shown"
            )

    def _note_reply(self, outcome: Outcome) -> None:
        reply = outcome.reply
        if reply and reply.flags:
            flags = ", ".join(FLAG_DESCRIPTIONS[flag] for flag in reply.flags)
            self._steps.note_unknown(
                StepName.SUMMARY, f"{flags}: {reply.summary}" if reply.summary else flags
            )
        elif reply:
            self._steps.note_ok(StepName.SUMMARY, reply.summary)
        said = format_usage(outcome.spent)
        if outcome.spent.usage == Usage():
            self._steps.note_unknown(StepName.USAGE, said)
        else:
            self._steps.note_ok(StepName.USAGE, said)


def _is_denial(line: str) -> bool:
    return any(word in line.lower() for word in ("not allowed", "failed", "denied", "reject"))
