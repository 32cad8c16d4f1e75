"""Calling the user when a run waits or has ended: the terminal rings, and notifications are sent."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_config_path

from gitbatch.batch.events import BatchPaused, BatchStarted, EndEvent, Event
from gitbatch.batch.model import Checkpoint
from gitbatch.batch.review.reviewing import Reviewer
from gitbatch.batch.session import Session
from gitbatch.cli.verbosity import is_quiet
from gitbatch.cli.views import EventView
from gitbatch.notify.notification import Notification, describe_end, describe_review
from gitbatch.notify.sending import Sending
from gitbatch.notify.settings import VARIABLE, NotifySettings, read_notify_settings
from gitbatch.view.jsonlines import JsonLines

if TYPE_CHECKING:
    from gitbatch.view.signals import TerminalSignals


def user_config() -> Path:
    """Returns the path of the user's own configuration."""
    return user_config_path("gitbatch") / "config.toml"


def require_user_config() -> None:
    """Refuses an invalid configuration of the user's.

    Raises:
        UsageError: it is, or the variable for notifications.
    """
    read_notify_settings(user_config(), os.environ.get(VARIABLE))


def make_notifier(view: EventView, repository: Path) -> "UserNotifier":
    """Returns what calls the user, as the user's configuration says. Only a terminal that shows a run rings.

    Raises:
        UsageError: that configuration is invalid.
    """
    settings = read_notify_settings(user_config(), os.environ.get(VARIABLE))
    if not sys.stdout.isatty() or is_quiet() or isinstance(view, JsonLines):
        return UserNotifier(settings, repository.name)
    from gitbatch.view.signals import TerminalSignals, find_abilities  # rich is imported for terminals only
    from gitbatch.view.terminal import Terminal

    signals = TerminalSignals(Terminal(), find_abilities(os.environ), rings=settings.bell)
    return UserNotifier(settings, repository.name, signals)


class UserNotifier:
    """Calls the user at each review that waits, and at the end of a run that has begun."""

    def __init__(
        self, settings: NotifySettings, repository: str, signals: "TerminalSignals | None" = None
    ) -> None:
        self._settings = settings
        self._repository = repository
        self._signals = signals
        self._has_begun = False
        self._is_there = False
        """Whether the user has just answered a question."""
        self._sent: list[Sending] = []

    def __call__(self, event: Event) -> None:
        """Follows an event."""
        if self._signals:
            self._signals(event)
        self._has_begun |= isinstance(event, BatchStarted)
        if not isinstance(event, EndEvent):
            self._is_there = False
        elif self._has_begun and not (self._is_there and isinstance(event, BatchPaused)):
            message = describe_end(event, self._repository, summaries=self._settings.summaries)
            self._send(message, rings=not self._is_there)

    def call_to_review(self, checkpoint: Checkpoint) -> None:
        """Calls the user to a review that waits."""
        message = describe_review(checkpoint, self._repository, summaries=self._settings.summaries)
        self._send(message, rings=True)

    def call_to_answer(self, text: str) -> None:
        """Rings for a question that is not a review."""
        if self._signals:
            self._signals.call_user(f"{self._repository}: {text}")

    def note_answer(self) -> None:
        """Notes that the user has just answered a question."""
        self._is_there = True

    def report_problems(self, session: Session) -> None:
        """Waits for the receivers; a failure is a notice."""
        sent, self._sent = self._sent, []
        for text in (problem for sending in sent for problem in sending.collect_problems()):
            session.notify(text)

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self._signals:
            self._signals.close()

    def _send(self, message: Notification, *, rings: bool) -> None:
        if self._signals and rings:
            self._signals.call_user(message.text)
        self._sent.append(Sending(self._settings, message, os.environ))


class NotifyingReviewer:
    """A reviewer that calls the user before each question about a checkpoint."""

    def __init__(self, reviewer: Reviewer, notifier: UserNotifier) -> None:
        self._reviewer = reviewer
        self._notifier = notifier

    @property
    def takes_time(self) -> bool:
        """Returns true if a person answers."""
        return self._reviewer.takes_time

    async def review_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Asks whether to continue after a checkpoint."""
        self._notifier.call_to_review(checkpoint)
        answer = await self._reviewer.review_checkpoint(checkpoint)
        self._notifier.note_answer()
        return answer

    async def review_last(self, checkpoint: Checkpoint, *, is_earlier: bool) -> bool:
        """Asks whether the batch ends after its last checkpoint."""
        self._notifier.call_to_review(checkpoint)
        answer = await self._reviewer.review_last(checkpoint, is_earlier=is_earlier)
        self._notifier.note_answer()
        return answer

    async def accept_config(self) -> bool:
        """Asks whether to run with a changed configuration."""
        self._notifier.call_to_answer("gitbatch.toml has changed: the run waits for an answer")
        return await self._reviewer.accept_config()
