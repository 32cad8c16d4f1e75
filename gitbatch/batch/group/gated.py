"""Recording a group that has gates: judged on a tree that is built as objects, then recorded with exactly that tree.

The gates may take long, and nothing is locked meanwhile. If the branch has moved when they have passed, the group is
built again, and they run on the new tree. An item that is guilty leaves its branch at once (`set_aside.py`): whatever
interrupts the run, it is not merged, and no gate runs again for what is known of it.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from gitbatch.batch.events import ItemFinished
from gitbatch.batch.group.checkpoint import (
    TRIES,
    BuiltGroup,
    GatedTree,
    GroupOutcomes,
    NewTree,
    Unsound,
    build_group,
    checkpoint_group,
    keeps_moving,
)
from gitbatch.batch.group.early_judging import name_readings
from gitbatch.batch.group.gate_runs import GateEffort, GateShare, NoVerdictError
from gitbatch.batch.group.gates import Blamed, BlockedGroup, judge_group
from gitbatch.batch.group.set_aside import set_guilty_aside
from gitbatch.batch.history.gate_results import GateResults
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.stop import Halt
from gitbatch.batch.model import Checkpoint
from gitbatch.concurrency import shielded
from gitbatch.errors import GitbatchError
from gitbatch.limits.causes import Cause
from gitbatch.plan.model import ItemKey
from gitbatch.project.check_tables import GateTable
from gitbatch.text import clean_text


async def record_gated(
    run: Run, finished: GroupOutcomes, gates: Mapping[str, GateTable], now: float
) -> Checkpoint | Unsound | None:
    """Records a group whose gates let it through; guilty items fail. None: the batch halts."""
    results = await run.git(GateResults.open, run.repo, run.batch.id, run.fingerprint.pinned)
    share, efforts = GateShare(run, run.trees, run.check_tools, results, now), dict[str, GateEffort]()
    for _ in range(TRIES):
        built = await run.git(build_group, run.repo, run.commit_context(), finished, now)
        if isinstance(built, Unsound):
            return built
        finished = built.finished
        judged = await _judge_or_halt(share, gates, built, efforts)
        if judged is None:
            return None
        if isinstance(judged, Blamed):
            finished = await _set_aside(run, finished, judged, built.checkpoint.before)
            continue
        recorded = await run.git(checkpoint_group, run.repo, run.commit_context(), finished, now, judged)
        if not isinstance(recorded, NewTree):
            return recorded
    raise keeps_moving(run.batch.record.target)


async def _judge_or_halt(
    share: GateShare, gates: Mapping[str, GateTable], built: BuiltGroup, efforts: dict[str, GateEffort]
) -> GatedTree | Blamed | None:
    """Returns what the gates say; None: the batch halts, because a gate blocks it, gave no verdict, or our disk failed."""
    run = share.run
    try:
        judged = await judge_group(share, gates, built, efforts)
    except NoVerdictError as error:
        run.stop_switch.trip(Halt(Cause.UNAVAILABLE, clean_text(error.message), error.advice))
        return None
    except (OSError, GitbatchError) as error:
        if not run.stop_switch.trip_at_disk_error(error, run.worktrees_dir, run.repo.common_dir):
            raise
        return None
    if isinstance(judged, BlockedGroup):
        run.stop_switch.trip(judged.halt)
        return None
    return judged


async def _set_aside(run: Run, finished: GroupOutcomes, blamed: Blamed, tip: str) -> GroupOutcomes:
    """Returns the group with guilty items that have failed; what they wrote is kept under rescue refs."""
    readings: Mapping[ItemKey, str] = dict[ItemKey, str]()
    if run.starts_early:
        readings = await run.git(name_readings, run.repo, run.batch.record, finished.base, finished.outcomes)
    failed = blamed.outcomes
    outcomes = await shielded(
        run.git(set_guilty_aside, run.repo, run.ledger, finished.outcomes, failed, tip, readings)
    )
    for outcome in outcomes:
        if outcome.item.key in blamed.outcomes:
            run.emit(ItemFinished(batch=run.batch.id, outcome=outcome))
    return replace(finished, outcomes=outcomes)
