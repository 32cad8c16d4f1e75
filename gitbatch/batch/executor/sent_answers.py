"""The one place where values of a worker become values of the orchestrator: every text is made harmless here.

The way back, from the values of an agent to those that a worker sends, is here too: texts are cut to what may be sent.
"""

from msgspec.structs import replace

from gitbatch.agents.protocol import Contribution, Failure, Reply, ReplyFlag
from gitbatch.agents.reply import make_reply
from gitbatch.batch.executor.messages import (
    MOST_DETAILS,
    MOST_ENTRIES,
    SentContribution,
    SentFailure,
    SentReply,
    SentUsage,
)
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.text import LIMIT, clean_text

_TEXT = 8_000
_NAME = 200
_OURS = frozenset(
    {
        Cause.PAUSED,
        Cause.STOPPED,
        Cause.GATE,
        Cause.CHECK_FAILED,
        Cause.UNAVAILABLE,
        Cause.NO_WORKER,
        Cause.STALE,
    }
)
"""Causes that only the orchestrator finds."""


def read_answer(sent: SentReply | SentFailure) -> Reply | Failure:
    """Returns what an agent answered by the word of a worker, with harmless texts."""
    if isinstance(sent, SentReply):
        given = tuple((each.artifact, each.text) for each in sent.contributions)
        reply = make_reply(sent.summary, sent.decisions, given, read_usage(sent.usage))
        # What the summary was before it was cut, only the worker has seen.
        return replace(reply, flags=tuple(flag for flag in ReplyFlag if flag in {*reply.flags, *sent.flags}))
    return Failure(
        clean_text(sent.reason),
        tuple(map(clean_text, sent.details)),
        _read_cause(sent.cause),
        sent.retry_after,
        read_usage(sent.usage),
        sent.wait_reason,
        sent.is_guess,
    )


def _read_cause(cause: Cause) -> Cause:
    """Returns the cause of a failure here: a worker whose disk is full is as good as lost."""
    if cause is Cause.DISK:
        return Cause.LOST
    return Cause.FAILED if cause in _OURS else cause


def read_usage(sent: SentUsage) -> Usage:
    """Returns what an agent has used by the word of a worker."""
    return Usage(
        clean_text(sent.model),
        sent.input,
        sent.output,
        sent.cache_read,
        sent.cache_write,
        sent.requests,
        sent.cost,
    )


def send_answer(answer: Reply | Failure) -> SentReply | SentFailure:
    """Returns the answer of an agent as a worker sends it."""
    usage = send_usage(answer.usage)
    if isinstance(answer, Failure):
        details = tuple(line[:_TEXT] for line in answer.details[-MOST_DETAILS:])
        return SentFailure(
            answer.reason[:_TEXT],
            details,
            answer.cause,
            answer.retry_after,
            usage,
            answer.wait_reason,
            answer.is_guess,
        )
    return SentReply(
        answer.summary[:_TEXT],
        tuple(said[:_TEXT] for said in answer.decisions[:MOST_ENTRIES]),
        tuple(map(_send_contribution, answer.contributions[:MOST_ENTRIES])),
        usage,
        answer.flags,
    )


def _send_contribution(given: Contribution) -> SentContribution:
    return SentContribution(given.artifact[:LIMIT], given.text[:_TEXT])


def send_usage(usage: Usage) -> SentUsage:
    """Returns what an agent has used as a worker sends it."""
    return SentUsage(
        usage.model[:_NAME],
        usage.input,
        usage.output,
        usage.cache_read,
        usage.cache_write,
        usage.requests,
        usage.cost,
    )
