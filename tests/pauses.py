"""A person at the pauses of a run in the test's own process, who does something at each and then answers."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from conftest import Workspace
from sessions import session_settings

from gitbatch.batch.caller import PauseAlways
from gitbatch.batch.ending import Result
from gitbatch.batch.events import Event, GroupStarted, Listener, Notice
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.model import Checkpoint, CheckpointMode
from gitbatch.batch.session import Session, open_session
from gitbatch.repo.opening import open_repository

NO_LIMITS = SpendingLimits()
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

    async def review_last(self, checkpoint: Checkpoint, *, is_earlier: bool) -> bool:  # noqa: ARG002 - the protocol's
        return await self.review_checkpoint(checkpoint)


def run_with(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    *pauses: Meanwhile,
    items: str | None,
    listener: Listener = lambda _: None,
    limits: SpendingLimits = NO_LIMITS,
) -> tuple[Result, list[Event], Person]:
    """Runs a batch that pauses after each group, or resumes it if `items` is None, with what happens at its pauses."""
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    events: list[Event] = []
    person = Person(*pauses)
    repo = open_repository(workspace.root)
    mode = CheckpointMode.parse("after-each") if items else None
    settings = session_settings(workspace, checkpoint=mode, items=items, limits=limits)
    try:
        with open_session(repo, settings, (events.append, listener)) as session:
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
