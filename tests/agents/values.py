"""Replies and failures as tests expect them: written in plain strings."""

from gitbatch.agents.failures import Cause
from gitbatch.agents.protocol import Contribution, Failure, Reply, ReplyFlag, Usage
from gitbatch.text import Harmless


def a_reply(
    summary: str,
    decisions: tuple[str, ...] = (),
    contributions: tuple[tuple[str, str], ...] = (),
    usage: Usage = Usage(),
    flags: tuple[ReplyFlag, ...] = (),
) -> Reply:
    given = tuple(Contribution(Harmless(artifact), Harmless(text)) for artifact, text in contributions)
    return Reply(Harmless(summary), tuple(map(Harmless, decisions)), given, usage, flags)


def a_failure(reason: str, details: tuple[str, ...] = (), cause: Cause = Cause.FAILED) -> Failure:
    return Failure(Harmless(reason), tuple(map(Harmless, details)), cause)
