"""Errors of requests as values: the error of the server or the connection, and its cause.

The messages are the server's or ours, not those of libraries, which describe their own internals. Checked against the
source of anthropic 2.11: before an answer begins it raises errors of its own; while the answer is read, the errors
are those of httpx2 and the layers below it (`list_library_errors`).
"""

import json
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.limits.causes import WAIT_DESCRIPTIONS, Cause, WaitReason
from gitbatch.patterns import compile_later
from gitbatch.web.connection_error import describe_connection_error
from gitbatch.web.retry_after import read_retry_after
from gitbatch.web.sse import BadStreamError

if TYPE_CHECKING:
    from anthropic import APIStatusError
    from httpx2 import Response

_TOO_LONG = compile_later(
    r"prompt is too long|context (?:window|length|limit)|maximum context|too many (?:input |prompt )?tokens",
    re.IGNORECASE,
)
_BUSY_TYPES = {"rate_limit_error", "overloaded_error", "api_error", "timeout_error"}
_BUSY_STATUSES = {408, 409, 425, 429, 499}
_SPENT = {"contract_spend_limit_reached", "enforced_spend_limit_reached"}
"""Codes of a 429 that does not end by waiting."""
_FATAL_TYPES = {"authentication_error", "billing_error", "permission_error"}
_FATAL_STATUSES = {401, 402, 403, 407}
_SAME_FOR_ALL = compile_later(
    r"(?:model|max_tokens|tools|tool_choice|thinking|temperature|anthropic-\w+|x-api-key)\b"
    r"|.*(?:credit balance|billing|organization has been disabled)",
    re.IGNORECASE | re.DOTALL,
)
"""The beginning of messages about a bad request that are about something that the request of every item has."""
_MODEL = compile_later(r"\bmodel\b", re.IGNORECASE)
_NO_MODEL = compile_later(
    r"(?!messages\b).*(?:\b(?:invalid|valid|unknown|unsupported|no such|requested|provided) model\b"
    r"|\bmodel\b[^.]{0,80}\b(?:not (?:found|exist|valid|supported|available)|is invalid|unavailable|retired))",
    re.IGNORECASE | re.DOTALL,
)
"""Messages of a 400 that no server uses for a part of a conversation: the model cannot be used, by any item."""
_NO_REASON = "it does not say why"
_LONGEST = 2_000
"""Characters of a server's message that are kept."""
_TITLE = compile_later(r"<title[^>]*>([^<]*)", re.IGNORECASE)
_PAGE = compile_later(r"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE)


class RequestError(Struct, frozen=True):
    """The reason for which a request has no answer."""

    cause: Cause
    said: str
    """The message, before it is cleaned: it may contain anything, the key too."""
    retry_after: float | None = None
    is_limit: bool = False
    """The server refuses all requests for now: this one is not the cause."""
    is_cut: bool = False
    """The server had begun to answer."""
    wait_reason: WaitReason = WaitReason.SERVER_BUSY


def list_library_errors() -> tuple[type[Exception], ...]:
    """Returns the types of the errors that the library and the layers below it raise for a request or its answer.

    An `OSError` is one of TLS in the middle of an answer, which httpx2 passes on. The last three come of a character set
    that a server names and that cannot decode its answer (`utf-16`, `rot13`, `hex`), the first of them also of a key that
    no header can have.
    """
    from anthropic import AnthropicError  # noqa: PLC0415 - it takes a second
    from httpx2 import HTTPError, InvalidURL  # noqa: PLC0415

    return AnthropicError, HTTPError, InvalidURL, OSError, ValueError, TypeError, AssertionError


def make_request_error(error: Exception, *, began: bool) -> RequestError:
    """Makes an error of an exception of a request.

    Args:
        error: what was raised.
        began: whether the answer had begun.
    """
    from anthropic import APIConnectionError, APIStatusError  # noqa: PLC0415 - it takes a second
    from httpx2 import InvalidURL, UnsupportedProtocol  # noqa: PLC0415

    if isinstance(error, APIStatusError):
        return _classify_response(error)
    if isinstance(error, BadStreamError):
        return make_cut_error(str(error))
    if isinstance(error, InvalidURL | UnsupportedProtocol) or isinstance(
        error.__cause__, InvalidURL | UnsupportedProtocol
    ):
        return RequestError(Cause.FATAL, "invalid base URL: no request can be sent to it")
    said = describe_connection_error(error)
    if began:
        return make_cut_error(said or f"it cannot be read ({type(error).__name__})")
    is_sent = not isinstance(error, APIConnectionError)
    if not said and is_sent:
        return RequestError(Cause.FAILED, f"the request cannot be made ({type(error).__name__})")
    return RequestError(
        Cause.BUSY,
        f"{WAIT_DESCRIPTIONS[WaitReason.NO_CONNECTION]}: {said or 'it failed'}",
        is_cut=is_sent,
        wait_reason=WaitReason.NO_CONNECTION,
    )


def _classify_response(error: "APIStatusError") -> RequestError:
    if error.response.is_redirect:
        return _describe_redirect(error.response)
    return _classify_status(
        error.status_code, error.body, read_retry_after(error.response.headers, time.time())
    )


def _describe_redirect(response: "Response") -> RequestError:
    """Redirects are not followed: most become a GET, and the key would be sent to another host."""
    here, there = (_quote_address(text) for text in (str(response.url), response.headers["location"]))
    said = f"invalid base URL: the server redirects ({response.status_code}) from {here} to {there}"
    return RequestError(Cause.FATAL, said)


def _quote_address(url: str) -> str:
    """Returns an address without what may be secret in it: user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an invalid address"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def make_cut_error(said: str = "the stream ended too early") -> RequestError:
    """Makes the error of an answer that ended too early."""
    return RequestError(
        Cause.BUSY,
        f"{WAIT_DESCRIPTIONS[WaitReason.ANSWER_CUT]}: {said}",
        is_cut=True,
        wait_reason=WaitReason.ANSWER_CUT,
    )


def parse_error_event(data: str) -> RequestError:
    """Makes an error of an event of the type `error`.

    Args:
        data: its data; not always JSON, and not always of the form of the API.
    """
    try:
        body: object = json.loads(data)
    except (ValueError, RecursionError):
        body = data
    kind, said, _ = _parse_error_body(body)
    if not kind:
        what = f"the error {said}" if said != _NO_REASON else "an error and does not say why"
        return make_cut_error(f"the server ended it with {what}")
    found = _classify_status(200, body, None)
    if found.cause is not Cause.BUSY:
        return found
    return replace(found, is_cut=True) if found.is_limit else make_cut_error(found.said)


def _classify_status(status: int, body: object, wait: float | None) -> RequestError:
    kind, text, code = _parse_error_body(body)
    name = " ".join(filter(None, (str(status) if status != 200 else "", kind)))
    said = f"{name}: {text}"
    if code in _SPENT:
        return RequestError(Cause.FATAL, said)
    if status >= 500 or status in _BUSY_STATUSES or kind in _BUSY_TYPES:
        is_limit = kind in {"rate_limit_error", "overloaded_error"} or status in {429, 529}
        return RequestError(Cause.BUSY, said, wait, is_limit=is_limit)
    if status == 413 or kind == "request_too_large" or (status in {200, 400} and _TOO_LONG.search(text)):
        return RequestError(Cause.CONTEXT, said)
    is_for_all = status in _FATAL_STATUSES or kind in _FATAL_TYPES or _SAME_FOR_ALL.match(text)
    is_not_found = status == 404 or kind == "not_found_error"
    about_model = (is_not_found and _MODEL.search(text)) or (status == 400 and _NO_MODEL.match(text))
    return RequestError(Cause.FATAL if is_for_all or about_model else Cause.FAILED, said)


def _parse_error_body(body: object) -> tuple[str, str, str]:
    """Returns the type, the message and the code of an error, as far as a server gives them."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return "", _shorten_message(str(error or "")), ""
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    text = next((error[name] for name in ("message", "detail", "error") if error.get(name)), "")
    kind = error.get("type")
    return (
        kind if isinstance(kind, str) else "",
        _shorten_message(str(text)),
        code if isinstance(code, str) else "",
    )


def _shorten_message(text: str) -> str:
    """Returns the message of a server; of a web page, its title."""
    if not _PAGE.match(text):
        return text.strip()[:_LONGEST] or _NO_REASON
    title = _TITLE.search(text)
    return f"the server answers with a web page{f' ({title[1].strip()})' if title else ''}"
