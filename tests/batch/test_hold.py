"""A run that waits at a pause: the lock is free meanwhile, and what others did counts when it continues."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from conftest import Place
from history import ticked
from reviews import APPROVE, REJECT, REVISE, decide
from sessions import session_settings

from gitbatch.batch.caller import PauseAlways
from gitbatch.batch.deciding import Choice, find_reviewable, list_review_items
from gitbatch.batch.events import CheckpointReached, Event, GroupStarted, Notice
from gitbatch.batch.hold import DecidedElsewhereError
from gitbatch.batch.loop import Ending, Result
from gitbatch.batch.model import Checkpoint, CheckpointMode
from gitbatch.batch.session import Session, open_session
from gitbatch.repo.opening import open_repository

Meanwhile = Callable[[Session], Awaitable[bool] | bool]


class Person(PauseAlways):
    """Does one thing at each pause, and then answers."""

    takes_time = True

    def __init__(self, *pauses: Meanwhile) -> None:
        self.pauses = list(pauses)
        self.session: Session
        self.seen: list[int] = []

    async def review_checkpoint(self, checkpoint: Checkpoint) -> bool:
        self.seen.append(checkpoint.number)
        answer = self.pauses.pop(0)(self.session) if self.pauses else False
        return answer if isinstance(answer, bool) else await answer

    async def review_last(self, checkpoint: Checkpoint, *, is_earlier: bool) -> bool:
        assert not is_earlier
        return await self.review_checkpoint(checkpoint)


def run_with(
    place: Place, monkeypatch: pytest.MonkeyPatch, *pauses: Meanwhile, items: str
) -> tuple[Result, list[Event], Person]:
    """Runs a batch that pauses after each group, with what happens at its pauses."""
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    events: list[Event] = []
    person = Person(*pauses)
    repo = open_repository(place.root)
    settings = session_settings(place, checkpoint=CheckpointMode.parse("after-each"), items=items)
    try:
        with open_session(repo, settings, (events.append,)) as session:
            person.session = session
            result = asyncio.run(session.run(person))
    finally:
        repo.close()
    return result, events, person


def notices(events: list[Event]) -> list[str]:
    """The texts of the notices."""
    return [event.text for event in events if isinstance(event, Notice)]


def groups(events: list[Event]) -> list[tuple[int, int]]:
    """The groups that were started, with their revisions."""
    return [(event.group, event.revision) for event in events if isinstance(event, GroupStarted)]


@pytest.mark.rule("F7")
def test_what_is_decided_elsewhere_counts_before_the_next_group(
    three: Place, monkeypatch: pytest.MonkeyPatch
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
def test_who_decides_second_is_told(three: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same item at two places: one review is recorded, the other is refused as a whole, and can be made again."""

    async def decide_late(session: Session) -> bool:
        run = session.active
        assert run
        found = await run.git(find_reviewable, run.repo)
        shown = {item.name: item for item in await run.git(list_review_items, run.repo, found)}
        items = {item.name: item for item in found.items.values()}
        decide(three, (REJECT, "T101"))
        before = three.state()
        both = tuple(Choice(APPROVE, items[name], shown[name].blob) for name in ("T102", "T101"))
        told = r"T101 cannot be approved: it is rejected \(decided elsewhere: T101 rejected by Test User"
        with pytest.raises(DecidedElsewhereError, match=told):
            await session.decide(both)
        assert three.state() == before
        await session.decide(both[:1])
        return False

    result, events, _ = run_with(three, monkeypatch, decide_late, items="T101,T102,T301")
    assert result.ending is Ending.PAUSED
    assert [text for text in notices(events) if "decided" in text] == []
    assert sum(isinstance(event, CheckpointReached) for event in events) == 1
    assert len(three.git("log", "--format=%h", "--grep", "^gitbatch: review").split()) == 2
