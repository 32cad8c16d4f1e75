"""What the errors of the library and the server mean."""

import json
from socket import gaierror
from ssl import SSLCertVerificationError, SSLError
from typing import TYPE_CHECKING

import pytest
from httpx2 import (
    ConnectError,
    ConnectTimeout,
    PoolTimeout,
    ProxyError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    Request,
    Response,
    TooManyRedirects,
    UnsupportedProtocol,
)

from gitbatch.agents.anthropic.request_error import make_request_error, parse_error_event
from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.web.retry_after import read_retry_after

if TYPE_CHECKING:  # the library takes a second to import: not where these tests are only collected
    from anthropic import APIConnectionError, APIStatusError

ASKED = Request("POST", "http://127.0.0.1/v1/messages")


def status_error(status: int, kind: str, text: str = "text", code: str | None = None) -> "APIStatusError":
    from anthropic import APIStatusError  # noqa: PLC0415 - as above

    body = {"type": "error", "error": {"type": kind, "message": text, "details": {"error_code": code}}}
    return APIStatusError(text, response=Response(status, request=ASKED), body=body)


@pytest.mark.parametrize(
    ("status", "kind", "text", "cause", "is_limit"),
    [
        (429, "rate_limit_error", "", Cause.BUSY, True),
        (529, "overloaded_error", "", Cause.BUSY, True),
        (500, "api_error", "", Cause.BUSY, False),
        (503, "", "", Cause.BUSY, False),
        (408, "", "", Cause.BUSY, False),
        (400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", Cause.CONTEXT, False),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit",
            Cause.CONTEXT,
            False,
        ),
        (413, "request_too_large", "", Cause.CONTEXT, False),
        (400, "invalid_request_error", "max_tokens: too large", Cause.FATAL, False),
        (401, "authentication_error", "", Cause.FATAL, False),
        (402, "billing_error", "", Cause.FATAL, False),
        (403, "permission_error", "", Cause.FATAL, False),
        (404, "not_found_error", "model: x", Cause.FATAL, False),
        (404, "", "The model `x` does not exist", Cause.FATAL, False),
        (404, "not_found_error", "Not found", Cause.FAILED, False),
        (407, "", "", Cause.FATAL, False),
        (400, "invalid_request_error", "tools.0.custom.name: bad", Cause.FATAL, False),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the API",
            Cause.FATAL,
            False,
        ),
        (400, "invalid_request_error", "messages.4.content.0.text: bad", Cause.FAILED, False),
        (400, "invalid_request_error", "messages.2: with this model not supported", Cause.FAILED, False),
        (400, "", "This model accepts no such image", Cause.FAILED, False),
        (400, "", "Invalid model name passed in model=x", Cause.FATAL, False),
        (400, "", "x is not a valid model ID", Cause.FATAL, False),
        (400, "", "The model `x` is not supported here", Cause.FATAL, False),
        (422, "", "", Cause.FAILED, False),
    ],
)
def test_an_answer_with_an_error(status: int, kind: str, text: str, cause: Cause, *, is_limit: bool) -> None:
    found = make_request_error(status_error(status, kind, text), began=False)
    assert (found.cause, found.is_limit) == (cause, is_limit)
    assert kind in found.said


@pytest.mark.parametrize(
    ("kind", "text", "cause", "why"),
    [
        ("overloaded_error", "Overloaded", Cause.BUSY, WaitReason.SERVER_BUSY),
        ("rate_limit_error", "", Cause.BUSY, WaitReason.SERVER_BUSY),
        ("api_error", "x", Cause.BUSY, WaitReason.ANSWER_CUT),
        ("authentication_error", "x", Cause.FATAL, WaitReason.SERVER_BUSY),
        ("invalid_request_error", "prompt is too long", Cause.CONTEXT, WaitReason.SERVER_BUSY),
        ("invalid_request_error", "messages.1: x", Cause.FAILED, WaitReason.SERVER_BUSY),
        ("new_error", "x", Cause.FAILED, WaitReason.SERVER_BUSY),
    ],
)
def test_an_error_in_mid_stream(kind: str, text: str, cause: Cause, why: str) -> None:
    found = parse_error_event(json.dumps({"type": "error", "error": {"type": kind, "message": text}}))
    assert (found.cause, found.is_cut, found.wait_reason) == (cause, cause is Cause.BUSY, why)
    assert kind in found.said


