"""Killed anywhere in a run with early items: the same command, given again, ends with the same history.

The usual round takes a sample of the steps, the long one all: `GITBATCH_FAULTS=long`.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from conftest import Workspace, assert_valid
from faults.test_faults import READING, VICTIMS, hold_trials
from faults.trials import Bench, Servers, Snapshot, agents, fsck, snapshot
from history import list_cached

RUN = ("run", "--items", "all", "--checkpoint", "at-end", "--jobs", "2", "--eager", "on")
SAMPLE = 1
"""Trials of the usual round."""

PLAN = """# Three groups

## Work Packages

### Letters

- [ ] T1 Write a → Output: out/a.md
- [ ] T2 Write b → Output: out/b.md

### Pairs

- [ ] T3 Write aa → Output: out/aa.md (context: out/a.md)
- [ ] T4 Write ab → Output: out/ab.md (context: out/a.md, out/b.md)

### Words

- [ ] T5 Write aaa → Output: out/aaa.md (context: out/aa.md)
"""
AGENT = """echo "$GITBATCH_ITEM" >>"$HOME/agents.log"
{ echo "# $1"; while read -r path; do [ "$path" = status.md ] || cat "$path"; done <"$GITBATCH_CONTEXT"; } >"$1"
if [ "$1" = out/b.md ]; then while ! grep -q t5 "$HOME/agents.log"; do sleep 0.01; done; fi
printf '{"summary": "Wrote %s. It is a page."}' "$1" >"$GITBATCH_REPLY"
"""
"""T2 ends when T5, which is two groups behind it, has started: what is early is so in each trial."""


@dataclass(frozen=True)
class Unharmed:
    """What the run makes if nothing is killed."""

    bench: Bench
    trials: tuple[tuple[int, str], ...]
    """Each possible kill: the step, and who is killed."""
    end: Snapshot


@pytest.fixture(scope="module")
def unharmed(fault_servers: Servers) -> Iterator[Unharmed]:
    """A run that nobody kills."""
    with fault_servers.open() as (server, folder, environment):
        bench = Bench(server, folder, environment, AGENT, PLAN)
        bench.make_template()
        workspace = bench.workspace()
        ran = server.run(workspace, *RUN, record=True)
        assert ran.status == 0, ran.said
        lines = [line.split(" ", 3) for line in server.recorded()]
        trials = tuple(
            (int(step), victim)
            for step, process, call, _ in lines
            for victim in VICTIMS
            if call not in READING and (victim == "everything" or process == "git")
        )
        assert agents(workspace)[-3:] == ["2-t3", "3-t5", "2-t4"]
        yield Unharmed(bench, trials, snapshot(workspace))


def check_instant(workspace: Workspace) -> None:
    """What must hold whenever the run is cut: outputs and ticks agree, and git finds nothing wrong."""
    assert fsck(workspace) == []
    there = workspace.git("ls-tree", "-r", "--name-only", "main", "out/").split()
    plan = workspace.git("show", "main:task.md").splitlines()
    assert set(there) == {
        line.split("Output: ")[1].split(" ")[0] for line in plan if line.startswith("- [x] T")
    }


def trial(unharmed: Unharmed, step: int, victim: str) -> bool:
    """Kill who runs at a step of the run, and give it again; false: it ended before that step."""
    bench = unharmed.bench
    workspace = bench.workspace()
    ran = bench.server.run(workspace, *RUN, at=step, victim=victim)
    if ran.killed:
        check_instant(workspace)
        again = bench.server.run(workspace, *RUN)
        assert again.status == 0, f"{ran.where}: exit {again.status}: {again.said}"
        assert snapshot(workspace) == unharmed.end
        starts = Counter(agents(workspace))
        assert max(starts.values()) <= 2, starts
        assert sum(starts.values()) <= 5 + 2, (
            f"{ran.where}: more than what ran at the kill was paid again: {starts}"
        )
        assert_valid(workspace)
        assert [*list_cached(workspace), *(workspace.root / ".git").rglob("*.lock")] == []
    shutil.rmtree(workspace.root.parent)
    return ran.killed


@pytest.mark.rule("F2", "F4")
def test_early_items_outlive_any_kill(unharmed: Unharmed, capsys: pytest.CaptureFixture[str]) -> None:
    hold_trials(capsys, list(unharmed.trials), SAMPLE, lambda one: trial(unharmed, *one))
