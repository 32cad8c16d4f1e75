"""Whole runs in which items start before their group (rule F2). At the end of each, `verify` finds nothing."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable

import pytest
from batch.early_runs import AGENT, count_starts, run_early, tell, write_plan
from batch.runs.test_signing import make_key, user_setting
from conftest import Workspace
from history import trailers
from processes import require_no_agents
from reviews import APPROVE, REJECT, REVISE, UNDO, decide
from waiting import wait_until, wait_until_async

from gitbatch.batch.caller import PauseAlways
from gitbatch.batch.ending import Ending
from gitbatch.batch.events import EarlyWork, Event, GroupStarted, ItemFinished, ItemStarted, Notice
from gitbatch.batch.model import Checkpoint, CheckpointMode
from gitbatch.batch.planning.early.eagerness import EagerMode
from gitbatch.batch.review.choices import Choice, select_review_items
from gitbatch.batch.review.reviewable import find_reviewable
from gitbatch.batch.review.sheet import read_sheet
from gitbatch.batch.session import Session
from gitbatch.errors import BusyError, UsageError
from gitbatch.plan.model import ItemKey
from gitbatch.repo.fingerprint import TamperedError
from gitbatch.repo.lock import repository_lock

CHAIN = ("A1\nA2\n", "B1 out/A1.md\nB2 out/A2.md\n", "C1 out/B1.md\nC2\n")
"""B1 and C1 can be done while A2 runs; C2 declares nothing, so it waits for its group."""


@pytest.mark.rule("F2")
def test_items_start_early_and_are_taken_in_their_turn(workspace: Workspace) -> None:
    write_plan(workspace, *CHAIN)
    tell(workspace, "A2", "wait_for C1\n")
    ran = run_early(workspace)
    assert (ran.result.ending, ran.result.succeeded) == (Ending.COMPLETE, 6)
    assert ran.early == ["B1", "C1"]
    assert all(count_starts(workspace, name) == 1 for name in ("A1", "A2", "B1", "B2", "C1", "C2"))
    started = ran.list_of("group-started")
    assert [event["already"] for event in started] == [[], ["out/B1.md"], ["out/C1.md"]]
    said = workspace.git(
        "log", "--format=%s%n%(trailers:key=Gitbatch-Plan-Item,keyonly)", "--grep=^Gitbatch-Item"
    )
    assert said.count("Gitbatch-Plan-Item") == 2
    assert "gitbatch: base of Group 2" in workspace.git("log", "--format=%s")


@pytest.mark.rule("F2")
def test_nothing_starts_early_if_that_is_off(workspace: Workspace) -> None:
    write_plan(workspace, *CHAIN)
    ran = run_early(workspace, eager=EagerMode.OFF)
    assert (ran.result.succeeded, ran.early) == (6, [])
    assert "Gitbatch-Plan-Item" not in workspace.git("log", "--format=%B")


def when_done(workspace: Workspace, name: str, act: Callable[[], object]) -> Callable[[Session, Event], None]:
    """Does something when an item has ended, and then lets the agents continue that wait for `go`."""

    def listen(_: Session, event: Event) -> None:
        if isinstance(event, ItemFinished) and event.outcome.item.name == name and not done:
            done.append(name)
            act()
            (workspace.home / "go").touch()

    done: list[str] = []
    return listen


def read_costs(workspace: Workspace, name: str) -> list[str]:
    """The costs that the commits of an item state on the branch."""
    commits = workspace.git("log", "--format=%H", f"--grep=^Gitbatch-Item: out/{name}.md$").split()
    return [trailers(workspace, oid, "Cost")[0] for oid in commits]


@pytest.mark.rule("F2")
@pytest.mark.parametrize("changed", ["file", "plan", "lost", "output", "own"])
def test_an_early_item_that_is_stale_runs_again(workspace: Workspace, changed: str) -> None:
    """The user commits another version of a file that it read, of its line in the plan, of its input's output, or of its own."""
    workspace.write("src/notes.md", "old\n")
    write_plan(workspace, "A1\nA2\n", "B1 out/A1.md, src/notes.md\nB2 out/A2.md\n")
    tell(workspace, "A2", "wait_for_file go\n")
    edits = {
        "file": lambda: workspace.write("src/notes.md", "new\n"),
        "plan": lambda: workspace.edit("task.md", "B1 Write it", "B1 Write it well"),
        "lost": lambda: workspace.edit("task.md", "- [ ] B1 ", "- B1 "),
        "output": lambda: workspace.write("out/A1.md", "mine\n"),
        "own": lambda: workspace.write("out/B1.md", "mine\n"),
    }

    def act() -> None:
        edits[changed]()
        workspace.commit()

    ran = run_early(workspace, listen=when_done(workspace, "B1", act))
    assert ran.early == ["B1"]
    assert "again: B1, which started early: " in ran.notices
    ledger = workspace.git("for-each-ref", "--format=%(objectname)", "refs/gitbatch/*/ledger/2-b1")
    [stale, *_] = json.loads(workspace.git("cat-file", "blob", ledger))
    assert (stale["cause"], stale["usage"]["cost"]) == ("stale", 0.5)
    kept = workspace.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/rescue/*")
    assert kept.endswith("/rescue/2-b1")
    if changed == "lost":
        assert [(each.name, each.status) for each in ran.result.failures] == [("B1", "cancelled")]
    elif changed == "output":  # A1 is in conflict, so its reader lacks what it declares
        assert [(each.name, each.status) for each in ran.result.failures] == [
            ("A1", "conflicted"),
            ("B1", "blocked"),
        ]
    else:
        assert (ran.result.succeeded, count_starts(workspace, "B1")) == (4, 2)
        assert read_costs(workspace, "B1") == ["1.000000"]


@pytest.mark.rule("F2", "F6")
@pytest.mark.parametrize("changed", [True, False])
def test_an_early_output_that_waits_for_its_checks_is_judged_too(
    workspace: Workspace, *, changed: bool
) -> None:
    """Its check gives no verdict, which halts the run; before the next one, the user changes its line."""
    script = 'touch "$HOME/checked"; [ -e "$HOME/ok" ] || exit 127'
    command = f'["sh", "-c", {json.dumps(script)}]'
    config = (
        f'[checks.read]\non = ["out/B1.md"]\ncommand = {command}\nsandbox = "none"\npass-env = ["HOME"]\n'
    )
    write_plan(workspace, "A1\nA2\n", "B1 out/A1.md\nB2 out/A2.md\n", config=config)
    tell(workspace, "A2", "wait_for_file go\n")
    tell(workspace, "A2.1", "wait_for_file checked\nexit 75\n")
    assert run_early(workspace).result.ending is Ending.HALTED
    if changed:
        workspace.edit("task.md", "B1 Write it", "B1 Write it well")
        workspace.commit()
    (workspace.home / "ok").touch()
    ran = run_early(workspace, listen=when_done(workspace, "B1", list))
    assert (ran.result.succeeded, count_starts(workspace, "B1")) == (4, 2 if changed else 1)


@pytest.mark.rule("F2", "F3")
def test_what_a_failed_early_attempt_wrote_is_not_given_to_one_that_reads_other_versions(
    workspace: Workspace,
) -> None:
    """The agents leave a file as it is that is there: it was written from notes that the user has changed since."""
    workspace.write("src/notes.md", "old\n")
    write_plan(workspace, "A1\nA2\n", "B1 src/notes.md\nB2 out/A2.md\nB3 agent.sh\n")
    written = 'echo "$name $count" >"$GITBATCH_OUTPUT"'
    (workspace.home / "agent.sh").write_text(
        AGENT.replace(written, f'[ -e "$GITBATCH_OUTPUT" ] || {written}')
    )
    workspace.edit("gitbatch.toml", "retries = 0", "retries = 1")
    workspace.commit()
    tell(workspace, "A2", "wait_for_file go\n")
    for name in ("B1.1", "B1.2", "B3.1"):
        tell(workspace, name, "exit 3\n")

    def change() -> None:
        workspace.write("src/notes.md", "new\n")
        workspace.commit()

    ran = run_early(workspace, listen=when_done(workspace, "B1", change))
    assert (ran.result.succeeded, count_starts(workspace, "B1"), count_starts(workspace, "B3")) == (5, 3, 2)
    assert (workspace.read("out/B1.md"), workspace.read("out/B3.md")) == ("B1 3\n", "B3 1\n")


@pytest.mark.rule("F2")
def test_nothing_starts_early_from_what_the_user_has_changed_since(workspace: Workspace) -> None:
    """While A1 runs, the user changes what B4 was written from and B1 is to read: neither B1 nor C1, which reads B4, starts."""
    workspace.write("src/notes.md", "old\n")
    write_plan(
        workspace,
        "A1\nA2\n",
        "B1 out/A1.md, src/notes.md\nB2 out/A2.md\nB4 src/notes.md\n",
        "C1 out/B4.md, out/A1.md\nC3 out/A1.md\n",
    )
    tell(workspace, "A1", "wait_for_file go\n")
    tell(workspace, "A2", "wait_for C3\n")

    def change() -> None:
        workspace.write("src/notes.md", "new\n")
        workspace.commit()

    ran = run_early(workspace, listen=when_done(workspace, "B4", change), jobs=8)
    assert (ran.result.succeeded, ran.early[:2]) == (7, ["B4", "C3"])
    assert [count_starts(workspace, name) for name in ("B1", "B4", "C1", "C3")] == [1, 2, 1, 1]


@pytest.mark.rule("F2", "F7")
def test_a_review_makes_what_was_written_from_its_items_run_again(workspace: Workspace) -> None:
    write_plan(
        workspace,
        "A1\nA2\nA3\nA4\nA5\nA6\n",
        "B1 out/A1.md\nB2 out/A2.md\nB3 out/A3.md\nB4 out/A4.md\nB6 out/A6.md\n",
        "C1 out/B1.md\nC4 out/B4.md",
    )
    tell(workspace, "A5", "for each in B2 B3 B6 C1 C4; do wait_for $each; done\n")
    mode = CheckpointMode.parse("after-each")
    ran = run_early(workspace, checkpoint=mode, jobs=8)
    assert (ran.result.ending, set(ran.early)) == (Ending.PAUSED, {"B1", "B2", "B3", "B4", "B6", "C1", "C4"})
    tell(workspace, "A6", "exit 3\n")
    decide(
        workspace,
        (REVISE, "A1"),
        (REVISE, "A6"),
        (REJECT, "A2"),
        (UNDO, "A3"),
        (APPROVE, "A4"),
        comment="better",
    )
    again = run_early(workspace, checkpoint=CheckpointMode.parse("at-end"), continues=True, jobs=8)
    assert again.early == []
    assert {
        name: count_starts(workspace, name) for name in ("A1", "A4", "B1", "B2", "B3", "B4", "C1", "C4")
    } == {
        "A1": 2,
        "B1": 2,
        "C1": 2,
        **dict.fromkeys(("A4", "B2", "B3", "B4", "C4"), 1),
    }
    assert [(each.name, each.status) for each in again.result.failures] == [
        ("A6", "failed"),
        ("B2", "blocked"),
        ("B3", "blocked"),
        ("B6", "blocked"),
    ]
    assert count_starts(workspace, "B6") == 1, "it was written from what the review sent back"
    assert all(
        f"again: {name}, which started early" in again.notices for name in ("B1", "B2", "B3", "B6", "C1")
    )


@pytest.mark.rule("F2", "E1")
def test_what_fails_is_never_read_early(workspace: Workspace) -> None:
    write_plan(workspace, "A1\nA2\n", "B1 out/A1.md\nB2 out/A2.md\n", "C1 out/B2.md\n")
    tell(workspace, "A1", "echo broken; exit 3\n")
    tell(workspace, "A2", "wait_for B3; wait_for_file go\n")
    workspace.edit(
        "task.md", "- [ ] B2", "- [ ] B3 Write it (context: agent.sh) → Output: out/B3.md\n- [ ] B2"
    )
    workspace.commit()
    tell(workspace, "B3", "exit 3\n")
    ran = run_early(workspace, listen=when_done(workspace, "A1", list))
    assert ran.early == ["B3"]
    assert [(each.name, each.status) for each in ran.result.failures] == [
        ("A1", "failed"),
        ("B1", "blocked"),
        ("B3", "failed"),
    ]
    assert count_starts(workspace, "B3") == 1, "its one attempt was made before its turn"


class Deciding(PauseAlways):
    """A person who decides at each pause, while early items run."""

    takes_time = True

    def __init__(self, workspace: Workspace, *pauses: Callable[[Session], Awaitable[bool]]) -> None:
        self.workspace, self.pauses = workspace, list(pauses)
        self.session: Session | None = None

    async def review_checkpoint(self, checkpoint: Checkpoint) -> bool:  # noqa: ARG002 - the protocol's
        assert self.session
        return await self.pauses.pop(0)(self.session) if self.pauses else True


@pytest.mark.rule("F2", "F7")
@pytest.mark.parametrize("mode", [EagerMode.ON, EagerMode.WHILE_PAUSED])
def test_early_items_run_on_while_a_person_decides(workspace: Workspace, mode: EagerMode) -> None:
    """B1 runs when the review begins, and ends in it. Others start meanwhile only if that was asked for.

    Then B2 reads the A2 that the review sends back, so it runs again.
    """
    write_plan(workspace, "A1\nA2\n", "B1 out/A1.md\nB2 out/A2.md\n", "C1 out/B1.md\n")
    tell(workspace, "A2", "wait_for B1\n")
    tell(workspace, "B1", "wait_for_file go\n")

    async def decide_meanwhile(session: Session) -> bool:
        with pytest.raises(BusyError), repository_lock(session.hold.unlocked, print):  # type: ignore[union-attr]
            pass
        assert read_sheet(session.hold.unlocked).early == EarlyWork(0, 1)  # type: ignore[union-attr]
        found = find_reviewable(session.hold.unlocked)  # type: ignore[union-attr]
        [(item, _)] = select_review_items(found, ("A2",))
        with pytest.raises(UsageError, match="nothing to decide"):
            await session.decide(())
        await session.decide((Choice(REVISE, item, comment="More."),))
        (workspace.home / "go").touch()
        ended = "C1" if mode is EagerMode.WHILE_PAUSED else "B1"
        await wait_until_async(lambda: f"out/{ended}.md" in outputs_of_branches(workspace), ended)
        assert count_starts(workspace, "C1") == (mode is EagerMode.WHILE_PAUSED)
        return True

    person = Deciding(workspace, decide_meanwhile)

    def listen(session: Session, _: Event) -> None:
        person.session = session

    ran = run_early(workspace, person, listen, checkpoint=CheckpointMode.parse("after-each"), eager=mode)
    assert (ran.result.ending, ran.result.succeeded) == (Ending.COMPLETE, 5)
    goes_on = mode is EagerMode.WHILE_PAUSED
    assert ran.early == (["B1", "B2", "C1"] if goes_on else ["B1", "C1"])
    assert {name: count_starts(workspace, name) for name in ("A1", "A2", "B1", "B2", "C1")} == {
        **dict.fromkeys(("A1", "B1", "C1"), 1),
        "A2": 2,
        "B2": 1 + goes_on,
    }


@pytest.mark.rule("F2", "F7")
def test_nothing_starts_during_a_review_from_what_it_has_sent_back(workspace: Workspace) -> None:
    """B1 takes the only slot until A2 is sent back: then B3 starts, and not B2, which reads A2."""
    write_plan(workspace, "A1\nA2\n", "B1 out/A1.md\nB2 out/A2.md\nB3 out/A1.md\n")
    tell(workspace, "B1", "wait_for_file go\n")

    async def send_back(session: Session) -> bool:
        repo = session.hold.unlocked  # type: ignore[union-attr]
        [(item, _)] = select_review_items(find_reviewable(repo), ("A2",))
        await session.decide((Choice(REVISE, item, comment="More."),))
        (workspace.home / "go").touch()
        await wait_until_async(lambda: "out/B3.md" in outputs_of_branches(workspace), "B3")
        return True

    person = Deciding(workspace, send_back)

    def listen(session: Session, _: Event) -> None:
        person.session = session

    mode = CheckpointMode.parse("after-each")
    ran = run_early(workspace, person, listen, checkpoint=mode, eager=EagerMode.WHILE_PAUSED, jobs=1)
    assert (ran.early[:2], ran.result.succeeded) == (["B1", "B3"], 5)
    assert [count_starts(workspace, name) for name in ("A2", "B1", "B2", "B3")] == [2, 1, 1, 1]


def outputs_of_branches(workspace: Workspace) -> str:
    """The outputs of the items that are done on their branches."""
    form = "--format=%(trailers:key=Gitbatch-Item,valueonly)"
    return workspace.git("for-each-ref", form, "refs/heads/gitbatch/")


@pytest.mark.rule("F2")
def test_what_an_early_item_starts_from(workspace: Workspace) -> None:
    """More item commits than one merge has; items of its own group that it waits for; a file that several items write."""
    many = [f"A{number}" for number in range(10, 28)]
    reads = ", ".join(f"out/{name}.md" for name in many[1:])
    write_plan(
        workspace,
        "\n".join(many),
        f"B1 {reads}\nB2 {reads}\nB3 out/A11.md\n",
        "C1 out/A12.md\nC2 out/A13.md\n",
        batch='checkout = "context"',
    )
    workspace.edit("task.md", "(context: out/A11.md) →", "(context: out/A11.md) → After: B2 →")
    workspace.edit("task.md", "Output: out/C1.md", "Output: out/A12.md")
    workspace.edit(
        "task.md", "- [ ] C2", "- [ ] C3 Write it (context: out/A12.md) → Output: out/C3.md\n- [ ] C2"
    )
    workspace.edit(
        "task.md",
        "\n- [ ] C2",
        "\n\n### Group 4\n\n- [ ] D1 Write it (context: out/A12.md) → Output: out/D1.md\n- [ ] C2",
    )
    workspace.commit()
    tell(workspace, "A10", "wait_for B3\n")
    tell(workspace, "B1", "cat out/A11.md out/A27.md >/dev/null || exit 5\n")
    tell(workspace, "B3", "cat out/B2.md out/A11.md >/dev/null || exit 5\n")
    ran = run_early(workspace, jobs=6)
    assert ran.result.succeeded == 25
    assert {"B1", "B2", "B3"} <= set(ran.early)
    subjects = workspace.git("log", "--format=%s").splitlines()
    assert subjects.count("gitbatch: base of Group 2") == 3, "B1 and B2 share theirs, of two merges"
    assert count_starts(workspace, "A12") == 2


@pytest.mark.rule("F2", "F6")
def test_gates_run_in_the_turn_of_a_group(workspace: Workspace) -> None:
    """A1 makes the gate of its group red, so B1, which was written from it while the gate ran, is not taken."""
    gate = 'if grep -q "^A1 " out/A1.md && [ -e out/A1.md ]; then while [ ! -e "$HOME/B1.starts" ]; do sleep 0.01; done; exit 1; fi'
    workspace.write("gate.sh", f"{gate}\nexit 0\n")
    config = '[gates.read]\ncommand = ["sh", "gate.sh"]\nsandbox = "none"\npass-env = ["HOME"]\n'
    write_plan(workspace, "A1 gate.sh\nA2\n", "B1 out/A1.md\nB2 out/A2.md\n", config=config)
    ran = run_early(workspace)
    assert "B1" in ran.early
    assert [(each.name, each.status) for each in ran.result.failures] == [("A1", "failed"), ("B1", "blocked")]
    assert "again: B1, which started early: " in ran.notices


@pytest.mark.rule("F2")
def test_an_early_item_that_is_stopped_has_failed(workspace: Workspace) -> None:
    write_plan(workspace, "A1\nA2\n", "B1 out/A1.md\nB2 out/A2.md\n", batch="")
    tell(workspace, "A2", "wait_for_file go\n")
    tell(workspace, "B1", "sleep 60\n")

    stops: list[asyncio.Task[None]] = []

    async def stop(session: Session, slug: ItemKey) -> None:
        await wait_until_async(lambda: bool(count_starts(workspace, "B1")), "B1 works")
        session.stop_item(slug)

    def listen(session: Session, event: Event) -> None:
        if isinstance(event, ItemStarted) and event.early:
            stops.append(asyncio.get_running_loop().create_task(stop(session, event.slug)))
        if isinstance(event, ItemFinished) and event.outcome.item.name == "B1":
            (workspace.home / "go").touch()

    ran = run_early(workspace, listen=listen)
    assert [(each.name, str(each.reason)) for each in ran.result.failures] == [("B1", "stopped by the user")]
    assert count_starts(workspace, "B1") == 1


@pytest.mark.rule("F2")
def test_an_early_item_that_ends_the_run_ends_all_of_it(workspace: Workspace) -> None:
    write_plan(workspace, "A1\nA2\n", "B1 out/A1.md\n")
    tell(workspace, "A2", "sleep 60\n")
    tell(workspace, "B1", f'git -C "{workspace.root}" config core.fsmonitor "touch /tmp/never"\n')
    with pytest.raises(TamperedError):
        run_early(workspace)
    workspace.git("config", "--unset", "core.fsmonitor")
    tell(workspace, "A2", "")
    tell(workspace, "B1", "")
    assert run_early(workspace).result.succeeded == 3


@pytest.mark.rule("F2", "O6")
def test_pauses_and_the_definition_of_done_hold(workspace: Workspace) -> None:
    """By default, nothing starts before a pause of `after-batch:2`; nor behind a group that completes the phase."""
    write_plan(
        workspace,
        "A1\nA2\n",
        "B1 out/A1.md\nB2\n",
        "C1 out/A1.md\nC2\n",
        "D1 out/C1.md\nD2\n",
        "E1 out/A1.md\n",
    )
    text = workspace.read("task.md").replace("# Plan\n", "# Plan\n\n## Definition of Done\n\n- [ ] All\n")
    workspace.write("task.md", text.replace("D2 Write it", "D2 Write it → DoD: #1"))
    workspace.commit()
    for slow, early in (("A2", "B1"), ("C2", "D1")):
        tell(workspace, slow, f"wait_for {early}\n")
    mode = CheckpointMode.parse("after-batch:2")
    ran = run_early(workspace, eager=None, checkpoint=mode)
    assert (ran.result.ending, ran.early) == (Ending.PAUSED, ["B1"])
    ran = run_early(workspace, eager=None, checkpoint=None, items=None)
    assert (ran.result.ending, ran.early) == (Ending.STOPPED, ["D1"])
    assert count_starts(workspace, "E1") == 0


@pytest.mark.rule("F2")
def test_nothing_starts_from_a_commit_that_lacks_its_signature(workspace: Workspace) -> None:
    """The key is gone when A1 is committed, and there again when B1, which reads it, could start.

    Nor does C1 start early, which is to read a file that is missing: it may be there in its turn.
    """
    workspace.write("src/notes.md", "notes\n")
    workspace.write("discovery-waves.md", "# Waves\n\n## Group 3\n\n- src/none.md\n")
    key = make_key(workspace)
    for name, value in (
        ("commit.gpgsign", "true"),
        ("gpg.format", "ssh"),
        ("user.signingkey", f"{key}.pub"),
        ("gpg.ssh.allowedSignersFile", str(workspace.home / "allowed")),
    ):
        user_setting(workspace, name, value)
    write_plan(workspace, "A1\nA2\nA3\n", "B1 out/A1.md\nB3 out/A3.md\n", "C1 src/notes.md\n")
    tell(workspace, "A1", f'mv "{key}" "{key}.away"\n')
    tell(workspace, "A2", "wait_for B3\n")
    tell(workspace, "A3", "wait_for_file go\n")
    away = key.with_name(f"{key.name}.away")
    ran = run_early(workspace, listen=when_done(workspace, "A1", lambda: away.rename(key)))
    assert (ran.early, ran.result.succeeded) == (["B3"], 6)
    assert set(workspace.git("log", "--format=%G?", "--grep", "Gitbatch-Batch").split()) == {"G"}


@pytest.mark.rule("F2")
def test_early_items_that_still_run_in_their_turn_are_awaited_and_judged(workspace: Workspace) -> None:
    """B1 is stale, as the user has changed what it read; B2 has failed, and what it read is the same; B3 is taken."""
    workspace.write("src/notes.md", "old\n")
    write_plan(
        workspace, "A1\nA2\n", "B1 out/A1.md, src/notes.md\nB2 out/A1.md\nB3 out/A1.md\nB4 out/A2.md\n"
    )
    tell(workspace, "A2", "for each in B1 B2 B3; do wait_for $each; done\n")
    for name, script in (("B1", ""), ("B2", "exit 3\n"), ("B3", "")):
        tell(workspace, name, f"wait_for_file go\n{script}")

    def listen(_: Session, event: Event) -> None:
        if isinstance(event, ItemStarted) and event.early and event.name == "B1":
            workspace.write("src/notes.md", "new\n")
            workspace.commit()
        if isinstance(event, GroupStarted) and event.group == 2:
            (workspace.home / "go").touch()

    ran = run_early(workspace, listen=listen, jobs=8)
    assert sorted(ran.early) == ["B1", "B2", "B3"]
    assert [each.name for each in ran.result.failures] == ["B2"]
    assert [count_starts(workspace, name) for name in ("B1", "B2", "B3", "B4")] == [2, 1, 1, 1]
    assert "again: B1, which started early: what it read has changed: src/notes.md" in ran.notices


@pytest.mark.rule("F2", "F4")
def test_an_interrupt_ends_early_items_too(workspace: Workspace) -> None:
    """B1 is done and B2 works when the run is interrupted: it leaves no agent, and the next run takes B1 as it is."""
    write_plan(workspace, "A1\nA2\n", "B1 out/A1.md\nB2 out/A1.md\nB3 out/A2.md\n")
    for name in ("A2.1", "B2.1"):
        tell(workspace, name, "sleep 600\n")
    process = workspace.start(
        "run", "--items", "all", "--checkpoint", "at-end", "--eager", "on", is_heard=False
    )
    try:
        wait_until(
            lambda: "out/B1.md" in outputs_of_branches(workspace) and count_starts(workspace, "B2"),
            "B1 is done",
        )
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    require_no_agents(workspace)
    assert run_early(workspace).result.succeeded == 5
    assert {name: count_starts(workspace, name) for name in ("A1", "A2", "B1", "B2", "B3")} == {
        **dict.fromkeys(("A1", "B1", "B3"), 1),
        **dict.fromkeys(("A2", "B2"), 2),
    }


@pytest.mark.rule("F2", "K1")
def test_a_run_that_ends_at_a_pause_lets_early_items_end(workspace: Workspace) -> None:
    write_plan(workspace, "A1\nA2\n", "B1 out/A1.md\nB2 out/A2.md\n")
    tell(workspace, "A2", "wait_for B1\n")
    tell(workspace, "B1", "wait_for_file go\n")

    def listen(_: Session, event: Event) -> None:
        if isinstance(event, Notice) and "must end first" in event.text:
            (workspace.home / "go").touch()

    mode = CheckpointMode.parse("after-each")
    ran = run_early(workspace, listen=listen, checkpoint=mode)
    assert (ran.result.ending, ran.early) == (Ending.PAUSED, ["B1"])
    assert "out/B1.md" in outputs_of_branches(workspace)
    assert run_early(workspace, items=None, checkpoint=None).result.succeeded == 4
    assert count_starts(workspace, "B1") == 1