def test_a_spend_limit_is_no_rate_limit() -> None:
    error = status_error(429, "rate_limit_error", code="enforced_spend_limit_reached")
    assert make_request_error(error, began=False).cause is Cause.FATAL
    error = status_error(429, "rate_limit_error", code="ramp_limit_exceeded")
    assert make_request_error(error, began=False).cause is Cause.BUSY


def test_no_connection_and_a_broken_one() -> None:
    from anthropic import APIConnectionError  # noqa: PLC0415 - as above

    error = APIConnectionError(request=ASKED)
    assert make_request_error(error, began=False).cause is Cause.BUSY
    error.__cause__ = UnsupportedProtocol("no scheme")
    assert make_request_error(error, began=False).cause is Cause.FATAL
    broken = make_request_error(ReadError("reset"), began=True)
    assert (broken.cause, broken.is_cut) == (Cause.BUSY, True)
    assert broken.said == "the answer was cut: the connection was broken"


def caused(error: Exception, *causes: Exception) -> "APIConnectionError":
    """The library's error, with a chain of causes."""
    from anthropic import APIConnectionError  # noqa: PLC0415 - as above

    outer: Exception = APIConnectionError(request=ASKED)
    first = outer
    for cause in (error, *causes):
        outer.__cause__ = cause
        outer = cause
    outer.__context__ = first  # a chain that is a ring must not hold us up
    assert isinstance(first, APIConnectionError)
    return first


@pytest.mark.parametrize(
    ("causes", "said"),
    [
        ((ConnectError("All failed"), OSError("all"), OSError(111, "x")), "the server cannot be reached (Connection refused)"),
        ((ConnectError("x"), gaierror(-2, "Name or service not known")), "the server cannot be reached (Name or service not known)"),
        ((ConnectTimeout("x"),), "the server does not answer in time"),
        ((ReadTimeout("x"),), "the server was silent for too long"),
        ((PoolTimeout("x"),), "the request could not be sent in time"),
        ((ProxyError("x"),), "the proxy refuses"),
        ((TooManyRedirects("x"),), "the server redirects in a circle"),
        ((RemoteProtocolError("x"),), "the connection was broken, or the server does not speak HTTP"),
        ((ConnectError("x"), SSLError(1, "[SSL: WRONG] x (_ssl.c:1)")), "the server cannot be reached"),
    ],
)  # fmt: skip
def test_a_connection_that_fails_is_told_in_our_words(causes: tuple[Exception, ...], said: str) -> None:
    found = make_request_error(caused(*causes), began=False)
    assert (found.cause, found.said, found.wait_reason) == (
        Cause.BUSY,
        f"no connection: {said}",
        WaitReason.NO_CONNECTION,
    )


def test_a_certificate_that_is_not_valid_is_named() -> None:
    invalid = SSLCertVerificationError(1, "x")
    invalid.verify_message = "self-signed certificate"
    said = make_request_error(caused(ConnectError("x"), invalid), began=False).said
    assert said.endswith("(its certificate is not valid: self-signed certificate)")


def test_what_is_not_about_a_connection_is_no_lack_of_one() -> None:
    found = make_request_error(KeyError("x"), began=True)
    said = "the answer was cut: it cannot be read (KeyError)"
    assert (found.said, found.is_cut, found.wait_reason) == (said, True, WaitReason.ANSWER_CUT)
    found = make_request_error(KeyError("x"), began=False)
    assert (found.cause, found.said) == (Cause.FAILED, "the request cannot be made (KeyError)")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after": "Fri, 02 Jan 1970 00:00:00 GMT"}, 86_300.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "9" * 40}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_how_long_a_server_wants_us_to_wait(headers: dict[str, str], expected: float | None) -> None:
    assert read_retry_after(headers, 100.0) == expected
