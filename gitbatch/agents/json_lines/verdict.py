"""Why an attempt failed, from the error that a program reports: the rows that are the same for all formats.

Only errors are judged by their words, never what a model says.
"""

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.patterns import compile_later
from gitbatch.plan.model import ItemKey
from gitbatch.text import CleanText, clean_text

_BUSY = frozenset({408, 409, 429})
_UNUSABLE = frozenset({401, 402, 403, 407})
_NOT_FOUND, _TOO_LARGE, _SERVER_ERROR = 404, 413, 500
_NUMBER = r"(40[0-9]|413|422|429|5\d\d)"
_STATUS = compile_later(rf"\b(?:status|code|http|error)(?: code)?\W{{0,3}}{_NUMBER}\b", re.IGNORECASE)
_LONE_NUMBER = compile_later(rf"(?<![\w.,/#:-]){_NUMBER}(?![\w/-]|[.,:]\d|\s*tokens)")
_NO_CONNECTION = compile_later(
    r"Connection refused|Unable to connect|gitbatch: no connection to |waiting for network|fetch failed|Name or service not known"
    r"|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH"
)
_BY_PROXY = "gitbatch: no connection to "
"""The beginning of what our proxy answers, with a status, where it does not reach a host."""
_CONTEXT = compile_later(
    r"(?:prompt|input|request) is too long|too many (?:input )?tokens|context[ _](?:window|length|limit)|maximum context"
    r"|token count.{0,40} exceeds",
    re.IGNORECASE,
)
_FATAL = compile_later(
    r"unauthenticated|unauthorized|permission_denied|invalid (?:api key|auth)|api key not valid|incorrect api key"
    r"|(?:missing|specify) .{0,40}api[_ ]key|missing environment variable|not logged in"
    r"|authentication (?:failed|required)|model.{0,60}(?:not found|does not exist)",
    re.IGNORECASE,
)
_BUSY_WORDS = compile_later(
    r"rate.?limit|overloaded|resource_exhausted|usage limit|limit reached|hit your [\w -]{0,20}limit|out of extra usage|too many requests|service unavailable"
    r"|stream disconnected|socket hang up",
    re.IGNORECASE,
)
_NO_CREDIT = compile_later(
    r"insufficient[_ ](?:quota|balance|credits?|funds)|credit balance is too low|out of credits?|billing_hard_limit",
    re.IGNORECASE,
)
"""Errors that no wait ends, also where their status is that of a busy server or of a bad request."""
_USAGE = compile_later(
    r"(?:[\w./-]+: )?(?:error: )?(?:unknown (?:shorthand )?(?:option|argument|flag|command)s?\b"
    r"|unexpected argument\b|unrecognized (?:option|argument|subcommand|command)s?\b|invalid option\b"
    r"|invalid value\b.* for '|invalid values:|argument -.*: invalid choice|not enough arguments following)",
    re.IGNORECASE,
)
"""Messages of the usual parsers of command lines: commander, yargs, clap, argparse, cobra, getopt."""
_WORDS = (
    (Cause.CONTEXT, _CONTEXT),
    (Cause.FATAL, _NO_CREDIT),
    (Cause.FATAL, _FATAL),
    (Cause.BUSY, _BUSY_WORDS),
)


class Verdict(Struct, frozen=True):
    """Why an attempt failed."""

    cause: Cause
    reason: CleanText
    is_cut: bool = False
    """An answer was cut or malformed: that is worth one wait; after that, the attempt has failed."""
    wait_reason: WaitReason = WaitReason.SERVER_BUSY
    """What all items wait for, if the cause is BUSY."""
    is_guess: bool = False
    """It is from text that need not be about the failure."""


class CutAnswers:
    """The items of a run that have waited once for an answer that was cut."""

    def __init__(self) -> None:
        self._items: set[ItemKey] = set()

    def decide_cause(self, item: ItemKey, verdict: Verdict) -> Cause:
        """Returns the cause of a verdict for an item: a second cut answer is a failure."""
        if not verdict.is_cut:
            return verdict.cause
        if item in self._items:
            return Cause.FAILED
        self._items.add(item)
        return verdict.cause


def is_busy_number(status: int) -> bool:
    """Whether a status of HTTP means that the server may be asked again."""
    return status in _BUSY or status >= _SERVER_ERROR


def find_usage_problem(lines: Iterable[str]) -> str:
    """Returns the line in which a program says that it does not know its command line; empty if no line does.

    Args:
        lines: what a program printed that printed no event.
    """
    return next((line for line in lines if _USAGE.match(line)), "")


def has_no_connection(text: str) -> bool:
    """Whether an error says that the server was not reached."""
    return bool(_NO_CONNECTION.search(text))


def no_connection(text: str) -> Verdict:
    """Returns the verdict for an error that says so."""
    return Verdict(Cause.BUSY, clean_text(f"no connection: {text}"), wait_reason=WaitReason.NO_CONNECTION)


def find_cause(status: int, text: str) -> Cause:
    """Returns the cause for an error with a status of HTTP."""
    if status in _UNUSABLE or _NO_CREDIT.search(text) or (status == _NOT_FOUND and "model" in text.lower()):
        return Cause.FATAL
    if is_busy_number(status):
        return Cause.BUSY
    if status == _TOO_LARGE or _CONTEXT.search(text):
        return Cause.CONTEXT
    return Cause.FAILED


def judge_error(text: str, status: int | None = None) -> Verdict:
    """Returns the verdict for an error: by its status, else by one that its text has, else by its words."""
    if has_no_connection(text) and (status is None or _BY_PROXY in text):
        return no_connection(text)
    if status is None:
        found = _STATUS.search(text) or _LONE_NUMBER.search(text)
        status = int(found[1]) if found else None
    if status is not None:
        return Verdict(find_cause(status, text), clean_text(text or f"status {status}"))
    return Verdict(judge_words(text) or Cause.FAILED, clean_text(text or "it reports an error"))


def judge_words(text: str) -> Cause | None:
    """Returns the cause that an error has by its words; None: they say nothing that is known."""
    return next((cause for cause, pattern in _WORDS if pattern.search(text)), None)


def judge_last_lines(lines: Sequence[str]) -> Verdict | None:
    """Returns the verdict of the last line that says more than that the program failed; None if no line does.

    Args:
        lines: what a program printed as text: of errors, not of a model. A busy server in it is a guess.
    """
    verdicts = (judge_error(line) for line in reversed(lines))
    known = next((verdict for verdict in verdicts if verdict.cause is not Cause.FAILED), None)
    return replace(known, is_guess=known.cause is Cause.BUSY) if known else None
