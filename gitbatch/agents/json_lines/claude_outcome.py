"""The outcome of an attempt from the events of Claude Code: its usage, and why it failed. Pure functions.

`subtype` is "success" in every error of the API, so the cause is decided by `is_error`, then `terminal_reason`,
`api_error_status` and the error of the last assistant event, in this order.
"""

from http import HTTPStatus

from gitbatch.agents.json_lines.claude_events import Event, ModelUsage, TokenCounts
from gitbatch.agents.json_lines.verdict import (
    Verdict,
    find_cause,
    has_no_connection,
    is_busy_number,
    judge_words,
    no_connection,
)
from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.limits.usage import FREE, Usage
from gitbatch.text import CleanText, clean_text

_LOGIN = "set ANTHROPIC_API_KEY, or run claude setup-token and set CLAUDE_CODE_OAUTH_TOKEN"

_OF_ACCOUNT = frozenset({"billing_error", "model_not_found", "oauth_org_not_allowed"})
"""Errors that no other item would be spared."""


def read_usage(result: Event) -> Usage:
    """Returns the usage that a result reports, also one that is an error."""
    tokens = read_tokens(result.usage)
    if not tokens.total_tokens:  # Claude Code that stops at its budget reports them by model only
        tokens = sum((_read_model(each) for each in result.model_usage.values()), Usage())
    model = max(result.model_usage, key=lambda name: result.model_usage[name].output_tokens, default="")
    if not tokens.total_tokens and not result.total_cost_usd:
        return FREE  # no request was answered
    return Usage(
        clean_text(model),
        tokens.input,
        tokens.output,
        tokens.cache_read,
        tokens.cache_write,
        max(result.num_turns or 1, 1),
        result.total_cost_usd,
    )


def read_tokens(counts: TokenCounts | None) -> Usage:
    """Returns tokens as a usage of no requests."""
    found = counts or TokenCounts()
    return Usage(
        input=max(found.input_tokens or 0, 0),
        output=max(found.output_tokens or 0, 0),
        cache_read=max(found.cache_read_input_tokens or 0, 0),
        cache_write=max(found.cache_creation_input_tokens or 0, 0),
    )


def _read_model(used: ModelUsage) -> Usage:
    return Usage(
        input=used.input_tokens,
        output=used.output_tokens,
        cache_read=used.cache_read_input_tokens,
        cache_write=used.cache_creation_input_tokens,
    )


def judge_result(result: Event, error: str) -> Verdict | None:
    """Returns why a result is a failure; None if it is a success.

    Args:
        result: the event.
        error: the error of the last assistant event; empty if it had none.
    """
    if not result.is_error:
        return None
    return _judge_end(result) or _judge_status(result, error) or _judge_error(result, error)


def is_busy_status(status: int | None, error: str | None) -> bool:
    """Whether the number or the name of an error means that the server may be asked again."""
    if status is not None:
        return is_busy_number(status)
    return error in {"rate_limit", "overloaded", "server_error"}


def wait_for_server(rate_limit: RateLimit, event: Event) -> None:
    """Makes all items wait when a request is sent again because the server is busy, or cannot be reached."""
    if event.retry_delay_ms is None:
        return
    seconds = max(event.retry_delay_ms, 0.0) / 1000
    is_gateway = event.error_status == HTTPStatus.BAD_GATEWAY  # our proxy answers so without a connection
    if not is_gateway and is_busy_status(event.error_status, event.error_name):
        rate_limit.start_wait(seconds)
    elif is_gateway or event.error_status is None:
        rate_limit.start_wait(seconds, WaitReason.NO_CONNECTION)


def _judge_end(result: Event) -> Verdict | None:
    """Returns the verdict for a conversation that Claude Code or the model ended."""
    if result.terminal_reason == "prompt_too_long":
        return _verdict(Cause.CONTEXT, result)
    if result.stop_reason == "refusal":
        return _verdict(Cause.DECLINED, result)
    if result.terminal_reason == "budget_exhausted" or result.subtype == "error_max_budget_usd":
        return _verdict(Cause.LIMIT, result)
    if result.terminal_reason == "max_turns" or result.subtype == "error_max_turns":
        return _verdict(Cause.FAILED, result)
    return None


def _judge_status(result: Event, error: str) -> Verdict | None:
    """Returns the verdict for an error with a status of HTTP; None if it has none."""
    status = result.api_error_status
    if status is None:
        return None
    if error in _OF_ACCOUNT:
        return _verdict(Cause.FATAL, result)
    return _verdict(find_cause(status, text_of(result)), result)


def _judge_error(result: Event, error: str) -> Verdict:
    """Returns the verdict for an error without a status."""
    text = text_of(result)
    if error == "authentication_failed":
        return Verdict(Cause.FATAL, clean_text(f"Claude Code is not logged in ({text}): {_LOGIN}"))
    if error in _OF_ACCOUNT:
        return _verdict(Cause.FATAL, result)
    if error in {"rate_limit", "overloaded"}:
        return _verdict(Cause.BUSY, result)
    if has_no_connection(text):
        return no_connection(text)
    if by_words := judge_words(result.result or ""):  # older versions give a limit no name
        return _verdict(by_words, result)
    is_cut = result.terminal_reason == "api_error"
    cause = Cause.BUSY if is_cut else Cause.FAILED
    return Verdict(cause, _reason(result), is_cut, WaitReason.ANSWER_CUT)


def _verdict(cause: Cause, result: Event) -> Verdict:
    return Verdict(cause, _reason(result))


def _reason(result: Event) -> CleanText:
    return clean_text(text_of(result) or result.terminal_reason or result.subtype or "it reports an error")


def text_of(result: Event) -> str:
    """Returns what a result says: its text, or that of its errors."""
    return result.result or result.error_text or ", ".join(map(str, result.errors))
