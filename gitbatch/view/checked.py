"""The results of checks by hand, for people: a line for each, and what a red one printed."""

from collections.abc import Iterator

from gitbatch.batch.by_hand.check import HandRun
from gitbatch.batch.by_hand.run import HandResult
from gitbatch.checks.verdict import VERDICT_WORDS, CheckVerdict
from gitbatch.paths import quote_path
from gitbatch.text import format_count
from gitbatch.view.block import Block, StyledLine, make_line

_STYLES = {
    CheckVerdict.PASS: "green",
    CheckVerdict.SKIP: "yellow",
    CheckVerdict.RED: "red",
    CheckVerdict.UNAVAILABLE: "red",
}


def render_hand_result(shown: HandResult) -> Block:
    """Returns the lines of a result."""
    return tuple(_result_lines(shown))


def _result_lines(shown: HandResult) -> Iterator[StyledLine]:
    result = shown.result
    name = f"check {result.name}" if shown.output else f"gate {result.name}"
    words = (f"{VERDICT_WORDS[result.verdict]:<15}", _STYLES[result.verdict])
    what = f"{quote_path(shown.output)}  " if shown.output else ""
    reason = f": {result.reason}" if result.reason else ""
    yield make_line(words, " ", (what, "bold"), f"{name} ({result.seconds:.1f} s){reason}")
    if not result.verdict.lets_through:
        yield from (make_line(f"| {line}", indent=2) for line in result.findings)


def render_hand_run(run: HandRun) -> Block:
    """Returns the last lines: what was not checked, and the sums."""
    return tuple(_sum_lines(run))


def _sum_lines(run: HandRun) -> Iterator[StyledLine]:
    for output in run.unchecked:
        yield make_line(f"{quote_path(output)} has no check")
    for output, name in run.not_run:
        yield make_line(f"{quote_path(output)}: check {name} is an agent's, and is not run by hand")
    counts = {
        verdict: sum(each.result.verdict is verdict for each in run.results) for verdict in CheckVerdict
    }
    said = ", ".join(f"{count} {VERDICT_WORDS[verdict]}" for verdict, count in counts.items() if count)
    where = run.commit[:12] or "the working tree"
    yield make_line(f"{format_count(len(run.results), 'result')} on {where}{': ' * bool(said)}{said}")
