"""A batch from its start to its end, as a user runs it: real git, real processes, three groups of four items."""

import json
import os
import sys
from pathlib import Path

import pytest
from conftest import Workspace, read_run
from history import assert_tidy, audit, ticked, trailers
from sessions import run_here

from gitbatch.batch.events import SCHEMA
from gitbatch.batch.history.record import BATCH_ID, new_batch_id
from gitbatch.batch.model import CheckpointMode

ALL = [f"T{group}0{item}" for group in (1, 2, 3) for item in (1, 2, 3, 4)]


def run(workspace: Workspace, *arguments: str, code: int = 0, mode: str = "at-end") -> str:
    done = workspace.gitbatch("run", "--items", "all", "--checkpoint", mode, *arguments, code=code)
    return done.stdout + done.stderr


@pytest.mark.rule("K1", "K2", "K3", "O3", "P4", "S1")
@pytest.mark.parametrize(
    ("mode", "codes"),
    [("after-each", [3, 3, 0]), ("after-batch:2", [3, 0]), ("after-batch:9", [0]), ("at-end", [0])],
)
@pytest.mark.sample(2)
def test_every_mode_ends_with_the_same_history(three: Workspace, mode: str, codes: list[int]) -> None:
    three.write("notes.txt", "untracked")
    three.write("rules.md", "staged\n")
    three.git("add", "rules.md")
    three.write("tools/agent.sh", three.read("tools/agent.sh") + "# unstaged\n")
    before = three.git("status", "--porcelain")
    found = [three.gitbatch("run", "--items", "all", "--checkpoint", mode).returncode]
    while found[-1] == 3:
        found.append(three.gitbatch("run", "--no-input").returncode)
    assert found == codes
    story = audit(three)
    assert (len(story.items), len(story.merges), len(story.checkpoints)) == (12, 3, 3)
    assert ticked(three) == ALL
    assert three.git("status", "--porcelain") == before
    assert_tidy(three)


def test_the_first_parent_history_is_the_story(recorded: Workspace) -> None:
    assert recorded.subjects() == [
        "The plan",
        "gitbatch: merge 4 items of “Letters”",
        "gitbatch: checkpoint 1/3: Letters (4 of 4 done)",
        "gitbatch: merge 4 items of “Pairs”",
        "gitbatch: checkpoint 2/3: Pairs (4 of 4 done)",
        "gitbatch: merge 4 items of “Words”",
        "gitbatch: checkpoint 3/3: Words (4 of 4 done)",
    ]


def test_an_item_commit_says_everything(recorded: Workspace) -> None:
    commit = recorded.git("log", "--all", "--format=%H", "--grep", "^Gitbatch-Item: out/pairs/ab.md$")
    body = recorded.git("log", "-1", "--format=%B", commit)
    assert body.splitlines()[:3] == ["T201 Write ab", "", "Wrote out/pairs/ab.md. It has one heading."]
    assert trailers(recorded, commit, "Group") == ["2 Pairs"]
    assert trailers(recorded, commit, "Agent") == ["scripted"]
    assert trailers(recorded, commit, "Attempt") == ["1"]
    assert trailers(recorded, commit, "DoD") == ["#2"]
    assert trailers(recorded, commit, "Decision") == ["Used one heading in out/pairs/ab.md"]
    assert trailers(recorded, commit, "Contribution") == ["inventory.md: out/pairs/ab.md exists"]
    paths = [line.partition("@")[0] for line in trailers(recorded, commit, "Context")]
    assert paths == ["rules.md", "status.md", "out/letters/a.md", "out/letters/b.md"]
    assert recorded.git("log", "-1", "--format=%an|%cn", commit) == "scripted (gitbatch agent)|Test User"


@pytest.mark.rule("O3", "O4", "T2")
def test_the_orchestrator_commit_writes_the_shared_files(recorded: Workspace) -> None:
    assert recorded.read("task.md").count("- [x]") == 14, (
        "12 items, and the two criteria whose items are all done"
    )
    assert "- [ ] Somebody has read it all" in recorded.read("task.md")
    status = recorded.read("status.md")
    assert status.startswith("# Status\n\nWhat the user wrote here stays.\n")
    assert "checkpoint 3 of 3" in status
    assert "cross-cutting" in status
    decisions = [line for line in recorded.read("decisions-log.md").splitlines() if line.startswith("- **D")]
    assert [line.split("**")[1] for line in decisions] == [f"D{number}" for number in range(1, 13)]
    inventory = recorded.read("inventory.md")
    assert (
        inventory.index("- none yet")
        < inventory.index("out/letters/d.md exists")
        < inventory.index("## Other")
    )
    assert "Text of the user." in inventory
    body = recorded.git("log", "-1", "--format=%B")
    assert "Cross-cutting, named by no item: #3 [ ] Somebody has read it all" in body


