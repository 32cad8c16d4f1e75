"""Hints: HTML comments that override how items are run, and whom they act on.

A comment is a hint only if it is nothing else: one name, at most one value. Every other comment belongs to another
tool and is left alone; one that is a typing error away from a hint is a warning.
"""

import re
from collections.abc import Iterable, Sequence
from enum import Enum

from msgspec import Struct

from gitbatch.patterns import compile_later
from gitbatch.plan import help_texts
from gitbatch.plan.blocks import Comment
from gitbatch.plan.clauses import Value
from gitbatch.plan.duration import EXAMPLES, parse_duration
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.foreign import advice_for
from gitbatch.plan.help_texts import Advice
from gitbatch.plan.model import Hints
from gitbatch.plan.source import Span
from gitbatch.plan.spelling import nearest


class Name(Enum):
    """What a hint may be."""

    SEQUENTIAL = "sequential"
    PARALLEL = "parallel"
    MAX = "max"
    RETRIES = "retries"
    TIMEOUT = "timeout"
    AFTER = "after"
    AGENT = "agent"
    OUTPUT = "output"
    CHECK = "check"
    GATE = "gate"
    WAIT = "wait"
    BARRIER = "barrier"


AGENT = compile_later(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,79}")
"""A name of an agent."""
CHECK_NAME = AGENT.pattern
"""A name of a check or a gate."""
NO_CHECKS = "none"
"""What is written instead of names for no check, or no gate."""

_NAMES = {name.value: name for name in Name}
_KNOWN = help_texts.KNOWN_HINTS.fill(names=", ".join(_NAMES))
_HINT = compile_later(
    r"\s*(?P<prefix>gitbatch\s*:)?\s*(?P<name>[A-Za-z]{1,20})\s*(?:[:=](?P<value>.*))?",
    re.DOTALL | re.IGNORECASE,
)
_ADDRESS = compile_later(r"\s*(?P<to>[A-Za-z]{6,10})\s*:?\s*(?P<name>[A-Za-z]{1,20})\b")
_SEVERAL = compile_later(r"[,;]")
_CHECK_NAMES = rf"none|(?!(?:.*[\s,;])?none\s*(?:[,;]|$)){CHECK_NAME}(?:\s*[,;]\s*{CHECK_NAME})*"
_FORMS = {
    Name.SEQUENTIAL: "",
    Name.PARALLEL: "",
    Name.WAIT: "",
    Name.BARRIER: "",
    Name.MAX: r"0*[1-9][0-9]{0,5}",
    Name.RETRIES: r"[0-9]{1,6}",
    Name.AFTER: r"(?s:.*[^\s`,;].*)",
    Name.AGENT: AGENT.pattern,
    Name.OUTPUT: r"`[^`\r\n]+`|[^\s`]+",
    Name.CHECK: _CHECK_NAMES,
    Name.GATE: _CHECK_NAMES,
}
"""What is right after a name. Compiled when one is looked at: most plans have few hints."""
_WANTED = {
    Name.MAX: help_texts.NUMBER_FROM_1,
    Name.RETRIES: help_texts.NUMBER_FROM_0,
    Name.TIMEOUT: help_texts.SOME_TIME.fill(examples=EXAMPLES, german=EXAMPLES.replace(" or ", " oder ")),
    Name.AFTER: help_texts.SOME_ITEMS,
    Name.AGENT: help_texts.SOME_AGENT,
    Name.OUTPUT: help_texts.SOME_PATH,
    Name.CHECK: help_texts.SOME_NAMES,
    Name.GATE: help_texts.SOME_NAMES,
}


class Hint(Struct, frozen=True):
    """One hint with its value as it is written."""

    name: Name
    value: str
    span: Span


class HintSettings(Struct, frozen=True):
    """What the hints of one item, of one group or of the plan say together."""

    hints: Hints
    """`after` is still empty here: it is resolved in `after.py`."""
    after: tuple[Value, ...] = ()
    output: Value | None = None


_NOTHING_SAID = HintSettings(Hints())


def read_hint(comment: Comment, findings: Findings, *, is_ours: bool) -> Hint | None:
    """The hint that a comment is. `is_ours`: it stands in the work section, where near-misses are reported."""
    match = _HINT.fullmatch(comment.content)
    if is_ours and _report_address(match, comment, findings):
        return None
    if not match:
        if is_ours:
            _report_several(comment, findings)
        return None
    is_addressed = match["prefix"] is not None
    name = _NAMES.get(match["name"].casefold())
    if not name:
        _report_unknown(match, comment, findings, is_ours=is_ours)
        return None
    hint = Hint(name, (match["value"] or "").strip(), comment.span)
    if _is_good(hint):
        return hint
    if is_addressed or (is_ours and match["value"] is not None):
        _report_value(hint, findings)
    elif is_ours:
        advice = _value_advice(name)
        findings.warning("GB301", comment.span, f"{name.value} without a value has no effect", advice)
    return None


