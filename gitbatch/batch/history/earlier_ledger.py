"""The failed attempts in a ledger of gitbatch 0.1: they name their item by its output, and causes by sentences. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Struct

from gitbatch.batch.model import FailedAttempt, ItemStatus
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.text import CleanText

_SENTENCES: Mapping[str, Cause] = MappingProxyType(
    {
        "come back later": Cause.LATER,
        "context too large": Cause.CONTEXT,
        "timed out": Cause.TIMEOUT,
        "wrote what is not its file": Cause.REFUSED,
        "no usable output": Cause.NO_OUTPUT,
        "nothing changed": Cause.UNCHANGED,
        "holds a secret": Cause.LEAK,
        "declined by the model": Cause.DECLINED,
        "budget reached": Cause.BUDGET,
        "limit of the item reached": Cause.LIMIT,
        "disk error": Cause.DISK,
        "can't work at all": Cause.FATAL,
    }
)
"""The causes whose values gitbatch 0.1 wrote in other words than today."""


class _EarlierAttempt(Struct, frozen=True):
    """An attempt as gitbatch 0.1 wrote it. Its item is not read: the name of the ref has the item's key."""

    item: str
    base: str
    number: int
    status: ItemStatus
    cause: str | None
    reason: CleanText
    details: tuple[CleanText, ...] = ()
    strays: tuple[CleanText, ...] = ()
    seconds: float = 0.0
    usage: Usage = Usage()
    retry_after: float | None = None
    is_guess: bool = False


def decode_earlier_attempts(content: bytes, item: ItemKey) -> tuple[FailedAttempt, ...]:
    """Returns the attempts at an item, given by its key.

    Raises:
        msgspec.DecodeError: gitbatch 0.1 did not write the content.
    """
    attempts = msgspec.json.decode(content, type=tuple[_EarlierAttempt, ...])
    return tuple(_convert_attempt(attempt, item) for attempt in attempts)


def _convert_attempt(attempt: _EarlierAttempt, item: ItemKey) -> FailedAttempt:
    cause = attempt.cause
    return FailedAttempt(
        item,
        attempt.base,
        attempt.number,
        attempt.status,
        None if cause is None else msgspec.convert(_SENTENCES.get(cause, cause), Cause),
        attempt.reason,
        attempt.details,
        attempt.strays,
        attempt.seconds,
        attempt.usage,
        attempt.retry_after,
        attempt.is_guess,
    )
