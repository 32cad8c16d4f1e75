"""What an early item that is stale has cost stays in the ledger, also if a run is killed while it is set aside."""

import pytest
from batch.early_runs import count_starts, run_early, tell, write_plan
from conftest import Workspace

from gitbatch.batch.group import set_aside
from gitbatch.batch.model import CheckpointMode


class _KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.rule("F2", "F4")
def test_the_cost_of_a_stale_item_is_noted_once_before_its_branch_is_gone(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.write("src/notes.md", "old\n")
    write_plan(workspace, "A1\nA2\n", "B1 src/notes.md\nB2 out/A2.md\n")
    tell(workspace, "A2", "wait_for B1\n")
    run_early(workspace, checkpoint=CheckpointMode.parse("after-each"))
    workspace.write("src/notes.md", "new\n")
    workspace.commit()

    def die(*_: object) -> None:
        raise _KilledError

    with monkeypatch.context() as patch:
        patch.setattr(set_aside, "delete_branches", die)
        with pytest.raises(_KilledError):
            run_early(workspace, items=None, checkpoint=None)
    ran = run_early(workspace, items=None, checkpoint=None)
    assert (ran.result.succeeded, count_starts(workspace, "B1")) == (4, 2)
    form = "--format=%(trailers:key=Gitbatch-Cost,valueonly)"
    assert workspace.git("log", form, "-1", "--grep=^Gitbatch-Item: out/B1.md").strip() == "1.000000"
