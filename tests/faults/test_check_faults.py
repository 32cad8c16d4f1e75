"""Killed anywhere while outputs are checked: no verdict is lost, and only the interrupted checks are asked again.

Every step after the first check has begun is known (`shim.c`). The usual round takes a sample of them, the long one all:
`GITBATCH_FAULTS=long`.
"""

import shutil
from collections import Counter
from collections.abc import Iterator

import pytest
from conftest import Workspace
from faults.test_faults import READING, hold_trials
from faults.trials import CONFIG, Bench, Servers, agents, fsck, snapshot
from history import list_cached

RUN = ("run", "--items", "all", "--checkpoint", "at-end", "--jobs", "1")
SAMPLE = 1
"""Trials of the usual round."""

PLAN = """# One group

## Work Packages

### Letters

- [ ] T1 Write a → Output: out/a.md
- [ ] T2 Write b → Output: out/b.md → Check: none
"""

AGENT = """echo "$GITBATCH_ITEM" >>"$HOME/agents.log"
if [ -e "$1" ]; then echo whole >>"$1"; else echo "# $1" >"$1"; fi
printf '{"summary": "Wrote %s. It is a page.", "decisions": ["One heading in %s"], "usage": {"model": "m", "input": 5,
"requests": 1, "cost": 0.25}}' "$1" "$1" >"$GITBATCH_REPLY"
"""
"""The first attempt at an item is never whole."""
CHECK = """echo "$1 $(cksum <"$GITBATCH_OUTPUT")" >>"$HOME/checks.log"
[ "$1" = any ] || grep -q whole "$GITBATCH_OUTPUT" || { echo it is not whole; exit 1; }
"""
CHECKS = """[checks.any]
command = ["sh", "{worktree}/check.sh", "any"]
on = ["out/*.md"]
sandbox = "none"
checkout = "context"
[checks.whole]
command = ["sh", "check.sh", "whole"]
on = ["out/*.md"]
sandbox = "none"
checkout = "context"
"""


@pytest.fixture(scope="module")
def bench(fault_servers: Servers) -> Iterator[Bench]:
    """Where trials are made."""
    with fault_servers.open() as (server, folder, environment):
        config = CONFIG.replace("[batch]", "reports-usage = true\n[batch]") + CHECKS
        made = Bench(server, folder, environment, AGENT, PLAN, {"gitbatch.toml": config, "check.sh": CHECK})
        made.make_template()
        yield made


def checked(workspace: Workspace) -> Counter[str]:
    """How often each check ran on each content."""
    log = workspace.home / "checks.log"
    return Counter(log.read_text().splitlines()) if log.exists() else Counter()


def costs(workspace: Workspace) -> str:
    """What T1 cost by its commit."""
    form = "--format=%(trailers:key=Gitbatch-Cost,valueonly)%(trailers:key=Gitbatch-Cost-Unknown,valueonly)"
    return workspace.git("log", "--all", "-1", form, "--grep", "Gitbatch-Item: out/a.md").strip()


def trial(bench: Bench, step: int, expected: Workspace) -> bool:
    """Kill a run at a step, and let the batch end."""
    workspace = bench.workspace()
    ran = bench.server.run(workspace, *RUN, at=step)
    assert ran.killed, ran.said
    assert fsck(workspace) == []
    held = workspace.git("for-each-ref", "refs/gitbatch/*/unchecked/")
    before = Counter(agents(workspace))
    again = bench.server.run(workspace, "run", "--continue")
    was_recorded = "nothing to run" in again.said or again.status == 2
    assert again.status == 0 or was_recorded, f"exit {again.status}: {again.said}"
    assert fsck(workspace) == []
    assert snapshot(workspace) == snapshot(expected)
    more = checked(workspace) - checked(expected)
    assert sum(more.values()) <= 2, f"a known verdict was asked for again: {more}"
    assert checked(expected) - checked(workspace) == Counter(), "an output was not checked"
    started = Counter(agents(workspace))
    assert started["1-t1"] <= 3, "the first attempt was paid for again"
    assert started["1-t2"] <= 2
    if held:
        assert started - before == Counter(agents(expected)) - before, "what is held was paid for again"
        assert costs(workspace) == costs(expected)
    assert before["1-t1"] >= 1
    left = list_cached(workspace)
    left += list((workspace.root / ".git").rglob("*.lock"))
    assert left == []
    assert workspace.git("for-each-ref", "refs/gitbatch/*/unchecked/") == ""
    shutil.rmtree(workspace.root.parent)
    return ran.killed


def test_what_checks_have_said_outlives_any_kill(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    expected = bench.workspace()
    ran = bench.server.run(expected, *RUN, record=True)
    assert ran.status == 0, ran.said
    assert costs(expected) == "0.500000"
    assert sorted(checked(expected).values()) == [1, 1, 1, 1]
    lines = [line.split(" ", 3) for line in bench.server.recorded()]
    first = next(int(number) for number, _, _, path in lines if "/1-t1.check-" in path)
    trials = [int(number) for number, _, call, _ in lines if int(number) >= first and call not in READING]
    hold_trials(capsys, trials, SAMPLE, lambda step: trial(bench, step, expected))
