"""Killed anywhere while the gates of a group run: no verdict is lost, and only the interrupted run is repeated.

Every step after the first run of a gate has begun is known (`shim.c`). The usual round takes a sample of them, the long
one all: `GITBATCH_FAULTS=long`.
"""

import shutil
from collections import Counter
from collections.abc import Iterator

import pytest
from conftest import Workspace
from faults.test_faults import READING, VICTIMS, hold_trials
from faults.trials import CONFIG, Bench, Servers, agents, fsck, snapshot
from history import list_cached

RUN = ("run", "--items", "all", "--checkpoint", "at-end", "--jobs", "1")
RESUME = ("run", "--continue")
SAMPLE = 1
"""Trials of the usual round."""

PLAN = """# One group

## Work Packages

### Letters

- [ ] T1 Write a → Output: out/a.md
- [ ] T2 Write b → Output: out/b.md
- [ ] T3 Write c → Output: out/c.md
- [ ] T4 Write d → After: T2 → Output: out/d.md
"""
"""T2 makes the gate red, and T4 stands on it."""

AGENT = """echo "$GITBATCH_ITEM" >>"$HOME/agents.log"
echo "# $1" >"$1"
printf '{"summary": "Wrote %s. It is a page.", "decisions": ["One heading in %s"]}' "$1" "$1" >"$GITBATCH_REPLY"
"""
GATE = """echo $(cat out/* task.md | cksum) >>"$HOME/gates.log"
test ! -e out/b.md || { echo b breaks it; exit 1; }
"""
GATE_CONFIG = """on-missing = "tell"
[gates.tests]
command = ["sh", "gate.sh"]
sandbox = "none"
"""


@pytest.fixture(scope="module")
def bench(fault_servers: Servers) -> Iterator[Bench]:
    """Where trials are made."""
    with fault_servers.open() as (server, folder, environment):
        more = {"gitbatch.toml": CONFIG + GATE_CONFIG, "gate.sh": GATE}
        made = Bench(server, folder, environment, AGENT, PLAN, more)
        made.make_template()
        yield made


def judged(workspace: Workspace) -> Counter[str]:
    """How often the gate ran on each tree."""
    return Counter((workspace.home / "gates.log").read_text().splitlines())


def check_instant(workspace: Workspace) -> bool:
    """What must hold whenever a run is cut; whether the group is recorded."""
    assert fsck(workspace) == []
    there = workspace.git("ls-tree", "-r", "--name-only", "main", "out/").split()
    assert there in ([], ["out/a.md", "out/c.md", "out/d.md"]), there
    if there:
        commit, tree = workspace.git("log", "-1", "--format=%H %T", "main").split()
        said = workspace.git("log", "-1", "--format=%(trailers:key=Gitbatch-Gate,valueonly)", commit)
        assert said.strip() == f"tests pass {tree}"
    return bool(there)


def trial(bench: Bench, step: int, victim: str, expected: Workspace) -> bool:
    """Kill who runs at a step, and let the batch end; false: it has ended before that step."""
    workspace = bench.workspace()
    ran = bench.server.run(workspace, *RUN, at=step, victim=victim)
    if not ran.killed:
        assert ran.status == 1, ran.said
        shutil.rmtree(workspace.root.parent)
        return False
    before = judged(workspace) if (workspace.home / "gates.log").exists() else Counter[str]()
    was_recorded = check_instant(workspace)
    again = bench.server.run(workspace, *RESUME)
    assert again.status in {1, 2}, f"exit {again.status}: {again.said}"
    assert again.status == 1 or was_recorded, again.said
    check_instant(workspace)
    assert snapshot(workspace) == snapshot(expected)
    assert sum((judged(workspace) - judged(expected)).values()) <= 1, "a known verdict was asked for again"
    assert not was_recorded or judged(workspace) == before
    started = Counter(agents(workspace))
    assert [started[f"1-t{number}"] for number in (1, 2, 3)] == [1, 1, 1]
    assert started["1-t4"] <= 3
    left = list_cached(workspace)
    left += list((workspace.root / ".git").rglob("*.lock"))
    assert left == []
    shutil.rmtree(workspace.root.parent)
    return True


def test_what_gates_have_said_outlives_any_kill(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    expected = bench.workspace()
    ran = bench.server.run(expected, *RUN, record=True)
    assert ran.status == 1, ran.said
    assert check_instant(expected)
    lines = [line.split(" ", 3) for line in bench.server.recorded()]
    first = next(int(number) for number, _, _, path in lines if "/gate-" in path)
    trials = [
        (int(number), victim)
        for number, process, call, _ in lines
        for victim in VICTIMS
        if int(number) >= first and call not in READING and (victim == "everything" or process == "git")
    ]
    hold_trials(capsys, trials, SAMPLE, lambda one: trial(bench, *one, expected))
