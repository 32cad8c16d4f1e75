"""An explicit choice never runs something else than what it names: what resumes a batch, and what starts nothing."""

from collections.abc import Iterator

import pytest
from conftest import Workspace
from history import ticked
from sessions import run_here

from gitbatch.batch.ending import Ending
from gitbatch.batch.history.record import Batch, all_batches
from gitbatch.batch.model import CheckpointMode
from gitbatch.batch.planning.continuation import Difference, GivenOptions, find_differences
from gitbatch.errors import PlanError, UsageError
from gitbatch.project.control import PlanChoice
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository

EACH, AT_END = CheckpointMode.parse("after-each"), CheckpointMode.parse("at-end")


@pytest.fixture
def opened(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """The sample's repository with a batch that is paused after its first group; it was started with all open items."""
    run_here(three, monkeypatch, items="All", checkpoint=EACH)
    repo = open_repository(three.root, read_only=True)
    yield repo
    repo.close()


def last_batch(repo: Repository) -> Batch:
    return all_batches(repo)[-1]


def differences(repo: Repository, **given: object) -> list[str]:
    """The options that say something else than the last batch."""
    nothing = {"plan": PlanChoice(), "items": None, "checkpoint": None, "agent": None, "branch": None}
    found = find_differences(repo, last_batch(repo), GivenOptions(**{**nothing, **given}))  # type: ignore[arg-type]
    return [difference.option for difference in found]


@pytest.mark.rule("F4")
def test_the_same_choice_resumes(opened: Repository, three: Workspace) -> None:
    """By its words, in any order and case, or by the items that they name in the plan that the batch started from."""
    assert differences(opened) == []
    for items in ("all", "ALL", " open ", "group:1-3", "Group:3,1,2", "all,"):
        assert differences(opened, items=items) == [], items
    three.edit("task.md", "- [ ] T304", "- [ ] T305 New → Output: out/new.md\n- [ ] T304")
    three.commit()
    assert differences(opened, items="all") == []
    every = {
        "plan": PlanChoice("task.md"),
        "checkpoint": EACH,
        "agent": "scripted",
        "branch": "main",
    }
    assert differences(opened, **every) == []


def test_every_other_choice_is_found(opened: Repository) -> None:
    for items in ("T304", "group:1", "group:9", "nonsense", "T101"):
        assert differences(opened, items=items) == ["--items"], items
    other = {
        "plan": PlanChoice("docs/task.md"),
        "items": "T304",
        "checkpoint": AT_END,
        "agent": "nobody",
        "branch": "other",
    }
    assert differences(opened, **other) == ["TASK_MD", "--items", "--checkpoint", "--agent", "--branch"]


def test_a_batch_of_some_items(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run_here(three, monkeypatch, items="T301, t101", checkpoint=EACH)
    repo = open_repository(three.root, read_only=True)
    for items in ("T101,T301", "t301 ,T101", "T101,out/letters/a.md,T301"):
        assert differences(repo, items=items) == [], items
    for items in ("all", "T101", "T101,T302"):
        assert differences(repo, items=items) == ["--items"], items
    given = GivenOptions(plan=PlanChoice(), items="all", checkpoint=None, agent=None, branch=None)
    assert find_differences(repo, last_batch(repo), given) == (Difference("--items", "all", "T301, t101"),)
    repo.close()


def test_nothing_starts_and_the_ways_are_listed(opened: Repository, three: Workspace) -> None:
    before = three.state()
    done = three.gitbatch("run", "--items", "T304", "--checkpoint", "at-end", "--agent", "nobody", code=2)
    assert f"batch {last_batch(opened).id} is unfinished and was started differently: " in done.stderr
    assert (
        "--items All, not T304; --checkpoint after-each, not at-end; --agent scripted, not nobody"
        in done.stderr
    )
    assert "resume it:        gitbatch run\n" in done.stderr
    assert "gitbatch run --continue --checkpoint at-end --agent nobody" in done.stderr
    assert "end it:           gitbatch abort" in done.stderr
    assert three.state() == before


def test_another_plan_names_the_one_that_is_unfinished(opened: Repository, three: Workspace) -> None:
    three.write("plans/b.md", three.read("task.md"))
    three.commit()
    done = three.gitbatch("run", "plans/b.md", code=2)
    assert f"batch {last_batch(opened).id} is unfinished" in done.stderr
    assert "TASK_MD task.md, not plans/b.md" in done.stderr


def test_items_of_the_nearest_plan_are_no_others(opened: Repository, three: Workspace) -> None:
    """Where no plan is named, `--items` means the plan that would run here; without options, the batch is resumed."""
    three.write("plans/task.md", three.read("task.md"))
    three.commit()
    there = PlanChoice(folder="plans")
    assert differences(opened, plan=there, items="all") == ["TASK_MD"]
    assert differences(opened, plan=PlanChoice(folder="in"), items="all") == []
    assert differences(opened, plan=there, checkpoint=EACH) == []
    three.write("plans/task.md", "nothing\n")
    three.write("CLAUDE.md", "## Active Scope\n\nPhase: one\n")
    three.write("docs/phases/one/task.md", three.read("task.md"))
    three.commit()
    assert differences(opened, plan=there, items="all") == [], "the active phase decides"
    three.write("CLAUDE.md", "## Active Scope\n")
    three.commit()
    assert differences(opened, plan=there, items="all") == [], "no plan is found"


def test_the_rest_can_be_changed(
    opened: Repository, three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    three.write("gitbatch.toml", three.read("gitbatch.toml") + _other_agent("other"))
    three.commit()
    with pytest.raises(PlanError, match="'nobody' is not configured"):
        run_here(three, monkeypatch, continues=True, items=None, checkpoint=AT_END, agent="nobody")
    assert (last_batch(opened).record.mode, last_batch(opened).record.agent) == ("after-each", "scripted")
    with pytest.raises(UsageError, match="--items All, not T304"):
        run_here(three, monkeypatch, continues=True, items="T304", checkpoint=AT_END)
    result, events = run_here(
        three, monkeypatch, continues=True, items="all", checkpoint=AT_END, agent="other", accept_config=True
    )
    assert (result.ending, len(ticked(three))) == (Ending.COMPLETE, 12)
    texts = [event["text"] for event in events if event["event"] == "notice"]
    changed = "--checkpoint at-end (was after-each), --agent other (was scripted)"
    assert f"for the rest of the batch: {changed}" in texts
    agents = three.git("log", "--format=%(trailers:key=Gitbatch-Agent,valueonly)").split()
    assert (agents.count("scripted"), agents.count("other")) == (4, 8)
    assert (last_batch(opened).record.mode, last_batch(opened).record.agent) == ("at-end", "other")


def _other_agent(name: str) -> str:
    return f'\n[agents.{name}]\nkind = "command"\ncommand = ["sh", "tools/agent.sh", "{{output}}"]\nsandbox = "none"\n'


def test_nothing_to_continue(three: Workspace) -> None:
    before = three.state()
    done = three.gitbatch("run", "--continue", "--checkpoint", "at-end", code=2)
    assert "there is nothing to continue: no batch is unfinished" in done.stderr
    assert three.state() == before
