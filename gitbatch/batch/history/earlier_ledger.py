"""The failed attempts in a ledger of gitbatch 0.1: they name their item by its output, and causes by sentences. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from gitbatch.batch.model import FailedAttempt
from gitbatch.limits.causes import Cause
from gitbatch.plan.model import ItemKey

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


def decode_earlier_attempts(content: bytes, item: ItemKey) -> tuple[FailedAttempt, ...]:
    """Returns the attempts at an item, given by its key: the name of the ref has it.

    Raises:
        msgspec.DecodeError: gitbatch 0.1 did not write the content.
    """
    attempts = msgspec.json.decode(content, type=tuple[dict[str, object], ...])
    known = [
        {**attempt, "slug": item, "cause": _translate_cause(attempt.get("cause"))} for attempt in attempts
    ]
    return msgspec.convert(known, tuple[FailedAttempt, ...])


def _translate_cause(cause: object) -> object:
    return _SENTENCES.get(cause, cause) if isinstance(cause, str) else cause
