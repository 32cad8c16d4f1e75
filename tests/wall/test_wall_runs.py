"""Whole runs with hostile agents: in a sandbox nothing is damaged; without one, history and the orchestrator are not."""

from collections.abc import Iterable
from dataclasses import replace
from subprocess import CompletedProcess

import pytest
from conftest import read_run
from fork_server import ForkServer
from history import assert_tidy
from wall import naive
from wall.attacks import ATTACKS, WORKTREE, WORLD, Attack, Control
from wall.grounds import Grounds, only

WALLS = {"bubblewrap": "overlay", "landlock": "copy"}
"""The sandboxes, and the kind of worktree that the attacks are tried in with each."""


MOVED = {
    name: replace(ATTACKS[name], becomes=f"refused: the agent modified {path} outside")
    for name, path in (("checkout_by_path", "task.md"), ("checkout_by_link", "CLAUDE.md"))
}
"""Attacks on the place of the checkout, where an overlay worktree is."""


def run(grounds: Grounds, kind: str, names: Iterable[str]) -> tuple[dict[str, str], CompletedProcess[str]]:
    """Runs items; returns the status and reason of each."""
    items = only(["sibling", *names])
    done = grounds.workspace.gitbatch(
        "run", "--items", items, "--checkpoint", "at-end", "--sandbox", kind, "--json"
    )
    events = read_run(done.stdout)[0]
    outcomes = (event["outcome"] for event in events if event["event"] == "item-finished")
    return {o["item"]["title"].removeprefix("Work "): f"{o['status']}: {o['reason']}" for o in outcomes}, done


def expect(became: dict[str, str], attacks: dict[str, Attack], *, confined: bool) -> None:
    wanted = {
        name: attack.becomes if confined else attack.becomes_without or attack.becomes
        for name, attack in attacks.items()
    }
    differs = {
        name: became.get(name) for name, start in wanted.items() if not became.get(name, "").startswith(start)
    }
    assert differs == {}
    assert became["sibling"] == "succeeded: "


@pytest.mark.rule("S1", "S2")
@pytest.mark.parametrize("kind", WALLS)
def test_sandboxed_attacks(grounds: Grounds, kind: str, fork_server: ForkServer) -> None:
    grounds.workspace.environment["GITBATCH_WORKTREE"] = WALLS[kind]
    became, done = run(grounds, kind, ATTACKS)
    assert done.returncode == 1, done.stderr
    assert f'"sandbox":"{kind}"' in done.stdout
    attacks = ATTACKS if WALLS[kind] == "copy" else {**ATTACKS, **MOVED}
    expect(became, attacks, confined=True)
    assert grounds.history() == set()
    assert grounds.outside() == set()
    assert grounds.code_ran() == set()
    assert grounds.workspace.git("status", "--porcelain") == ""
    grounds.workspace.server = fork_server
    grounds.workspace.gitbatch("verify", code=0)
    assert_tidy(grounds.workspace)


@pytest.mark.rule("S1", "S2")
@pytest.mark.parametrize("worktree", ["copy", "overlay"])
def test_attacks_inside_worktree(grounds: Grounds, worktree: str, fork_server: ForkServer) -> None:
    """Without a sandbox, too. An overlay has no hard links to files outside of it: there the attack writes nothing."""
    grounds.workspace.environment["GITBATCH_WORKTREE"] = worktree
    is_linked = {"hard_link_to_a_key": "failed: no output file was written"} if worktree == "overlay" else {}
    became, done = run(grounds, "none", WORKTREE)
    assert done.returncode == 1, done.stderr
    attacks = {
        name: replace(attack, becomes_without=is_linked.get(name, attack.becomes_without))
        for name, attack in WORKTREE.items()
    }
    expect(became, attacks, confined=False)
    assert grounds.history() == set()
    assert grounds.code_ran() == set()
    grounds.workspace.server = fork_server
    grounds.workspace.gitbatch("verify", code=0)
    assert_tidy(grounds.workspace)


@pytest.mark.rule("S1")
@pytest.mark.parametrize("name", WORLD)
@pytest.mark.sample(8)
def test_attacks_outside_worktree(grounds: Grounds, name: str) -> None:
    attack = WORLD[name]
    became, done = run(grounds, "none", [name])
    assert grounds.code_ran() == set()
    wrong = grounds.history()
    if attack.becomes_without == "stopped":
        assert done.returncode == 1
        assert "while agents ran, " in done.stderr
        assert grounds.workspace.git("rev-parse", "refs/heads/main") == grounds.start
    else:
        assert done.returncode == (0 if attack.becomes.startswith("succeeded") else 1), done.stderr
        expect(became, {name: attack}, confined=False)
    assert wrong == ({attack.limit} if attack.limit else set()), "what only a sandbox can prevent is known"


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.sample(12)
def test_control_falls_for_attack(grounds: Grounds, name: str) -> None:
    attack = ATTACKS[name]
    try:
        with naive.patience(3 if name == "fifo" else 60):
            naive.run(grounds, name, attack.control)
    except TimeoutError:
        assert (name, attack.control) == ("fifo", Control.READ), "it hangs"
        return
    lost = grounds.history() | grounds.outside() | grounds.code_ran()
    assert lost, "else the tests above prove nothing"
    assert bool(grounds.code_ran()) == attack.runs


@pytest.mark.parametrize("control", Control)
def test_control_is_right_without_attack(grounds: Grounds, control: Control) -> None:
    naive.run(grounds, "sibling", control)
    assert "the work of out/sibling.md" in grounds.workspace.git("show", "main:out/sibling.md")
    assert grounds.history() | grounds.outside() | grounds.code_ran() == set(), (
        "else the test above proves nothing"
    )
