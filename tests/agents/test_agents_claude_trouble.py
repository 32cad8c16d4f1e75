"""What the errors of the library and the server mean."""

import pytest
from anthropic import APIConnectionError, APIStatusError
from httpx2 import ReadError, Request, Response, UnsupportedProtocol

from gitbatch.agents.claude.trouble import retry_after, trouble_of
from gitbatch.agents.failures import Cause

ASKED = Request("POST", "http://127.0.0.1/v1/messages")


def status_error(status: int, kind: str, text: str = "text", code: str | None = None) -> APIStatusError:
    body = {"type": "error", "error": {"type": kind, "message": text, "details": {"error_code": code}}}
    return APIStatusError(text, response=Response(status, request=ASKED), body=body)


@pytest.mark.parametrize(
    ("status", "kind", "text", "cause", "is_limit"),
    [
        (429, "rate_limit_error", "", Cause.BUSY, True),
        (529, "overloaded_error", "", Cause.BUSY, True),
        (200, "overloaded_error", "", Cause.BUSY, True),  # an SSE event in mid-stream
        (200, "api_error", "", Cause.BUSY, False),
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
    ],
)
def test_an_answer_with_an_error(status: int, kind: str, text: str, cause: Cause, *, is_limit: bool) -> None:
    found = trouble_of(status_error(status, kind, text), began=False)
    assert (found.cause, found.is_limit) == (cause, is_limit)
    assert kind in found.said


def test_a_spend_limit_is_no_rate_limit() -> None:
    error = status_error(429, "rate_limit_error", code="enforced_spend_limit_reached")
    assert trouble_of(error, began=False).cause is Cause.FATAL
    error = status_error(429, "rate_limit_error", code="ramp_limit_exceeded")
    assert trouble_of(error, began=False).cause is Cause.BUSY


def test_no_connection_and_a_broken_one() -> None:
    error = APIConnectionError(request=ASKED)
    assert trouble_of(error, began=False).cause is Cause.BUSY
    error.__cause__ = UnsupportedProtocol("no scheme")
    assert trouble_of(error, began=False).cause is Cause.FATAL
    broken = trouble_of(ReadError("reset"), began=True)
    assert (broken.cause, broken.is_cut) == (Cause.BUSY, True)


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
    assert retry_after(headers, 100.0) == expected
