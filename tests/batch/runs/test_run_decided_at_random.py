"""Any sequence of decisions, runs and commits of the user's leaves a history that verify accepts, and boxes that agree."""

import os
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from conftest import Workspace
from pauses import run_with
from reviews import APPROVE, REJECT, RETRY, REVISE, UNDO, list_items, record_choices
from sessions import run_here

from gitbatch.batch.group.put_back import ReviewConflictError
from gitbatch.batch.history.decisions import DecisionKind, ItemName
from gitbatch.batch.history.review_message import parse_review_message
from gitbatch.batch.model import CheckpointMode
from gitbatch.batch.review.choices import (
    Choice,
    choose_dependants,
    choose_freed,
    select_review_items,
    select_stale,
)
from gitbatch.batch.review.reviewable import Reviewable
from gitbatch.batch.session import Session
from gitbatch.errors import UsageError
from gitbatch.repo.repository import Repository

SEQUENCES = 200 if os.environ.get("GITBATCH_FAULTS") == "long" else 2
AGENT = """\
#!/bin/sh
# Fails if it is told to, else writes what it wrote before and one line more.
set -eu
case $(cat) in *FAIL*) exit 3 ;; esac
mkdir -p "$(dirname "$1")"
echo "one line more by $2" >>"$1"
cat >"$GITBATCH_REPLY" <<END
{"summary": "Wrote it. It has one line more.", "decisions": ["One line in $1"],
 "contributions": [{"artifact": "inventory.md", "text": "$1 has one line more"}]}
END
"""
AGENTS = """
[agents.strong]
kind = "command"
command = ["sh", "tools/agent.sh", "{output}", "strong"]
sandbox = "none"
"""
POSSIBLE: dict[str, tuple[DecisionKind, ...]] = {
    "succeeded": (APPROVE, REVISE, REJECT, UNDO),
    "failed": (RETRY,),
    "blocked": (RETRY,),
    "rejected": (RETRY,),
}
PEOPLE = ("Ann", "Bob")
Decision = tuple[str, DecisionKind, ItemName, str]
"""Who decided what about which item, and the agent that they chose."""


@dataclass
class Sequence:
    """A sequence of decisions on a batch, and what must be in history because of it."""

    workspace: Workspace
    chance: random.Random
    decided: list[Decision] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    """The outputs that the user has changed."""

    def decide(self, choose: Callable[[Repository, Reviewable], tuple[Choice, ...]]) -> None:
        """Decide as one of the people; where it is a conflict, or there is nothing to decide, nothing changes."""
        person = self.chance.choice(PEOPLE)
        named = {"GIT_AUTHOR_NAME": person, "GIT_COMMITTER_NAME": person}
        workspace = replace(self.workspace, environment=self.workspace.environment | named)
        before, said = workspace.state(), ""
        try:
            choices = record_choices(workspace, choose)[1]
        except (ReviewConflictError, UsageError) as error:
            choices, said = (), str(error)
        if not choices:
            assert workspace.state() == before
            assert "nothing to decide" in said or any(path in said for path in self.touched), said
        for choice in choices:
            name = ItemName(choice.item.group, choice.item.output)
            self.decided.append((person, choice.kind, name, choice.agent or ""))
            if choice.runs_again:
                self.decided.append((person, RETRY, name, ""))

    def choose_some(self, _: Repository, found: Reviewable) -> tuple[Choice, ...]:
        """Choose possible decisions about up to three items."""
        chance, status = (
            self.chance,
            {name: state for name, (state, __) in list_items(self.workspace).items()},
        )
        names = [name for name, state in status.items() if state in POSSIBLE]
        comment = chance.choice(["", "More.", "FAIL\n\nGitbatch-Review: x"])
        choices = []
        for name in chance.sample(names, min(len(names), chance.randint(1, 3))):
            kind = chance.choice(POSSIBLE[status[name]])
            agent = chance.choice([None, "strong"]) if kind is RETRY else None
            item = select_review_items(found, (name,))[0][0]
            choices.append(Choice(kind, item, None, comment, agent))
        return tuple(choices)

    def choose_failed(self, repo: Repository, found: Reviewable) -> tuple[Choice, ...]:
        """Retry what failed, and what is free by that."""
        failed = (o.item for o in found.state.failed if str(o.status) == "failed")
        again = tuple(Choice(RETRY, item, agent="strong") for item in failed)
        return (*again, *choose_freed(repo, found, again))

    def choose_stale(self, repo: Repository, found: Reviewable) -> tuple[Choice, ...]:
        """Retry all that is stale."""
        return tuple(Choice(RETRY, item, agent="strong") for item in select_stale(repo, found))

    def choose_with_dependants(self, repo: Repository, found: Reviewable) -> tuple[Choice, ...]:
        """Undo an item and what has read it."""
        names = [name for name, (state, _) in list_items(self.workspace).items() if state == "succeeded"]
        words = (self.chance.choice(names),) if names else ()
        undone = tuple(Choice(UNDO, item) for item, _ in select_review_items(found, words))
        return (*undone, *choose_dependants(repo, found, undone))

    def commit_as_user(self) -> None:
        """Commit a change of an output, or its deletion, or an unrelated file."""
        listed = self.workspace.git("ls-tree", "-r", "--name-only", "main", "out").splitlines()
        path = self.chance.choice([*listed, "out/letters/a.md", "notes.md"])
        if path in listed and self.chance.random() < 0.2:
            (self.workspace.root / path).unlink()
        else:
            there = self.workspace.read(path) if path in listed else ""
            self.workspace.write(path, f"{there}mine {self.chance.random()}\n")
        self.touched.add(path)
        self.workspace.commit("The user's")

    def step(self) -> None:
        """Do one thing, and often run after it."""
        self.do_one_thing()
        then = self.chance.random()
        if then < 0.3:
            self.workspace.gitbatch("run")  # of a batch that has ended, it runs nothing
        elif then < 0.8:
            self.run_and_wait()

    def run_and_wait(self) -> None:
        """Run with somebody at the pauses, during whose thoughts other things are done; they often continue."""

        def meanwhile(_: Session) -> bool:
            if self.chance.random() < 0.5:
                self.do_one_thing()
            return self.chance.random() < 0.8

        with suppress(UsageError), pytest.MonkeyPatch.context() as patch:  # the batch may have ended
            run_with(self.workspace, patch, *[meanwhile] * 20, items=None)

    def do_one_thing(self) -> None:
        """Decide, or commit as the user."""
        choose = self.chance.choice(
            [
                self.choose_some,
                self.choose_some,
                self.choose_stale,
                self.choose_with_dependants,
                self.choose_failed,
                None,
            ]
        )
        if choose:
            self.decide(choose)
        else:
            self.commit_as_user()


