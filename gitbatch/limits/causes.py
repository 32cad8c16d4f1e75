"""The causes of failed attempts and what is done about each: the one table behind every retry (rule F3).

The values are codes: they stand in JSON, in trailers and in the ledger. Views print `TREATMENTS[cause].description`.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct


class Cause(StrEnum):
    """The cause of a failed attempt, or of a failed request of an attempt."""

    BUSY = "busy"
    """Rate limit, overload, a server error, no connection, a stream that was cut; exit code 75 of a program."""
    LATER = "come-back-later"
    """The server asks for a longer wait than a batch accepts."""
    CONTEXT = "context-too-large"
    FAILED = "failed"
    """A tool error, a conversation without an end, an exit code, anything else."""
    TIMEOUT = "timed-out"
    REFUSED = "wrote-outside-output"
    NO_OUTPUT = "no-usable-output"
    """The output is missing, empty, or cannot be taken."""
    UNCHANGED = "nothing-changed"
    """The file is as it was before the attempt: another attempt would be paid for the same."""
    LEAK = "contains-secret"
    """The output has the value of a secret variable in it: it is not taken, nor kept anywhere else."""
    DECLINED = "declined-by-model"
    BUDGET = "budget-reached"
    """A limit of the batch is reached."""
    LIMIT = "item-limit-reached"
    """A limit of cost or tokens for one item is reached: more attempts would only cost more."""
    CHECK_FAILED = "check-failed"
    """A check of the output is red."""
    UNREVIEWED = "unreviewed"
    """No reviewer gave a verdict on the output: that never passes."""
    DISK = "disk-error"
    """The disk that we write to has an error: that says nothing about the item."""
    GATE = "gate-failed"
    """A gate is red on the group with the output, and green without it."""
    STOPPED = "stopped-by-user"
    """The user has stopped the item while it ran."""
    PAUSED = "paused-by-user"
    """The user has asked for a pause of the batch while items ran; no attempt fails by it."""
    UNAVAILABLE = "check-unavailable"
    """A check or a gate gave no verdict: that says nothing about the output."""
    STALE = "stale"
    """An item that started before its group was written from what is not there any more: it runs again."""
    LOST = "worker-lost"
    """The worker on another machine was lost while the agent worked: it is paid for, and says nothing about the item."""
    NO_WORKER = "no-worker"
    """No worker on another machine can be reached."""
    FATAL = "agent-unusable"
    """No valid key, no credit, a request that the server will never accept, a missing program."""


class Remedy(StrEnum):
    """The action that follows a failure."""

    WAIT = "wait"
    AGAIN = "retry"
    ELSEWHERE = "send-again"
    """Not one of the item's retries, but limited by `executor.max-lost`."""
    FAIL = "fail-item"
    REPEAT = "repeat"
    """The item runs again; no attempt is counted."""
    PAUSE = "pause-batch"
    STOP = "stop-batch"


class WaitReason(StrEnum):
    """The reason for which all items of a batch wait."""

    SERVER_BUSY = "server-busy"
    NO_CONNECTION = "no-connection"
    ANSWER_CUT = "answer-cut"


WAIT_DESCRIPTIONS: Mapping[WaitReason, str] = MappingProxyType(
    {
        WaitReason.SERVER_BUSY: "the server is busy",
        WaitReason.NO_CONNECTION: "no connection",
        WaitReason.ANSWER_CUT: "the answer was cut",
    }
)
"""The words that people read for each reason."""


class Treatment(Struct, frozen=True):
    """The consequences of a cause."""

    remedy: Remedy
    description: str
    """The cause in words that people read."""
    lesson: str = ""
    """An instruction for the next attempt, in addition to the reason."""
    pauses: bool = False
    """The item waits before it is tried again: the reason of the failure is unknown, and time may help."""
    blames_output: bool = False
    """The attempt failed because of the output itself, so what the attempt wrote cannot stay as it is."""


TREATMENTS: Mapping[Cause, Treatment] = MappingProxyType(
    {
        Cause.BUSY: Treatment(Remedy.WAIT, "the server is busy"),
        Cause.LATER: Treatment(Remedy.PAUSE, "the server asks to come back later"),
        Cause.CONTEXT: Treatment(
            Remedy.AGAIN, "the context is too large", "Read less: only what the item needs."
        ),
        Cause.FAILED: Treatment(Remedy.AGAIN, "failed", "Try a different approach.", pauses=True),
        Cause.TIMEOUT: Treatment(
            Remedy.AGAIN,
            "timed out",
            "You ran out of time. Write a complete first version early, then refine it.",
        ),
        Cause.REFUSED: Treatment(
            Remedy.AGAIN,
            "wrote outside its output",
            "Write no file other than your own, not even temporarily.",
        ),
        Cause.NO_OUTPUT: Treatment(
            Remedy.AGAIN,
            "no usable output",
            "Write your file, and check that it exists before you end.",
            blames_output=True,
        ),
        Cause.UNCHANGED: Treatment(Remedy.FAIL, "nothing changed", blames_output=True),
        Cause.LEAK: Treatment(
            Remedy.AGAIN,
            "the output contains a secret",
            "Never write the value of a key into your file; write the name of its variable instead.",
            blames_output=True,
        ),
        Cause.DECLINED: Treatment(Remedy.FAIL, "the model declined", blames_output=True),
        Cause.CHECK_FAILED: Treatment(
            Remedy.AGAIN,
            "a check failed",
            "Fix what the check reports in your file. Do not change what the check is or reads.",
            blames_output=True,
        ),
        Cause.BUDGET: Treatment(Remedy.PAUSE, "the budget is reached"),
        Cause.LIMIT: Treatment(Remedy.FAIL, "the limit of the item is reached"),
        Cause.UNREVIEWED: Treatment(Remedy.FAIL, "unreviewed"),
        Cause.DISK: Treatment(Remedy.STOP, "disk error"),
        Cause.GATE: Treatment(Remedy.FAIL, "a gate is red", blames_output=True),
        Cause.STOPPED: Treatment(Remedy.FAIL, "stopped by the user"),
        Cause.PAUSED: Treatment(Remedy.PAUSE, "paused by the user"),
        Cause.UNAVAILABLE: Treatment(Remedy.STOP, "no verdict"),
        Cause.STALE: Treatment(Remedy.REPEAT, "what it was written from has changed"),
        Cause.LOST: Treatment(Remedy.ELSEWHERE, "its worker was lost"),
        Cause.NO_WORKER: Treatment(Remedy.PAUSE, "no worker is there"),
        Cause.FATAL: Treatment(Remedy.STOP, "the agent cannot work"),
    }
)
"""Only AGAIN counts as one of an item's retries."""
