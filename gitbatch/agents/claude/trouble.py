"""What can go wrong with a request, as a value: what the server or the connection did, and what that means.

Checked against the source of anthropic 2.11: failures in the middle of a stream are never retried by it, and come
as errors of its own, as errors of httpx2, as an APIStatusError with status 200, or not at all.
"""

import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from gitbatch.agents.failures import Cause

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anthropic import APIStatusError

_TOO_LONG = re.compile(
    r"prompt is too long|context (?:window|length|limit)|maximum context|too many (?:input |prompt )?tokens",
    re.IGNORECASE,
)
_BUSY_TYPES = {"rate_limit_error", "overloaded_error", "api_error", "timeout_error"}
_BUSY_STATUSES = {408, 409, 425, 429, 499}
_SPENT = {"contract_spend_limit_reached", "enforced_spend_limit_reached"}
"""Codes of a 429 that no waiting mends."""


class Trouble(Struct, frozen=True):
    """Why a request has no answer."""

    cause: Cause
    said: str
    """Not yet harmless: it may have anything in it, the key too."""
    retry_after: float | None = None
    is_limit: bool = False
    """The server refuses for now, and would for anybody: not the fault of this request."""
    is_cut: bool = False
    """It had begun to answer."""
    is_offline: bool = False
    """There was no connection: nobody says that the server is busy."""


def trouble_of(error: Exception, *, began: bool) -> Trouble:
    """What an exception of a request means.

    Args:
        error: what was raised.
        began: whether the answer had begun.
    """
    from anthropic import APIConnectionError, APIStatusError  # noqa: PLC0415 - it takes a second
    from httpx2 import InvalidURL, UnsupportedProtocol  # noqa: PLC0415

    if isinstance(error, APIStatusError):
        return _by_status(error, began=began)
    if isinstance(error, InvalidURL | UnsupportedProtocol) or isinstance(
        error.__cause__, InvalidURL | UnsupportedProtocol
    ):
        return Trouble(Cause.FATAL, f"the server's address is wrong: {error.__cause__ or error}")
    if isinstance(error, APIConnectionError):
        said = f"no connection: {error.__cause__ or error}"
        return Trouble(Cause.BUSY, said, is_cut=began, is_offline=True)
    what = str(error) or type(error).__name__
    return Trouble(Cause.BUSY, f"the answer was cut: {what}", is_cut=True)


def cut() -> Trouble:
    """The stream came to an end that is none: the third shape, which raises nothing."""
    return Trouble(Cause.BUSY, "the answer was cut: the stream ended too early", is_cut=True)


def _by_status(error: "APIStatusError", *, began: bool) -> Trouble:
    status, kind = error.status_code, error.type or ""
    said = f"{status if status != 200 else ''} {kind}: {error.api_message or error.message}".strip()
    if error.error_code in _SPENT:
        return Trouble(Cause.FATAL, said)
    if status >= 500 or status in _BUSY_STATUSES or kind in _BUSY_TYPES:
        is_limit = kind in {"rate_limit_error", "overloaded_error"} or status in {429, 529}
        wait = retry_after(error.response.headers, time.time())
        return Trouble(Cause.BUSY, said, wait, is_limit=is_limit, is_cut=began)
    is_too_long = status == 413 or (kind == "invalid_request_error" and _TOO_LONG.search(error.message))
    return Trouble(Cause.CONTEXT if is_too_long else Cause.FATAL, said)


def retry_after(headers: "Mapping[str, str]", now: float) -> float | None:
    """The seconds that the server asks to wait. None: it does not say, or nothing that makes sense.

    Args:
        headers: of its answer.
        now: seconds since the epoch.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        said = headers.get(name, "").strip()
        if re.fullmatch(r"[0-9]{1,15}(?:\.[0-9]{1,9})?", said):
            return float(said) * unit
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
