"""Recording a group, the second commit point, and the gates that it has (`gated.py`)."""

from collections.abc import Mapping

from gitbatch.batch.group.checkpoint import GroupOutcomes, NewTree, Unsound, checkpoint_group
from gitbatch.batch.group.scheduled_items import GroupStart
from gitbatch.batch.item.run import Run
from gitbatch.batch.model import Checkpoint
from gitbatch.errors import GitbatchError
from gitbatch.project.check_choice import group_gates
from gitbatch.project.check_tables import GateTable


async def record_group(
    run: Run, finished: GroupOutcomes, gates: Mapping[str, GateTable]
) -> Checkpoint | Unsound | None:
    """Records a group whose gates let it through; guilty items fail. None: the batch halts."""
    now = run.clock()
    if gates:
        from gitbatch.batch.group.gated import record_gated  # noqa: PLC0415 - most groups have no gates

        return await record_gated(run, finished, gates, now)
    recorded = await run.git(checkpoint_group, run.repo, run.commit_context(), finished, now)
    assert not isinstance(recorded, NewTree)  # noqa: S101 - no tree was asked for
    return recorded


def find_gates(start: GroupStart) -> Mapping[str, GateTable]:
    """Returns the gates of a group, in the order of the configuration.

    Raises:
        GitbatchError: the plan names a gate that the configuration does not have.
    """
    state = start.project_state
    config = state.project.config
    group = next(
        (start.planned[item.key][0] for item in start.group.items if item.key in start.planned), None
    )
    names = group_gates(config, state.plan, group) if group else ()
    if unknown := [name for name in names if name not in config.gates]:
        raise GitbatchError(
            f"“{start.group.title}” names gate {unknown[0]}, which gitbatch.toml does not have",
            "add it to gitbatch.toml, or remove the hint from the plan; commit, then resume: gitbatch run",
        )
    return {name: config.gates[name] for name in names}
