"""Why attempts fail, and what is done about each: the one table behind every retry (rule F3)."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

SERVER_BUSY, NO_CONNECTION, ANSWER_CUT = "the server is busy", "no connection", "the answer was cut"
"""What a wait is for, in words."""


class Cause(StrEnum):
    """Why an attempt, or a request of one, failed."""

    BUSY = "busy"
    """Rate limit, overload, a server's error, no connection, a stream that was cut; exit code 75 of a program."""
    LATER = "come back later"
    """The server says to come back after more time than a batch waits."""
    CONTEXT = "context too large"
    FAILED = "failed"
    """A tool's error, no end of the work, an exit code, anything else."""
    TIMEOUT = "timed out"
    REFUSED = "wrote what is not its file"
    NO_OUTPUT = "no usable output"
    """No file, an empty one, or one that can't be taken."""
    UNCHANGED = "nothing changed"
    """The file is as it was before the attempt: another attempt would be paid for the same."""
    LEAK = "holds a secret"
    """The output has the value of a variable that is secret in it: it is not taken, nor kept anywhere else."""
    DECLINED = "declined by the model"
    BUDGET = "budget reached"
    """Of the batch."""
    LIMIT = "limit of the item reached"
    """Of money or tokens, as its agent is configured: more attempts would only cost more."""
    DISK = "disk error"
    """Of the disk that we write to: it says nothing about the item."""
    FATAL = "can't work at all"
    """No valid key, no credit, a request that the server will never take, a program that is not there."""


class Remedy(StrEnum):
    """What is done about a failure."""

    WAIT = "wait and go on"
    AGAIN = "again"
    FAIL = "the item fails"
    PAUSE = "the batch pauses"
    STOP = "the batch stops"


class Treatment(Struct, frozen=True):
    """What a cause leads to."""

    remedy: Remedy
    lesson: str = ""
    """What the next attempt is told beside the reason."""
    pauses: bool = False
    """The item waits a little before it is tried again: why it failed is not known, and time may help."""
    blames_output: bool = False
    """Whether the output itself was not good enough: then what the attempt had written cannot stay as it is."""


TREATMENTS: Mapping[Cause, Treatment] = MappingProxyType(
    {
        Cause.BUSY: Treatment(Remedy.WAIT),
        Cause.LATER: Treatment(Remedy.PAUSE),
        Cause.CONTEXT: Treatment(Remedy.AGAIN, "Read less: only what the item needs."),
        Cause.FAILED: Treatment(Remedy.AGAIN, "Go another way than the one that failed.", pauses=True),
        Cause.TIMEOUT: Treatment(Remedy.AGAIN, "Be quicker: write the file first, then make it better."),
        Cause.REFUSED: Treatment(Remedy.AGAIN, "Write no other file than yours, not even for a moment."),
        Cause.NO_OUTPUT: Treatment(
            Remedy.AGAIN,
            "Write your file, and make sure that it is there before you end.",
            blames_output=True,
        ),
        Cause.UNCHANGED: Treatment(Remedy.FAIL, blames_output=True),
        Cause.LEAK: Treatment(
            Remedy.AGAIN,
            "Never write the value of a key into your file; name its variable instead.",
            blames_output=True,
        ),
        Cause.DECLINED: Treatment(Remedy.FAIL, blames_output=True),
        Cause.BUDGET: Treatment(Remedy.PAUSE),
        Cause.LIMIT: Treatment(Remedy.FAIL),
        Cause.DISK: Treatment(Remedy.STOP),
        Cause.FATAL: Treatment(Remedy.STOP),
    }
)
"""Only AGAIN counts as one of an item's retries."""