@pytest.mark.rule("E1", "E2", "E3")
def test_failures_are_told_and_stop_nothing_else(three: Workspace) -> None:
    three.edit("task.md", "Write c →", "Write c do: fail →")
    three.commit()
    said = run(three, code=1)
    assert "T103" in said
    assert "the source is not there" in said
    assert ticked(three) == [name for name in ALL if name not in {"T103", "T202", "T203"}]
    assert "- [ ] Every letter has its page" in three.read("task.md")
    first = three.git("log", "--format=%H", "--grep", "checkpoint 1/3")
    assert trailers(three, first, "Failed") == ["out/letters/c.md: failed: the source is not there (exit 3)"]
    assert "    the source is not there" in three.git("log", "-1", "--format=%B", first)
    second = three.git("log", "--format=%H", "--grep", "checkpoint 2/3")
    assert trailers(three, second, "Failed") == [
        f"out/pairs/{name}.md: blocked: required context not written: out/letters/c.md (failed: the source is not there (exit 3))"
        for name in ("bc", "cd")
    ]
    audit(three)
    assert_tidy(three)


@pytest.mark.rule("P4", "C3")
def test_a_missing_input_is_named_to_the_agent_and_at_the_checkpoint(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T103 fails. T301 reads it by default and runs without it, but not where the batch says `block`."""
    three.edit("task.md", "Write c →", "Write c do: fail →")
    three.edit(
        "tools/agent.sh",
        'echo "working',
        "printf '%s' \"$prompt\" | grep 'not written' >&2 || :\necho \"working",
    )
    three.commit()
    said = "not written: out/letters/c.md (failed: the source is not there (exit 3))"
    _, events = run_here(three, monkeypatch)
    progress = {event["line"] for event in events if event["event"] == "item-progress"}
    assert f"- {said}" in progress, "in the prompt"
    assert "T301" in ticked(three)
    checkpoint = " ".join(three.git("log", "-1", "--format=%B").split())
    assert f"T301, T302, T303, T304: {said}" in checkpoint
    commit = three.git("log", "--all", "--format=%H", "--grep", "^Gitbatch-Item: out/words/one.md$")
    assert trailers(three, commit, "Missing") == [
        "out/letters/c.md: not-written: failed: the source is not there (exit 3)",
        *(
            f"out/pairs/{name}.md: not-written: blocked: required context not written: out/letters/c.md"
            for name in ("bc", "cd")
        ),
    ]
    assert f"- T301, T302, T303, T304: {said}" in three.read("status.md").replace("\\", "")
    three.edit("gitbatch.toml", '"tell"', '"block"')
    three.edit("task.md", "- [x] T301", "- [ ] T301")
    three.commit()
    run_here(three, monkeypatch)
    assert trailers(three, "HEAD", "Failed") == [f"out/words/one.md: blocked: input {said}"]
    assert "T301" not in ticked(three)


@pytest.mark.rule("C3")
def test_a_declared_context_that_vanishes_blocks(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run_here(three, monkeypatch, checkpoint=CheckpointMode.parse("after-each"))
    three.git("mv", "out/letters/a.md", "out/letters/renamed.md")
    three.commit()
    run_here(three, monkeypatch, checkpoint=None, items=None)
    second = three.git("log", "--format=%H", "--grep", "checkpoint 2/3")
    said = "required context not found: out/letters/a.md (it is not in the commit)"
    assert trailers(three, second, "Failed") == [
        f"out/pairs/{name}.md: blocked: {said}" for name in ("ab", "da")
    ]


@pytest.mark.rule("F4")
def test_the_next_run_starts_a_new_batch_with_what_is_open(three: Workspace) -> None:
    three.edit("task.md", "Write c →", "Write c do: fail →")
    three.commit()
    run(three, code=1)
    three.edit("task.md", "Write c do: fail →", "Write c →")
    three.commit("Mend the plan")
    said = run(three, code=0)
    assert "3 items in 2 groups" in said
    assert ticked(three) == ALL
    assert len(audit(three).items) == 12
    assert run(three, code=0).startswith("stopped  every item of task.md is done")


def test_names_of_batches_sort_by_age_within_a_second_too() -> None:
    moments = [1_800_000_000 + part / 1000 for part in range(0, 2000, 7)]
    names = [new_batch_id(moment) for moment in moments]
    assert names == sorted(set(names))
    assert all(BATCH_ID.fullmatch(name) for name in names)


@pytest.mark.parametrize(
    ("what", "status", "reason"),
    [
        ("nothing", "failed", "no output file was written"),
        ("empty", "failed", "the output file is empty"),
        ("link", "failed", "cannot take the output"),
        ("shared", "refused", "the agent modified task.md outside its assigned output"),
        ("sibling", "refused", "the agent modified out/letters/a.md outside its assigned output"),
    ],
)
@pytest.mark.rule("S1", "S2")
@pytest.mark.sample(3)
def test_what_an_agent_must_not_do_costs_it_its_item(
    three: Workspace, what: str, status: str, reason: str
) -> None:
    three.edit("task.md", "Write b →", f"Write b do: {what} →")
    three.commit()
    run(three, "--items", "group:1", code=1)
    first = three.git("log", "--format=%H", "--grep", "checkpoint 1/1")
    (failed,) = trailers(three, first, "Failed")
    assert failed.startswith(f"out/letters/b.md: {status}: {reason}")
    assert "T102" not in ticked(three)
    assert "mine" not in three.read("task.md")
    audit(three)
    assert_tidy(three)


@pytest.mark.parametrize("what", ["stray", "commit"])
@pytest.mark.rule("S1")
def test_what_else_an_agent_leaves_is_named_and_gone(three: Workspace, what: str) -> None:
    three.edit("task.md", "Write b →", f"Write b do: {what} →")
    three.commit()
    said = run(three, "--items", "group:1", code=0)
    stray = {"stray": "notes.tmp", "commit": "extra.txt"}[what]
    assert stray in said
    assert stray not in three.git("ls-tree", "-r", "--name-only", "main").splitlines()
    audit(three)
    assert_tidy(three)


def test_an_unchanged_output_fails_at_once_and_says_how_to_tick(three: Workspace) -> None:
    run(three, "--items", "group:1")
    three.edit("task.md", "- [x] T101", "- [ ] T101")
    three.edit("task.md", "- [x] Every", "- [ ] Every")
    three.commit()
    done = three.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", code=1)
    assert done.stdout.count("  start     T101") == 1, "one attempt, not three that are paid for"
    reason = (
        "the agent changed nothing: out/letters/a.md is as it was; "
        "if it is right, tick the item's box in task.md by hand (- [x]) and commit that"
    )
    assert trailers(three, "HEAD", "Failed") == [f"out/letters/a.md: failed: {reason}"]
    assert reason in " ".join(done.stdout.split())
    assert "T101" not in ticked(three)


@pytest.mark.rule("S3")
def test_the_last_paragraph_is_the_summary_and_a_missing_one_is_flagged(three: Workspace) -> None:
    three.edit("task.md", "Write a →", "Write a do: talk →")
    three.edit("task.md", "Write b →", "Write b do: silent →")
    three.commit()
    said = run(three, "--items", "group:1")
    assert "The last paragraph is the summary." in said
    assert "no summary" in said
    commit = three.git("log", "--all", "--format=%H", "--grep", "^Gitbatch-Item: out/letters/b.md$")
    assert trailers(three, commit, "Flag") == ["summary-missing"]


@pytest.mark.rule("O7")
@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ([], "--items and --checkpoint"),
        (["--items", "all"], "--checkpoint"),
        (["--checkpoint", "at-end"], "--items"),
    ],
)
def test_what_is_missing_is_named_where_nobody_can_answer(
    three: Workspace, given: list[str], missing: str
) -> None:
    before = three.state()
    done = three.gitbatch("run", *given, "--no-input", code=2)
    assert f"missing {missing}: cannot ask without a terminal" in done.stderr
    assert three.state() == before


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("group:letters,T304", [*ALL[:4], "T304"]),
        ("t301,out/letters/b.md", ["T102", "T301"]),
    ],
)
def test_only_what_was_chosen_runs(three: Workspace, choice: str, expected: list[str]) -> None:
    three.gitbatch("run", "--items", choice, "--checkpoint", "at-end", code=0)
    assert ticked(three) == expected


@pytest.mark.rule("O6")
def test_a_complete_definition_of_done_is_a_hard_stop(three: Workspace) -> None:
    three.edit("task.md", "- [ ] Somebody", "- [x] Somebody")
    three.commit()
    open_items = (
        "4 open items (T301, T302, T303, T304) do not run: every criterion is ticked; untick one to reopen"
    )
    said = run(three, code=1)
    assert f"stopped  {open_items}\n" in said
    assert ticked(three) == ALL[:8]
    assert_tidy(three)
    three.edit("task.md", "- [ ] T301", "- [x] T301")
    three.edit("task.md", "- [ ] T302", "- [x] T302")
    three.edit("task.md", "- [ ] T303", "- [x] T303")
    three.commit()
    done = three.gitbatch("run", "--items", "all", "--checkpoint", "at-end", "--json", code=1)
    stopped, envelope = map(json.loads, done.stdout.splitlines())
    assert (
        stopped["reason"]
        == "1 open item (T304) does not run: every criterion is ticked; untick one to reopen"
    )
    assert stopped["open_items"] == ["T304"]
    assert envelope["error"]["message"] == stopped["reason"]
    three.edit("task.md", "- [ ] T304", "- [x] T304")
    three.commit()
    said = run(three, code=0)
    assert "phase complete; set the next phase under Active Scope in CLAUDE.md" in said
    three.git("revert", "--no-edit", "HEAD", "HEAD~1")
    assert ticked(three) == ALL[:8]


def test_the_tick_of_a_criterion_can_be_the_users(three: Workspace) -> None:
    three.edit("gitbatch.toml", "jobs = 4", "jobs = 4\ntick-dod = false")
    three.commit()
    said = run(three)
    assert "- [ ] Every letter has its page" in three.read("task.md")
    assert "DoD #1  [ ]  ready: tick it  Every letter has its page" in said
    for command in ("status", "plan"):
        shown = three.gitbatch(command, code=0).stdout
        assert "DoD #2  [ ]  ready: tick it  Every pair has its page" in shown
        assert "DoD #3  [ ]  cross-cutting   Somebody has read it all" in shown


def test_another_branch_leaves_the_checkout_alone(three: Workspace) -> None:
    three.write("task.md", "# not even the plan is looked at\n")
    before = (
        three.git("status", "--porcelain"),
        three.git("rev-parse", "main"),
        three.git("symbolic-ref", "HEAD"),
    )
    run(three, "--branch", "work/batch")
    assert before == (
        three.git("status", "--porcelain"),
        three.git("rev-parse", "main"),
        three.git("symbolic-ref", "HEAD"),
    )
    assert ticked(three, branch="work/batch") == ALL
    assert len(audit(three, "work/batch").items) == 12
    assert_tidy(three)


@pytest.mark.parametrize("checkout", ["full", "context"])
def test_a_context_checkout_has_only_what_is_needed(three: Workspace, checkout: str) -> None:
    three.edit("gitbatch.toml", "jobs = 4", f'jobs = 4\ncheckout = "{checkout}"')
    three.edit("gitbatch.toml", '"sh", "tools/agent.sh", ', '"sh", "-c", "ls -R >$0; echo Done.", ')
    three.commit()
    three.gitbatch("run", "--items", "T201,T101,T102", "--checkpoint", "at-end", code=0)
    listed = three.read("out/pairs/ab.md").split()
    assert ("agent.sh" in listed) is (checkout == "full")
    assert {"a.md", "b.md", "rules.md"} <= set(listed)
    assert three.git("config", "--get-regexp", "sparse", check=False) == ""


def test_json_is_one_object_a_line_and_the_log_is_the_same(three: Workspace) -> None:
    done = three.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", "--json", code=0)
    events = read_run(done.stdout)[0]
    assert {event["schema"] for event in events} == {SCHEMA}
    kinds = [event["event"] for event in events]
    assert kinds[:3] == ["batch-started", "group-started", "item-started"]
    assert kinds[-3:] == ["item-finished", "checkpoint", "batch-finished"]
    assert {
        "event": "item-progress",
        "line": "working on out/letters/a.md",
        "stream": "progress",
    }.items() <= next(event for event in events if event["event"] == "item-progress").items()
    (checkpoint,) = (event["checkpoint"] for event in events if event["event"] == "checkpoint")
    commit = checkpoint["outcomes"][0]["commit"]
    assert (
        three.git("log", "-1", "--format=%(trailers:key=Gitbatch-Item,valueonly)", commit)
        == "out/letters/a.md\n"
    )
    (log,) = (three.root / ".git" / "gitbatch").glob("*/events.jsonl")
    assert [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] == events


def test_status_tells_where_a_batch_is(three: Workspace) -> None:
    assert "no batch has run here yet" in three.gitbatch("status", code=0).stdout
    three.edit("task.md", "Write c →", "Write c do: fail →")
    three.commit()
    run(three, mode="after-each", code=3)
    before = three.state()
    said = three.gitbatch("status", code=0).stdout
    assert "1 of 3 groups, 3 of 12 items" in said
    assert "gitbatch run" in said
    told = json.loads(three.gitbatch("status", "--json", code=0).stdout)
    assert [item["status"] for item in told["items"]] == ["succeeded"] * 2 + ["failed", "succeeded"] + [
        "open"
    ] * 8
    assert told["state"] == "unfinished"
    assert three.state() == before


def test_abort_keeps_what_was_not_merged(three: Workspace) -> None:
    run(three, mode="after-each", code=3)
    done = three.gitbatch("abort", code=0)
    assert "has ended" in done.stdout
    assert_tidy(three)
    assert "no batch is unfinished" in three.gitbatch("abort", code=1).stderr
    assert "starts on main" in run(three)


def test_plan_shows_what_would_run_and_changes_nothing(three: Workspace) -> None:
    before = three.state()
    said = three.gitbatch("plan", code=0).stdout
    for part in (
        "T201 Write ab",
        "out/pairs/ab.md",
        "reads out/letters/a.md (not there yet: T101 of group 1 writes it)",
        "rules.md (every item reads it)",
        "agent scripted, 1 attempt of at most 1 min, DoD #2",
        "4 at a time, 10.0 MiB for an output",
    ):
        assert part in said
    told = json.loads(three.gitbatch("plan", "--json", code=0).stdout)
    assert [len(group["items"]) for group in told["groups"]] == [4, 4, 4]
    assert three.state() == before


def test_plan_shows_the_only_agent_and_what_earlier_groups_will_write(three: Workspace) -> None:
    plan = "## Work Packages\n### A\n- [ ] T1 a → Output: a.md\n- [ ] T2 b → Output: b.md\n### B\n- [ ] T3 c → Output: c.md\n"
    three.write("task.md", plan)
    three.write("gitbatch.toml", '[agents.writer]\nkind = "command"\ncommand = ["true"]\n')
    three.commit()
    _, first, second = three.gitbatch("plan", code=0).stdout.split("\ngroup ")
    assert first.count("agent writer") == 2
    assert "earlier groups" not in first
    assert "reads 2 outputs of group 1 “A” (not there yet)" in second


def test_git_batch_works_as_a_git_command(three: Workspace) -> None:
    three.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    assert three.git("batch", "--version").startswith("gitbatch ")


@pytest.mark.rule("P3")
def test_the_items_of_a_group_run_at_the_same_time(three: Workspace) -> None:
    for letter in "abcd":
        three.edit("task.md", f"Write {letter} →", f"Write {letter} do: nap 1 →")
    three.commit()
    done = three.gitbatch("run", "--items", "group:1", "--checkpoint", "at-end", "--json", code=0)
    events = read_run(done.stdout)[0]
    started = [event["at"] for event in events if event["event"] == "item-started"]
    finished = [event["at"] for event in events if event["event"] == "item-finished"]
    assert max(started) < min(finished)


def test_jobs_bound_how_many_run(three: Workspace) -> None:
    done = three.gitbatch(
        "run", "--items", "group:1", "--checkpoint", "at-end", "--jobs", "1", "--json", code=0
    )
    kinds = [event["event"] for event in read_run(done.stdout)[0]]
    assert [kind for kind in kinds if kind in {"item-started", "item-finished"}] == [
        "item-started",
        "item-finished",
    ] * 4
