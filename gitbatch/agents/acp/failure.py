"""Why an attempt failed: by the error objects of the protocol, never by what a model says."""

import re
from typing import Any

from gitbatch.agents.acp.message import RpcError
from gitbatch.agents.json_lines.limit_times import find_limit_end
from gitbatch.agents.json_lines.verdict import Verdict, judge_error
from gitbatch.limits.causes import Cause
from gitbatch.patterns import compile_later
from gitbatch.text import clean_text

_AUTH_REQUIRED = -32000
_UNKNOWN_METHOD, _INVALID_PARAMS, _INVALID_REQUEST, _PARSE_ERROR = -32601, -32602, -32600, -32700
NOT_SPOKEN = frozenset({_UNKNOWN_METHOD, _INVALID_PARAMS, _INVALID_REQUEST, _PARSE_ERROR})
"""Errors of an agent that does not know a request, or not in this form: no other item will fare better."""
_KINDS = {
    "rate_limit": Cause.BUSY,
    "server_error": Cause.BUSY,
    "overloaded": Cause.BUSY,
    "authentication_failed": Cause.FATAL,
    "billing_error": Cause.FATAL,
    "model_not_found": Cause.FATAL,
    "oauth_org_not_allowed": Cause.FATAL,
    "ProviderAuthError": Cause.FATAL,
    "ProviderModelNotFoundError": Cause.FATAL,
    "ContextOverflowError": Cause.CONTEXT,
}
"""The values of `data.errorKind` (claude-agent-acp) and `data.errorName` (OpenCode) that decide by themselves."""
_AUTH = compile_later(r"\b(?:un)?auth(?:enticat\w*|ori[sz]\w*)?\b|\bapi[ _-]key\b|\b401\b", re.IGNORECASE)
_STATUSES = range(400, 600)
"""Codes that are statuses of HTTP (Gemini CLI)."""
_LONGEST_WAIT = 10**6


def judge_rpc_error(error: RpcError) -> Verdict:
    """Returns the verdict for the error of a response."""
    text = describe_error(error)
    if error.code == _AUTH_REQUIRED:
        return Verdict(Cause.FATAL, clean_text(text))
    verdict = judge_error(text, error.code if error.code in _STATUSES else None)
    data = error.data if isinstance(error.data, dict) else {}
    kind = data.get("errorKind", data.get("errorName"))
    cause = _KINDS.get(kind) if isinstance(kind, str) else None
    if cause is None and verdict.cause is Cause.FAILED and _AUTH.search(text):
        cause = Cause.FATAL
    if cause is None or verdict.cause in {Cause.CONTEXT, Cause.FATAL}:
        return verdict  # a server error that says that the prompt is too long
    return Verdict(cause, verdict.reason, wait_reason=verdict.wait_reason)


def is_about_key(error: RpcError) -> bool:
    """Whether an error says that the key is missing or wrong."""
    return error.code == _AUTH_REQUIRED or bool(_AUTH.search(describe_error(error)))


def describe_error(error: RpcError) -> str:
    """Returns what an error says: its message, and the details in its data."""
    data = error.data if isinstance(error.data, dict) else {}
    details = (data.get(key) for key in ("details", "message", "error"))
    said = next((text for text in details if isinstance(text, str) and text not in error.message), "")
    said = error.data if isinstance(error.data, str) and error.data not in error.message else said
    return ": ".join(filter(None, (error.message.strip(), said))) or f"error {error.code}"


def find_wait(error: RpcError, now: float) -> float | None:
    """Returns the seconds that an error asks to wait; None: it does not say.

    Args:
        error: of a server that is busy, or a limit of a subscription, whose end is in its text.
        now: the time, in seconds since the epoch.
    """
    data: dict[str, Any] = error.data if isinstance(error.data, dict) else {}
    found = next((data[key] for key in ("retryAfter", "retry_after") if key in data), None)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    seconds = float(found or 0) if is_number else 0.0
    return seconds if 0 < seconds <= _LONGEST_WAIT else find_limit_end(describe_error(error), now)
