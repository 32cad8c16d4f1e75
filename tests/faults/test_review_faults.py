"""Killed anywhere in a review, a revision and an undo: the same commands, given again, end with the same history.

The usual round takes a sample of the steps, the long one all: `GITBATCH_FAULTS=long`.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from conftest import Workspace
from faults.test_faults import READING, VICTIMS, hold_trials
from faults.trials import Bench, Servers, Snapshot, fsck, snapshot
from history import list_cached

COMMANDS = (
    ("review", "T1", "--revise", "More.", "--approve-rest"),
    ("run", "--continue"),
    ("review", "T2", "--reject"),
    ("undo", "T1"),
    ("retry", "T2", "--no-run"),
    ("run", "--continue"),
    ("run", "--continue"),
    ("undo", "T2", "--with-dependants"),
    ("run", "--continue"),
)
"""After a batch has paused behind its first group."""
SAMPLE = 1
"""Trials of the usual round."""

PLAN = """# Two groups

## Definition of Done

- [ ] Every letter has its page
- [ ] Somebody has read it all

## Work Packages

### Letters

- [ ] T1 Write a → DoD: #1 → Output: out/a.md
- [ ] T2 Write b → DoD: #1 → Output: out/b.md

### Words

- [ ] T3 Write c → Output: out/c.md
"""
AGENT = """echo "one line more" >>"$1"
printf '{"summary": "Wrote %s. It is a page."}' "$1" >"$GITBATCH_REPLY"
"""


@dataclass(frozen=True)
class Unharmed:
    """What the commands make if nothing is killed."""

    bench: Bench
    stories: tuple[tuple[str, ...], ...]
    """The subjects of the history after each command."""
    trials: tuple[tuple[int, int, str], ...]
    """Each possible kill: the command, the step, and who is killed."""
    end: Snapshot


@pytest.fixture(scope="module")
def unharmed(fault_servers: Servers) -> Iterator[Unharmed]:
    """A batch that has paused, and what becomes of it."""
    with fault_servers.open() as (server, folder, environment):
        bench = Bench(server, folder, environment, AGENT, PLAN)
        bench.make_template()
        home = folder / "template" / "home"
        more = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
        paused = Workspace(folder / "template" / "repo", home, {**environment, **more})
        ran = server.run(paused, "run", "--items", "all", "--checkpoint", "after-each", "--jobs", "1")
        assert ran.status == 3, ran.said
        workspace = bench.workspace()
        stories, trials = [], list[tuple[int, int, str]]()
        for number, command in enumerate(COMMANDS):
            ran = server.run(workspace, *command, record=True)
            assert ran.status in {0, 1, 3}, ran.said
            stories.append(tuple(workspace.subjects()))
            lines = [line.split(" ", 3) for line in server.recorded()]
            trials += [
                (number, int(step), victim)
                for step, process, call, _ in lines
                for victim in VICTIMS
                if call not in READING and (victim == "everything" or process == "git")
            ]
        assert [len(story) for story in stories] == [4, 6, 7, 8, 9, 11, 13, 14, 16]
        yield Unharmed(bench, tuple(stories), tuple(trials), snapshot(workspace))


def check_instant(workspace: Workspace) -> None:
    """What must hold whenever a command is cut: outputs and ticks agree, and git finds nothing wrong."""
    assert fsck(workspace) == []
    there = workspace.git("ls-tree", "-r", "--name-only", "main", "out/").split()
    plan = workspace.git("show", "main:task.md").splitlines()
    ticked = [line.rpartition(" ")[2] for line in plan if line.startswith("- [x] T")]
    last = workspace.subjects()[-1]
    waits = {"out/a.md"} if "sent back" in last else set[str]()
    assert set(there) == set(ticked) | waits, last


def trial(unharmed: Unharmed, number: int, step: int, victim: str) -> bool:
    """Kill who runs at a step of a command, and give the rest again; false: the command ended before that step."""
    bench = unharmed.bench
    workspace = bench.workspace()
    for command in COMMANDS[:number]:
        assert bench.server.run(workspace, *command).status in {0, 1, 3}
    ran = bench.server.run(workspace, *COMMANDS[number], at=step, victim=victim)
    if ran.killed:
        said = ran.where
        check_instant(workspace)
        for command, story in zip(COMMANDS[number:], unharmed.stories[number:], strict=True):
            if tuple(workspace.subjects()) != story:
                again = bench.server.run(workspace, *command)
                assert again.status in {0, 1, 3}, f"{command}: exit {again.status}: {again.said}"
                said = again.said
            check_instant(workspace)
            assert tuple(workspace.subjects()) == story, f"{command}: {said}"
        bench.server.run(workspace, "run", "--continue")  # ends the batch, if a kill was just before that
        assert snapshot(workspace) == unharmed.end
        left = list_cached(workspace)
        left += list((workspace.root / ".git").rglob("*.lock"))
        assert left == []
    shutil.rmtree(workspace.root.parent)
    return ran.killed


@pytest.mark.rule("F7")
def test_a_review_outlives_any_kill(unharmed: Unharmed, capsys: pytest.CaptureFixture[str]) -> None:
    hold_trials(capsys, list(unharmed.trials), SAMPLE, lambda one: trial(unharmed, *one))
