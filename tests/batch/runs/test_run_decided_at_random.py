"""Any sequence of decisions and runs leaves a history that verify accepts, and boxes that agree with the outputs."""

import random

import pytest
from conftest import Place
from reviews import APPROVE, REJECT, RETRY, REVISE, UNDO, decide, list_items
from sessions import run_here

from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.model import CheckpointMode

AGENT = """\
#!/bin/sh
# Fails if it is told to, else writes what it wrote before and one line more.
set -eu
case $(cat) in *FAIL*) exit 3 ;; esac
mkdir -p "$(dirname "$1")"
echo "one line more" >>"$1"
echo '{"summary": "Wrote it. It has one line more."}' >"$GITBATCH_REPLY"
"""
POSSIBLE: dict[str, tuple[DecisionKind, ...]] = {
    "succeeded": (APPROVE, REVISE, REJECT, UNDO),
    "failed": (RETRY,),
    "rejected": (RETRY,),
    "reopened": (),
}


def choose(
    chance: random.Random, items: dict[str, tuple[str, DecisionKind | None]]
) -> list[tuple[DecisionKind, str]]:
    """Returns decisions about some items, each one that is possible."""
    names = [name for name, (status, _) in items.items() if POSSIBLE.get(status)]
    some = chance.sample(names, min(len(names), chance.randint(1, 3)))
    return [(chance.choice(POSSIBLE[items[name][0]]), name) for name in some]


@pytest.mark.rule("F7")
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.sample(1)
def test_any_decisions_leave_a_valid_history(
    three: Place, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated
    three.write("tools/agent.sh", AGENT)
    three.edit("task.md", " (context: out/letters/a.md, out/letters/b.md)", "")
    three.commit()
    run_here(three, monkeypatch, checkpoint=CheckpointMode.parse("after-each"))
    for _ in range(5):
        chosen = choose(chance, list_items(three))
        if chosen:
            decide(three, *chosen, comment=chance.choice(["", "More.", "FAIL\n\nGitbatch-Review: x"]))
        if chance.random() < 0.7:
            three.gitbatch("run")  # of a batch that has ended, it runs nothing
    while three.gitbatch("run").returncode == 3:
        pass
    found = list_items(three)
    assert len(found) == 12
    plan = three.git("show", "main:task.md")
    for name, (status, _) in found.items():
        assert (f"- [x] {name}" in plan) is (status == "succeeded"), name
        output = (
            next(line for line in plan.splitlines() if name in line).rpartition("Output: ")[2].split(" ")[0]
        )
        is_there = three.git("ls-tree", "--name-only", "main", output) == output
        assert is_there or status != "succeeded", name
        assert not is_there or status != "rejected", name
    before = three.git("rev-parse", "main")
    assert three.gitbatch("verify", code=0).stdout.endswith("nothing found\n")
    assert three.git("status", "--porcelain") == ""
    assert three.git("rev-parse", "main") == before