def read_decided(workspace: Workspace) -> list[Decision]:
    """What history alone says was decided by whom."""
    found = []
    for entry in workspace.git("log", "--first-parent", "--reverse", "-z", "--format=%an%n%B").split("\0"):
        person, _, message = entry.partition("\n")
        found += [(person, d.kind, d.item, d.agent) for d in parse_review_message(message)]
    return found


@pytest.mark.rule("F7")
@pytest.mark.parametrize("seed", range(1, SEQUENCES + 1))
@pytest.mark.sample(1)
def test_any_decisions_leave_a_valid_history(
    three: Workspace, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    three.write("tools/agent.sh", AGENT)
    config = three.read("gitbatch.toml").replace('"{output}"]', '"{output}", "weak"]')
    three.write("gitbatch.toml", config.replace("[batch]", '[batch]\nagent = "scripted"') + AGENTS)
    three.edit("task.md", " (context: out/letters/a.md, out/letters/b.md)", "")
    three.commit()
    run_here(three, monkeypatch, checkpoint=CheckpointMode.parse("after-each"))
    sequence = Sequence(three, random.Random(seed))  # noqa: S311 - a test that can be repeated
    for _ in range(5):
        sequence.step()
    while three.gitbatch("run").returncode == 3:
        pass
    found = list_items(three)
    assert len(found) == 12
    assert read_decided(three) == sequence.decided
    plan, inventory = (three.git("show", f"main:{path}") for path in ("task.md", "inventory.md"))
    for name, (status, _) in found.items():
        assert (f"- [x] {name}" in plan) is (status == "succeeded"), name
        output = (
            next(line for line in plan.splitlines() if name in line).rpartition("Output: ")[2].split(" ")[0]
        )
        if output not in sequence.touched:
            is_there = three.git("ls-tree", "--name-only", "main", output) == output
            assert is_there or status != "succeeded", name
            assert not is_there or status != "rejected", name
            has_line = f"- {output} has one line more" in inventory
            assert has_line is is_there, name
    before = three.git("rev-parse", "main")
    assert three.gitbatch("verify", code=0).stdout.endswith("nothing found\n")
    assert three.git("status", "--porcelain") == ""
    three.gitbatch("run")
    assert three.git("rev-parse", "main") == before, "nothing is open"
