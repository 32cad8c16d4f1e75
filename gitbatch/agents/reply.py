"""Parses what an agent wrote into a `Reply`: validated, cut to size, cleaned. Rule S3."""

import re
from functools import cache
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gitbatch.agents.json_text import after_json, is_fence, is_json, replace_lone_surrogates
from gitbatch.agents.protocol import Contribution, Failure, Reply, ReplyFlag
from gitbatch.agents.review.answer import read_review_file, read_review_text
from gitbatch.agents.review.model import InvalidReview, Review, ReviewRequest
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.text import LIMIT, clean_text

SENTENCES = 3
NO_VERDICT = "no verdict: "
"""The beginning of the reason why a review failed."""
REPLY_BYTES = 1024 * 1024
_ENTRIES = 100

# Quotes of several languages: what closes in one opens in another.
_SENTENCE_END = r"[.!?…][\"'“”‘’«»)\]`*_]*\s+(?=[\"'“”„‘’‚«»(\[`*_]*[^\W_])"  # noqa: RUF001
_ABBREVIATION = (
    r"(?:^|[\s\"'“„‘‚«»(\[`*_])(?:"  # noqa: RUF001
    r"abb|abs|al|approx|bspw|bzw|ca|cf|dr|etc|evtl|exkl|fig|ggf|inkl|kap|mio|mrd|mrs?|ms"
    r"|nr|no|prof|resp|sog|std?|usf|usw|vgl|vs"
    r"|(?:[^\W\d_]\.\s?)*[^\W\d_]"  # a single letter, or letters with dots: e.g., z. B.
    r"|(?:ab|am|bis|das|dem|den|der|des|die|im|seit|vom|zum|zur)\s[0-9]{1,2}"  # a German ordinal: am 3. Mai
    r")\.$"
)
_LETTER_END = r"[^\s.]\s+[^\W\d_]\.\s+(?![^\W\d_]\.)"
_LONGEST = 12
"""Characters that are enough to recognise an abbreviation and the character before it."""


class _WrittenContribution(msgspec.Struct, frozen=True):
    artifact: str
    text: str


_Count = Annotated[int, Meta(ge=0, le=10**15)]
_Seconds = Annotated[float, Meta(ge=0, le=10**9)]


class _WrittenUsage(msgspec.Struct, frozen=True):
    model: str = ""
    input: _Count = 0
    output: _Count = 0
    cache_read: _Count = 0
    cache_write: _Count = 0
    requests: _Count = 1
    cost: Annotated[float, Meta(ge=0, le=10**9)] | None = None


class _WrittenReply(msgspec.Struct, frozen=True):
    """The JSON that an agent may write."""

    summary: str = ""
    decisions: tuple[str, ...] = ()
    contributions: tuple[_WrittenContribution, ...] = ()
    usage: msgspec.Raw = msgspec.Raw(b"null")
    """Parsed on its own: an invalid usage must not make the reply invalid."""
    retry_after: msgspec.Raw = msgspec.Raw(b"null")


class _WrittenPart(msgspec.Struct, frozen=True):
    """The JSON of an agent that failed, as far as it counts: whatever the rest is like."""

    usage: msgspec.Raw = msgspec.Raw(b"null")
    retry_after: msgspec.Raw = msgspec.Raw(b"null")


class PartialReply(Struct, frozen=True):
    """The parts of a reply that count although the agent failed."""

    usage: Usage = Usage()
    retry_after: float | None = None
    """Seconds; None: it did not say."""


def parse_partial_reply(written: bytes) -> PartialReply:
    """Parses the reply of an agent that failed; empty if it is invalid."""
    try:
        parsed = msgspec.json.decode(replace_lone_surrogates(written), type=_WrittenPart)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return PartialReply()
    return PartialReply(_parse_usage(parsed.usage), _parse_seconds(parsed.retry_after))


def _parse_seconds(raw: msgspec.Raw) -> float | None:
    try:
        return msgspec.json.decode(raw, type=_Seconds | None)
    except (msgspec.DecodeError, RecursionError):
        return None


