"""What a conversation with an agent came to, as values; and the failure or the usage for it. Pure."""

from enum import Enum

from msgspec import Struct

from gitbatch.agents.acp.message import Initialized, PromptResult, RpcError
from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.limits.usage import Usage
from gitbatch.text import CleanText, clean_text


class Stage(Enum):
    """How far a conversation has come."""

    STARTED = "its start"
    INITIALIZED = "initialize"
    """It has answered, so it speaks the protocol."""
    PROMPTED = "session/prompt"
    ENDED = "the end of its turn"


class Stop(Struct, frozen=True):
    """Why we stopped an agent, or did not let it begin."""

    cause: Cause
    reason: str
    wait_reason: WaitReason = WaitReason.SERVER_BUSY
    """What all items wait for, if the cause is BUSY."""


class TurnState(Struct):
    """What is known of a conversation; filled step by step."""

    stage: Stage = Stage.STARTED
    agent: Initialized | None = None
    result: PromptResult | None = None
    error: RpcError | None = None
    """The error of the request that was answered last."""
    failed_request: str = ""
    stop: Stop | None = None


def count_usage(result: PromptResult | None, cost: float | None) -> Usage:
    """Returns the usage of an attempt, as far as it was reported.

    Args:
        result: of the turn; None: it has no end.
        cost: US dollars; None: unknown.
    """
    used = result.usage if result else None
    quota = result.meta.quota if result and result.meta else None
    model = clean_text(quota.model_usage[0].model) if quota and quota.model_usage else CleanText("")
    if used is not None:
        counted = used.input_tokens + used.output_tokens
        cached = (used.cached_read_tokens or 0) + (used.cached_write_tokens or 0)
        thought = used.thought_tokens or 0
        is_apart = thought > 0 and used.total_tokens == counted + cached + thought
        return Usage(
            model=model,
            input=max(used.input_tokens, 0),
            output=max(used.output_tokens, 0) + (thought if is_apart else 0),
            cache_read=max(used.cached_read_tokens or 0, 0),
            cache_write=max(used.cached_write_tokens or 0, 0),
            requests=1,
            cost=cost,
        )
    if quota is not None and quota.token_count is not None:
        tokens = quota.token_count
        return Usage(
            model=model,
            input=max(tokens.input_tokens, 0),
            output=max(tokens.output_tokens, 0),
            requests=1,
            cost=cost,
        )
    return Usage(cost=cost)


def judge_stop_reason(reason: str) -> Stop | None:
    """Returns why a turn that has ended is a failure; None if it is a success."""
    match reason:
        case "end_turn":
            return None
        case "refusal":
            return Stop(Cause.DECLINED, "the model declined")
        case "max_tokens":
            return Stop(Cause.FAILED, "the answer of the model was too long (max_tokens)")
        case "max_turn_requests":
            return Stop(Cause.FAILED, "the agent reached its own limit of requests (max_turn_requests)")
        case "cancelled":
            return Stop(Cause.FAILED, "the agent cancelled its turn")
    return Stop(Cause.FAILED, f"the agent ended its turn for an unknown reason: {clean_text(reason)}")