def _report_unknown(match: re.Match[str], comment: Comment, findings: Findings, *, is_ours: bool) -> None:
    """Reports an unknown name: an error behind `gitbatch:`, else a warning if it is nearly one."""
    word = match["name"]
    foreign = advice_for(word) if is_ours and match["value"] is not None else None
    if foreign and match["prefix"] is None:
        findings.warning("GB304", comment.span, f"{quoted(word)} has no effect here", foreign)
        return
    near = nearest(word, _NAMES, 1)
    if match["prefix"] is not None:
        meant = help_texts.MEANT_HINT.fill(name=quoted(near)) if near else _KNOWN
        findings.error("GB301", comment.span, f"{quoted(word)} is not a hint", meant)
    elif near and is_ours and (len(near) > len(Name.MAX.value) or (match["value"] or "").strip().isdigit()):
        advice = help_texts.MEANT_HINT_IDLE.fill(name=quoted(near))
        findings.warning("GB301", comment.span, f"{quoted(word)} is not a hint", advice)


def _report_address(match: re.Match[str] | None, comment: Comment, findings: Findings) -> bool:
    """Whether a comment is addressed to us, nearly: `gitbach: max=2`, `gitbatch max=2`. Says so."""
    address = _ADDRESS.match(comment.content)
    if (match and match["prefix"]) or not address or address["name"].casefold() not in _NAMES:
        return False
    if nearest(address["to"], ["gitbatch"], 2) is None:
        return False
    advice = help_texts.HINT_ALONE.fill(hint=quoted(f"<!-- gitbatch: {address[2]} … -->"))
    findings.warning("GB301", comment.span, "this comment is nearly a hint, and has no effect", advice)
    return True


def _report_several(comment: Comment, findings: Findings) -> None:
    parts = [_HINT.fullmatch(part) for part in _SEVERAL.split(comment.content)]
    if len(parts) > 1 and all(part and part["name"].casefold() in _NAMES for part in parts):
        message = "several hints in one comment have no effect"
        findings.warning("GB301", comment.span, message, help_texts.ONE_COMMENT_EACH)


def _report_value(hint: Hint, findings: Findings) -> None:
    name = hint.name.value
    message = f"invalid value {quoted(hint.value)} for {name}" if hint.value else f"{name} has no value"
    findings.error("GB213", hint.span, message, _value_advice(hint.name))


def _value_advice(name: Name) -> Advice:
    wanted = _WANTED.get(name)
    if wanted is None:
        return help_texts.NO_HINT_VALUE
    return help_texts.HINT_VALUE.fill(hint=quoted(f"<!-- {name.value}: … -->"), wanted=wanted)


def _is_good(hint: Hint) -> bool:
    if hint.name is Name.TIMEOUT:
        return parse_duration(hint.value) is not None
    return re.fullmatch(_FORMS[hint.name], hint.value) is not None


def combine_hints(hints: Sequence[Hint], findings: Findings) -> HintSettings:
    """Returns the settings by the hints of one owner. Reports those that contradict each other."""
    if not hints:
        return _NOTHING_SAID
    said: dict[Name, Hint] = {}
    after: list[Value] = []
    for hint in hints:
        if hint.name is Name.AFTER:
            names = (part.strip(" `") for part in _SEVERAL.split(hint.value))
            after += (Value(name, hint.span, is_bare=False) for name in names if name)
        elif hint.name not in said:
            said[hint.name] = hint
        elif said[hint.name].value != hint.value:
            message = f"{hint.name.value} is said twice, differently"
            findings.error("GB302", hint.span, message, help_texts.KEEP_ONE)
    _report_conflict(said, findings)
    return HintSettings(_hints(said), tuple(after), _output(said))


def _report_conflict(said: dict[Name, Hint], findings: Findings) -> None:
    sequential, parallel, limit = (said.get(name) for name in (Name.SEQUENTIAL, Name.PARALLEL, Name.MAX))
    others = [
        hint for hint in (parallel, limit) if hint and not (hint.name is Name.MAX and int(hint.value) == 1)
    ]
    if sequential and others:
        later = max(sequential, *others, key=lambda hint: hint.span)
        message = f"sequential contradicts {others[0].name.value}"
        findings.error("GB302", later.span, message, help_texts.KEEP_ONE)


def _hints(said: dict[Name, Hint]) -> Hints:
    value = {name: hint.value for name, hint in said.items()}
    return Hints(
        sequential=Name.SEQUENTIAL in value,
        parallel=Name.PARALLEL in value,
        max=int(value[Name.MAX]) if Name.MAX in value else None,
        retries=int(value[Name.RETRIES]) if Name.RETRIES in value else None,
        timeout=parse_duration(value[Name.TIMEOUT]) if Name.TIMEOUT in value else None,
        agent=value.get(Name.AGENT),
        checks=_split_names(value.get(Name.CHECK)),
        gates=_split_names(value.get(Name.GATE)),
        wait=Name.WAIT in value,
        barrier=Name.BARRIER in value,
    )


def _split_names(said: str | None) -> tuple[str, ...] | None:
    """Returns the names of checks in the value of a hint; None without such a hint."""
    return None if said is None else read_check_names(part.strip() for part in _SEVERAL.split(said))


def read_check_names(names: Iterable[str]) -> tuple[str, ...]:
    """Returns the names of checks, each once and without `none`."""
    return tuple(dict.fromkeys(name for name in names if name and name != NO_CHECKS))


def _output(said: dict[Name, Hint]) -> Value | None:
    hint = said.get(Name.OUTPUT)
    return Value(hint.value.strip("`"), hint.span, is_bare=False) if hint else None
