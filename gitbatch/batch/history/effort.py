"""Words for what items took: attempts, waits, time, tokens and costs, as messages and views show them."""

from gitbatch.batch.model import FailedAttempt, Outcome
from gitbatch.batch.verdicts import GateVerdict
from gitbatch.checks.verdict import VERDICT_WORDS, CheckResult
from gitbatch.limits.causes import TREATMENTS, Cause
from gitbatch.limits.usage import Spent, Usage
from gitbatch.text import format_count, name_host


def format_effort(outcome: Outcome) -> tuple[str, ...]:
    """Returns lines for people on the attempts, waits and usage of an item; only what is worth a line."""
    waits = f"server busy {format_count(outcome.waits, 'time')}, " if outcome.waits else ""
    waited = round(outcome.waited, 1)  # others wait for the first item of their group, if only for a moment
    failed = "; ".join(f"{tried.number}: {format_reason(tried)}" for tried in outcome.earlier)
    lines = (
        f"{outcome.attempts} attempts; failed before: {failed}" if outcome.earlier else "",
        f"{waits}waited {outcome.waited:.1f} s" if outcome.waits or waited else "",
        f"{outcome.seconds:.1f} s, {format_usage(outcome.spent)}" if outcome.spent.usage != Usage() else "",
        format_checks(outcome.checks),
        format_rescued(outcome.rescued),
    )
    return tuple(line for line in lines if line)


def format_checks(checks: tuple[CheckResult, ...]) -> str:
    """Returns the verdicts of the checks of an output, in words; empty if it has none."""
    listed = (f"{check.name} {VERDICT_WORDS[check.verdict]} ({check.seconds:.1f} s)" for check in checks)
    return f"checks: {', '.join(listed)}" if checks else ""


def format_rescued(ref: str) -> str:
    """Returns the command that shows the output of a failed attempt; empty if nothing is kept."""
    return f"what it had written is kept: git show {ref}" if ref else ""


def format_usage(spent: Spent) -> str:
    """Returns a usage for people. An unknown cost is reported as unknown."""
    usage = spent.usage
    if usage == Usage():
        return "unknown usage"
    tokens = f"{format_tokens(usage)} in {format_count(usage.requests, 'request')}"
    kinds = (
        ("input", usage.input),
        ("output", usage.output),
        ("cache read", usage.cache_read),
        ("cache write", usage.cache_write),
    )
    split = ", ".join(f"{name} {count:,}" for name, count in kinds if count)
    hit = f", cache hit rate {usage.cache_hits:.0%}" if usage.cache_read or usage.cache_write else ""
    return f"{tokens}{f' ({split})' if split else ''}{hit}, {format_cost(spent)}"


def format_tokens(usage: Usage) -> str:
    """Returns a number of tokens for people. An unknown number is reported as unknown, not 0."""
    return "tokens unknown" if usage.is_uncounted else f"{usage.total_tokens:,} tokens"


def format_cost(spent: Spent) -> str:
    """Returns a cost for people."""
    if spent.usage.cost is None:
        return "cost unknown"
    unknown = f" and {format_count(spent.unknown, 'attempt')} of unknown cost"
    return f"${spent.usage.cost:.4f}{unknown if spent.unknown else ''}"


def format_gate_effort(gate: GateVerdict) -> str:
    """Returns where a gate ran, and its runs and their time, in brackets; not that, if its result was known."""
    took = f" ({format_count(gate.runs, 'run')}, {gate.seconds:.1f} s)" if gate.runs else ""
    return f"{name_host(gate.host)}{took}"


def format_reason(tried: FailedAttempt) -> str:
    """Returns why an attempt failed, with the cause if the reason alone does not state it."""
    stated = {
        *(None, Cause.FAILED, Cause.TIMEOUT, Cause.REFUSED, Cause.NO_OUTPUT, Cause.UNCHANGED, Cause.LEAK),
        *(Cause.GATE, Cause.CHECK_FAILED),
    }
    needs_cause = tried.cause not in stated
    return (
        f"{TREATMENTS[tried.cause].description}: {tried.reason}"
        if tried.cause and needs_cause
        else tried.reason
    )
