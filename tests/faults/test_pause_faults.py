"""Killed anywhere while a run waits at a pause: as it gives the lock back, as others decide, as it takes the lock again.

Whoever is killed, the history is valid at once, and unattended runs complete the batch by what was decided. The usual
round takes a sample of the steps, the long one all: `GITBATCH_FAULTS=long`.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from conftest import Workspace, assert_valid
from faults.test_faults import READING, VICTIMS, hold_trials
from faults.test_review_faults import AGENT, PLAN
from faults.trials import Bench, Servers, fsck
from history import list_cached, ticked

RUN = ("run", "--items", "all", "--checkpoint", "after-each", "--jobs", "1")
ELSEWHERE = (
    ("review", "T1", "--revise", "More.", "--approve-rest"),
    ("undo", "T2"),
    ("retry", "T2", "--no-run"),
)
SAMPLE = 1
"""Trials of the usual round."""


@dataclass(frozen=True)
class Unharmed:
    """A run during whose pause others decide, if nothing is killed."""

    bench: Bench
    trials: tuple[tuple[int, str], ...]
    """Each possible kill from the first checkpoint on: the step, and who is killed."""
    story: tuple[str, ...]


@pytest.fixture(scope="module")
def unharmed(fault_servers: Servers) -> Iterator[Unharmed]:
    """A batch that is not killed."""
    with fault_servers.open() as (server, folder, environment):
        bench = Bench(server, folder, environment, AGENT, PLAN)
        bench.make_template()
        workspace = bench.workspace()
        ran = server.run(workspace, *RUN, record=True, elsewhere=ELSEWHERE)
        assert ran.status == 0, ran.said
        assert "decided elsewhere: T1 sent back by" in ran.said, ran.said
        lines = [line.split(" ", 3) for line in server.recorded()]
        first = next(int(n) for n, _, call, path in lines if "refs/gitbatch/" in path and "/followed" in path)
        trials = tuple(
            (int(number), victim)
            for number, process, call, _ in lines
            for victim in VICTIMS
            if int(number) >= first and call not in READING and victim in {"everything", process}
        )
        yield Unharmed(bench, trials, tuple(workspace.subjects()))


def check_instant(workspace: Workspace) -> None:
    """What must hold whenever something is cut: outputs and ticks agree, and git finds nothing wrong."""
    assert fsck(workspace) == []
    there = set(workspace.git("ls-tree", "-r", "--name-only", "main", "out/").split())
    plan = workspace.git("show", "main:task.md").splitlines()
    boxes = {line.rpartition(" ")[2] for line in plan if line.startswith("- [x] T")}
    assert there - boxes <= {"out/a.md"}, "only what was sent back has an open box"
    assert boxes <= there


def trial(unharmed: Unharmed, step: int, victim: str) -> bool:
    """Kill at a step, and let the batch end; false: the run ended before that step."""
    bench = unharmed.bench
    workspace = bench.workspace()
    ran = bench.server.run(workspace, *RUN, at=step, victim=victim, elsewhere=ELSEWHERE)
    assert ran.status in {0, 1, 3, 75, -9}, f"exit {ran.status}: {ran.said}"
    for _ in range(6):
        check_instant(workspace)
        again = bench.server.run(workspace, "run")
        if again.status == 2:  # the batch has ended before, perhaps with an item that is undone
            break
        assert again.status in {0, 1, 3}, f"exit {again.status}: {again.said}"
        if again.status != 3:
            break
    check_instant(workspace)
    found = workspace.subjects()
    reviews = [text.rpartition(" ")[2] for text in found if text.startswith("gitbatch: review")]
    assert ticked(workspace) == (["T1", "T3"] if reviews[-1:] == ["undone"] else ["T1", "T2", "T3"])
    if len(reviews) == len(ELSEWHERE) and ran.killed:
        assert sorted(found) == sorted(unharmed.story)
    assert_valid(workspace)
    changed = {line[3:] for line in workspace.git("status", "--porcelain").splitlines()}
    assert changed == {"mine.txt", "staged.txt", "untracked.txt"}, "the checkout has what is recorded"
    assert workspace.git("for-each-ref", "refs/heads/gitbatch/") == "", "no branch of an item is left"
    left = list_cached(workspace)
    left += list((workspace.root / ".git").rglob("*.lock"))
    assert left == []
    shutil.rmtree(workspace.root.parent)
    return ran.killed


@pytest.mark.rule("F7")
def test_a_pause_outlives_any_kill(unharmed: Unharmed, capsys: pytest.CaptureFixture[str]) -> None:
    hold_trials(capsys, list(unharmed.trials), SAMPLE, lambda one: trial(unharmed, *one))
