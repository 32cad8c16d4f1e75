"""The gates of a group: what they say of a tree that is about to be recorded, and which items they send away."""

from collections.abc import Mapping

from msgspec import Struct

from gitbatch.batch.events import Notice
from gitbatch.batch.group.checkpoint import BuiltGroup, GatedTree
from gitbatch.batch.group.gate_runs import GateEffort, GateRuns, GateShare, find_merged
from gitbatch.batch.group.guilty import find_guilty
from gitbatch.batch.history.gate_results import GateResult
from gitbatch.batch.item.stop import Halt
from gitbatch.batch.model import Outcome
from gitbatch.batch.verdicts import GateState, GateVerdict
from gitbatch.checks.verdict import CheckVerdict
from gitbatch.limits.causes import Cause
from gitbatch.plan.model import ItemKey
from gitbatch.project.check_tables import GateTable
from gitbatch.text import clean_text

_RESUME = "resume: gitbatch run (finished items are kept, and the gate runs again)"


class Blamed(Struct, frozen=True):
    """The guilty items of a group, which a gate does not let through."""

    outcomes: Mapping[ItemKey, Outcome]
    """By key: failed, with the words of the gate."""


class BlockedGroup(Struct, frozen=True):
    """A group that a gate does not let through, although no item is to blame: the batch halts."""

    halt: Halt


async def judge_group(
    share: GateShare,
    gates: Mapping[str, GateTable],
    built: BuiltGroup,
    efforts: dict[str, GateEffort],
) -> GatedTree | Blamed | BlockedGroup:
    """Runs the gates of a group, one after the other, on the tree that is to be recorded.

    Args:
        share: what all gates share.
        gates: the gates by name, in the order of the configuration.
        built: the group.
        efforts: what each gate took so far for this checkpoint, by name.

    Raises:
        NoVerdictError: a gate gave no verdict.
    """
    merged = await share.run.git(find_merged, share.run.repo, built.checkpoint.outcomes)
    verdicts = []
    for name, table in gates.items():
        effort = efforts.setdefault(name, GateEffort())
        judged = await _judge_gate(GateRuns(share, name, table, built, merged, effort))
        if not isinstance(judged, GateVerdict):
            return judged
        verdicts.append(judged)
    return GatedTree(built.tree, tuple(verdicts))


async def _judge_gate(runs: GateRuns) -> GateVerdict | Blamed | BlockedGroup:
    """Returns the verdict of one gate; if it is red, and was not before, the items that are guilty."""
    result = await runs.judge(runs.whole, twice=True)
    if result.passed is None:
        base = await runs.judge(runs.base, twice=True)
        if base.passed is None:
            if runs.table.must_pass:
                return await _block_red_base(runs, result)
            return _record_red_base(runs, result)
        found = await find_guilty(runs.merged.outcomes, runs.merged.below, runs)
        if found.is_resolved:
            return Blamed(runs.blame(found.guilty))
        result = await runs.run_again(runs.whole)
        if result.passed is None or runs.base_broke:
            return await _block_unexplained(runs)
    return _make_verdict(runs, result)


def _make_verdict(runs: GateRuns, result: GateResult) -> GateVerdict:
    state = GateState.SKIPPED if result.passed is CheckVerdict.SKIP else GateState.PASSED
    note = result.reason if state is GateState.SKIPPED else clean_text("")
    if result.is_flaky:
        note = clean_text(f"flaky: it was red on the same tree before: {result.reason}")
        text = clean_text(f"gate {runs.name} is flaky: red and not red on the same tree")
        runs.share.run.emit(Notice(batch=runs.share.run.batch.id, text=text))
    return GateVerdict(
        runs.name, state, runs.built.tree, round(runs.effort.seconds, 3), runs.effort.runs, note, result.host
    )


def _record_red_base(runs: GateRuns, result: GateResult) -> GateVerdict:
    """Returns the verdict of a gate that was red before: it blocks nothing new."""
    effort = runs.effort
    return GateVerdict(
        runs.name,
        GateState.RED_BEFORE,
        runs.built.tree,
        round(effort.seconds, 3),
        effort.runs,
        result.reason,
        result.host,
    )


async def _block_red_base(runs: GateRuns, result: GateResult) -> BlockedGroup:
    """Returns why a gate that must pass, and was red before, blocks a group.

    Its results are forgotten: what it lacks may be outside of the repository, so it runs again at the next start.
    """
    before = runs.built.checkpoint.before[:12]
    reason = f"gate {runs.name} must pass, and was red before this group (at {before}): {result.reason}"
    await runs.share.run.git(runs.share.results.forget, runs.name)
    return BlockedGroup(
        Halt(
            Cause.GATE,
            clean_text(reason),
            f"fix the branch and commit, or what the gate lacks; then {_RESUME}",
        )
    )


async def _block_unexplained(runs: GateRuns) -> BlockedGroup:
    """Returns why a gate blocks a group in which no item is guilty. Its results are forgotten: they do not agree."""
    everything = frozenset(runs.merged.outcomes)
    if runs.base_broke:
        cause, reason = Cause.UNAVAILABLE, "is red by now also on the base of the group, where it passed"
        advice = f"see what has changed outside of the repository; then {_RESUME}"
    elif await runs.is_red(everything, twice=True):
        cause, reason = (
            Cause.UNAVAILABLE,
            "is red on the group, but its results on parts of it contradict that",
        )
        advice = f"the gate is not reliable: fix it; then {_RESUME}"
    else:
        cause, reason = Cause.GATE, "is red on the shared files that gitbatch writes, and on no item's output"
        advice = f"let it leave the plan, the status and the decisions log alone; then {_RESUME}"
    await runs.share.run.git(runs.share.results.forget, runs.name)
    return BlockedGroup(Halt(cause, clean_text(f"gate {runs.name} {reason}"), advice))
