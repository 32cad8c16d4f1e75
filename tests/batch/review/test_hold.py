"""A run that waits at a pause: the lock is free meanwhile, and what others did counts when it continues."""

import os
import re
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from conftest import Workspace
from history import ticked
from pauses import Meanwhile, Person, groups, notices, run_with
from reviews import APPROVE, REJECT, REVISE, decide

from gitbatch.batch.ending import Ending
from gitbatch.batch.events import (
    BatchPaused,
    CheckpointReached,
    ConfigChanged,
    Event,
    GroupStarted,
)
from gitbatch.batch.history.ledger import SpendingLimits, read_ledger
from gitbatch.batch.review.choices import Choice
from gitbatch.batch.review.elsewhere import read_elsewhere
from gitbatch.batch.review.hold import DecidedElsewhereError
from gitbatch.batch.review.rerun import require_continuing
from gitbatch.batch.review.reviewable import find_reviewable, list_review_items
from gitbatch.batch.session import Session
from gitbatch.errors import BusyError, GitbatchError
from gitbatch.repo.holder import read_waiting
from gitbatch.repo.lock import repository_lock
from gitbatch.repo.refs.store import config_ref


@pytest.mark.rule("F7")
def test_what_is_decided_elsewhere_counts_before_the_next_group(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said by whom; the user's own commit is kept; the run ends as one without a pause does."""

    def decide_elsewhere(_: Session) -> bool:
        decide(three, (REVISE, "T101"), (REJECT, "T102"), comment="Say more.")
        three.write("notes.md", "mine\n")
        three.git("add", "notes.md")
        three.git("commit", "-q", "-m", "Mine")
        return True

    def agree(_: Session) -> bool:
        return True

    result, events, person = run_with(
        three, monkeypatch, decide_elsewhere, agree, agree, items="T101,T102,T301"
    )
    assert (result.ending, person.seen) == (Ending.COMPLETE, [1, 1, 2])
    assert groups(events) == [(1, 0), (1, 1), (3, 0)]
    said = [text for text in notices(events) if text.startswith("decided elsewhere: ")]
    review = three.git("log", "-1", "--format=%h", "--abbrev=10", "--grep", "^gitbatch: review").strip()
    assert said == [
        f"decided elsewhere: T101 sent back by Test User ({review}): Say more.",
        f"decided elsewhere: T102 rejected by Test User ({review}): Say more.",
    ]
    assert "T102" not in ticked(three)
    assert three.read("notes.md") == "mine\n"


@pytest.mark.rule("F7")
def test_who_decides_second_is_told(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same item at two places: one review is recorded, the other is refused as a whole, and can be made again."""

    async def decide_late(session: Session) -> bool:
        run = session.active
        assert run
        found = await run.git(find_reviewable, run.repo)
        shown = {item.name: item for item in await run.git(list_review_items, run.repo, found)}
        items = {item.name: item for item in found.items.values()}
        assert len(read_elsewhere(run.repo, run.batch, "", frozenset()).checkpoints) == 1
        decide(three, (REJECT, "T101"))
        before = three.state()
        both = tuple(Choice(APPROVE, items[name], shown[name].blob) for name in ("T102", "T101"))
        told = r"T101 cannot be approved: it is rejected \(decided elsewhere: T101 rejected by Test User"
        with pytest.raises(DecidedElsewhereError, match=told):
            await session.decide(both)
        assert three.state() == before
        three.write("status.md", "mine\n")
        with pytest.raises(GitbatchError, match=r"uncommitted changes in status\.md"):
            await session.decide(both[:1], require_continuing)
        three.git("checkout", "-q", "status.md")
        assert three.state() == before
        await session.decide(both[:1], require_continuing)
        return True

    result, events, _ = run_with(three, monkeypatch, decide_late, items="T101,T102,T301")
    assert result.ending is Ending.PAUSED
    told = [text for text in notices(events) if "decided" in text]
    assert [text.partition(" (")[0] for text in told] == ["decided elsewhere: T101 rejected by Test User"]
    assert sum(isinstance(event, CheckpointReached) for event in events) == 2
    assert len(three.git("log", "--format=%h", "--grep", "^gitbatch: review").split()) == 2


def holders(workspace: Workspace) -> set[int]:
    """The processes that have one of the repository's locks open, whether they took it or inherited it."""
    locks = {(workspace.root / ".git/gitbatch" / name).resolve() for name in ("lock", "children")}
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if link.readlink() in locks:
                found.add(int(link.parts[2]))
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
@pytest.mark.copied("what an agent leaves running in an overlay is ended with it")
def test_nothing_keeps_the_lock_at_a_pause(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a git process that stays open, and not a process that an agent has left; the run takes the lock again."""
    three.edit(
        "tools/agent.sh", "set -", "setsid sleep 60 </dev/null >/dev/null 2>&1 & echo $! >$HOME/left\nset -"
    )
    three.commit("An agent that leaves a process")
    seen: list[set[int]] = []

    async def look(session: Session) -> bool:
        run = session.active
        assert run
        await run.git(find_reviewable, run.repo)
        os.kill(int((three.home / "left").read_text()), 0)
        seen.append(holders(three))
        return True

    def look_while_it_runs(event: Event) -> None:
        if isinstance(event, GroupStarted):
            seen.append(holders(three))

    try:
        run_with(three, monkeypatch, look, items="T101,T301", listener=look_while_it_runs)
    finally:
        subprocess.run(["kill", (three.home / "left").read_text().strip()], check=False)
    assert os.getpid() in seen[0]
    assert seen[1] == set()
    assert os.getpid() in seen[2]


def test_another_run_ends_the_batch_meanwhile(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_elsewhere(_: Session) -> bool:
        three.gitbatch("run", code=0)
        return True

    result, events, _ = run_with(three, monkeypatch, run_elsewhere, items="T101,T301")
    assert (result.ending, result.succeeded, result.has_ended) == (Ending.COMPLETE, 2, True)
    assert notices(events)[-1].endswith(" was ended elsewhere while this run waited")
    assert groups(events) == [(1, 0)]


def test_another_run_continues_the_batch_meanwhile(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_elsewhere(_: Session) -> bool:
        three.gitbatch("run", code=3)
        return True

    result, events, person = run_with(three, monkeypatch, run_elsewhere, items="T101,T102,T201,T301")
    assert (result.ending, result.has_ended, person.seen) == (Ending.PAUSED, False, [1])
    assert notices(events)[-1].startswith("another run has continued the batch meanwhile (")
    assert groups(events) == [(1, 0)]


def end_it(workspace: Workspace) -> None:
    workspace.gitbatch("abort", "--yes", code=0)


def rewrite_history(workspace: Workspace) -> None:
    workspace.git("reset", "-q", "--hard", "HEAD~2")


def test_stopping_needs_no_lock(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process holds is not waited for; decisions cannot be recorded then, and nothing has changed."""

    async def stop_while_another_works(session: Session) -> bool:
        assert session.hold
        session.hold.patience = 0.0
        other.enter_context(repository_lock(session.hold.unlocked, print, "gc"))
        before = three.git("for-each-ref")
        found = find_reviewable(session.hold.unlocked)
        with pytest.raises(BusyError):
            await session.decide((Choice(APPROVE, next(iter(found.items.values()))),))
        assert three.git("for-each-ref") == before
        return False

    with ExitStack() as other:
        result, events, _ = run_with(three, monkeypatch, stop_while_another_works, items="T101,T301")
    assert result.ending is Ending.PAUSED
    assert isinstance(events[-1], BatchPaused)
    (log,) = three.root.glob(".git/gitbatch/*/events.jsonl")
    assert "batch-paused" not in log.read_text(encoding="utf-8"), "the log belongs to who holds the lock"
    assert read_waiting(three.root / ".git/gitbatch") == ()


def test_the_rest_of_the_batch_is_changed_elsewhere(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a run that refuses to start afterwards: what it has changed is said, and counts; so does its limit."""
    three.edit("gitbatch.toml", 'timeout = "1m"\n', 'timeout = "1m"\nreports-usage = true\n')
    used = r"{\"usage\": {\"input\": 1, \"output\": 1, \"requests\": 1}, \"summary\""
    three.edit("tools/agent.sh", r"{\"summary\"", used)
    three.commit()
    limits: list[SpendingLimits] = []

    def change_rest(_: Session) -> bool:
        three.write("out/words/one.md", "mine\n")
        rest = ("--continue", "--checkpoint", "at-end", "--max-tokens", "700")
        three.gitbatch("run", *rest, code=1)
        (three.root / "out/words/one.md").unlink()
        return True

    def look_at_limits(session: Session) -> bool:
        assert session.active
        limits.append(read_ledger(session.active.repo, session.active.batch.id).limits)
        return True

    items, given = "T101,T102,T201,T301", SpendingLimits(max_tokens=300)
    result, events, person = run_with(
        three, monkeypatch, change_rest, look_at_limits, items=items, limits=given
    )
    assert limits == [SpendingLimits(max_tokens=700)], "the younger ones"
    assert (result.ending, person.seen) == (Ending.COMPLETE, [1, 3])
    assert "changed elsewhere: for the rest, mode at-end and agent scripted" in notices(events)


def test_a_changed_configuration_is_asked_about_without_the_lock(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is for the change that was shown, whatever a ref says; what was decided meanwhile counts."""

    def change_program(session: Session) -> bool:
        assert session.active
        three.edit("gitbatch.toml", 'command = ["', 'command = ["env", "')
        three.commit("Another program")
        three.git("update-ref", config_ref(session.active.batch.id), "main:gitbatch.toml")
        return True

    asked: list[bool] = []

    async def decide_meanwhile(_: Person) -> bool:
        asked.append(not holders(three))
        if len(asked) == 1:
            decide(three, (REVISE, "T101"), comment="More.")
        return True

    monkeypatch.setattr(Person, "accept_config", decide_meanwhile)
    agree: Meanwhile = lambda _: True  # noqa: E731 - one word
    result, events, person = run_with(three, monkeypatch, change_program, agree, agree, items="T101,T301")
    assert (result.ending, person.seen, asked) == (Ending.COMPLETE, [1, 1, 2], [True])
    assert groups(events) == [(1, 0), (1, 1), (3, 0)]
    assert sum(isinstance(event, ConfigChanged) for event in events) == 1
    assert notices(events)[-1].startswith("decided elsewhere: T101 sent back")


@pytest.mark.rule("F7")
def test_a_forged_decision_is_none(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit with the trailers of a review that changes more than it decides: nothing runs by it, and it is named."""

    def forge(_: Session) -> bool:
        decide(three, (REVISE, "T101"), comment="More.")
        three.write("stray.md", "mine\n")
        three.git("add", "stray.md")
        three.git("commit", "-q", "--amend", "--no-edit")
        return True

    events: list[Event] = []
    said = (
        r"\w{12} on main is not a review as gitbatch records it: changes stray.md, which it does not decide"
    )
    with pytest.raises(GitbatchError, match=said):
        run_with(three, monkeypatch, forge, items="T101,T301", listener=events.append)
    assert groups(events) == [(1, 0)]
    assert notices(events) == []
    assert re.search(said, three.gitbatch("run", code=1).stderr)
    assert re.search(said, three.gitbatch("review", "T101", "--approve", code=1).stderr)
    three.git("reset", "-q", "--hard", "HEAD~1")
    three.gitbatch("run", code=0)


@pytest.mark.parametrize(
    ("meanwhile", "said"),
    [
        (end_it, r"batch \S+ was ended elsewhere while this run waited"),
        (rewrite_history, r"branch main does not have \w{12} any more, where this run waited"),
    ],
)
def test_what_happened_meanwhile_ends_the_run(
    three: Workspace, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[Workspace], None], said: str
) -> None:
    """It says why; the other item was not started, and the history is as it was left."""
    kept: list[str] = []

    def leave(_: Session) -> bool:
        meanwhile(three)
        kept.append(three.git("for-each-ref", "refs/heads", "refs/gitbatch"))
        return True

    with pytest.raises(GitbatchError, match=said):
        run_with(three, monkeypatch, leave, items="T101,T301")
    assert kept == [three.git("for-each-ref", "refs/heads", "refs/gitbatch")]


def test_a_lock_that_is_kept_elsewhere(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for with words; then the run ends with exit code 75, and its own end is another's to record."""

    async def keep_lock(session: Session) -> bool:
        assert session.hold
        session.hold.patience = 0.2
        other.enter_context(repository_lock(session.hold.unlocked, print, "gc"))
        return True

    with ExitStack() as other:
        said: list[str] = []

        def note(event: Event) -> None:
            said.extend(notices([event]))

        with pytest.raises(BusyError):
            run_with(three, monkeypatch, keep_lock, items="T101,T301", listener=note)
    assert len(said) == 1
    assert re.fullmatch(r"another gitbatch is running in .*: waiting for it", said[0])
    three.gitbatch("run", code=0)