def _parse_usage(raw: msgspec.Raw) -> Usage:
    try:
        written = msgspec.json.decode(raw, type=_WrittenUsage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Usage()
    return Usage(
        clean_text(written.model),
        written.input,
        written.output,
        written.cache_read,
        written.cache_write,
        written.requests,
        written.cost,
    )


def parse_reply(written: bytes) -> Reply | Failure:
    """Parses the JSON of a reply; returns a failure if it is invalid."""
    try:
        parsed = msgspec.json.decode(replace_lone_surrogates(written), type=_WrittenReply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        usage = parse_partial_reply(written).usage
        return Failure(clean_text(f"invalid reply JSON: {error}"), usage=usage)
    contributions = tuple((c.artifact, c.text) for c in parsed.contributions)
    return make_reply(parsed.summary, parsed.decisions, contributions, _parse_usage(parsed.usage))


def make_reply(
    summary: str,
    decisions: tuple[str, ...] = (),
    contributions: tuple[tuple[str, str], ...] = (),
    usage: Usage = Usage(),
) -> Reply:
    """Makes a reply of cleaned texts; a summary that is missing, JSON, too short or too long is flagged.

    Args:
        summary: a summary of the work.
        decisions: for the decisions log.
        contributions: pairs of a shared artifact and a line for it.
        usage: the usage of the attempt.
    """
    clean = clean_text("" if is_json(summary) else summary, LIMIT * SENTENCES)
    short = first_sentences(clean, SENTENCES)
    flags = (
        *((ReplyFlag.SUMMARY_MISSING,) if not clean else ()),
        *((ReplyFlag.SUMMARY_SHORT,) if clean and is_short(clean) else ()),
        *((ReplyFlag.SUMMARY_CUT,) if short != clean else ()),
    )
    said = tuple(filter(None, map(clean_text, decisions[:_ENTRIES])))
    given = tuple(
        Contribution(clean_text(artifact), clean_text(text)) for artifact, text in contributions[:_ENTRIES]
    )
    return Reply(clean_text(short), said, tuple(c for c in given if c.artifact and c.text), usage, flags)


def make_review(text: str, request: ReviewRequest, usage: Usage = Usage()) -> Reply | Failure:
    """Returns the reply of a reviewer by its last message; a failure if that has no valid verdict."""
    return reply_with_review(read_review_text(text, request), usage)


def parse_review(written: bytes, request: ReviewRequest) -> Reply | Failure:
    """Returns the reply of a reviewer by the JSON that it wrote; a failure if that has no valid verdict."""
    return reply_with_review(read_review_file(written, request), parse_partial_reply(written).usage)


def require_one_verdict(reply: Reply, text: str, request: ReviewRequest) -> Reply | Failure:
    """Returns the reply of a reviewer; a failure if its last message has another verdict."""
    said = read_review_text(text, request)
    if isinstance(said, InvalidReview) or reply.review is None or said.decision is reply.review.decision:
        return reply
    problem = InvalidReview(clean_text("its last message has another verdict than its reply"))
    return reply_with_review(problem, reply.usage)


def reply_with_review(review: Review | InvalidReview, usage: Usage = Usage()) -> Reply | Failure:
    """Returns the reply with a verdict; a failure if it is invalid."""
    if isinstance(review, InvalidReview):
        return Failure(clean_text(f"{NO_VERDICT}{review.reason}"), cause=Cause.UNREVIEWED, usage=usage)
    return Reply(clean_text(""), usage=usage, review=review)


@cache
def _compile(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Compiles a pattern when it is needed first: a program that exchanges no summaries needs none."""
    return re.compile(pattern, flags)


def is_short(summary: str) -> bool:
    """Whether a summary has fewer than two sentences. A letter by itself may end one: “Wrote a. Checked b.” has two."""
    return first_sentences(summary, 1) == summary and not _compile(_LETTER_END).search(summary)


def first_sentences(text: str, most: int) -> str:
    """Returns the text up to the end of its `most`-th sentence."""
    seen = 0
    for end in _compile(_SENTENCE_END).finditer(text):
        stop = end.start() + 1
        if _compile(_ABBREVIATION, re.IGNORECASE).search(text, max(0, stop - _LONGEST), stop):
            continue
        seen += 1
        if seen == most:
            return text[: end.end()].rstrip()
    return text


def last_paragraph(text: str) -> str:
    """Returns the last paragraph with text of a program's output: its summary, if it writes no reply.

    JSON does not count: empty if the output ends with it.
    """
    paragraphs = re.split(r"\n\s*\n", text.replace("\r\n", "\n"))
    return after_json(
        next(
            (
                said
                for said in map(str.strip, reversed(paragraphs))
                if clean_text(said) and not is_fence(said)
            ),
            "",
        )
    )
