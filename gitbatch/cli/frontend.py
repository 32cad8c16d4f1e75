"""The person at the terminal as a session's caller: warnings are shown, questions are asked as prompts.

questionary is imported when the first question is asked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gitbatch.batch.model import Checkpoint, CheckpointMode
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.batch.session import Session
from gitbatch.cli.common import tell_waiting
from gitbatch.cli.plan_warnings import tell_warnings
from gitbatch.plan.model import Plan

if TYPE_CHECKING:
    from gitbatch.cli.views import EventView


class Listening(Protocol):
    """Handles signals; a prompt takes its handlers away."""

    def listen(self) -> None:
        """Sets the handlers."""
        ...


class Keys(Protocol):
    """Reads keys from the terminal; a prompt reads them itself."""

    def start(self) -> None:
        """Reads keys from now on."""
        ...

    def stop(self) -> None:
        """Reads no key any more."""
        ...


class PromptFrontend:
    """Asks for what the options leave out (rule O7)."""

    def __init__(self, *, can_ask: bool) -> None:
        self.can_ask = can_ask

    def report_waiting(self, text: str) -> None:
        """Shows what the command waits for."""
        tell_waiting(text)

    def report_warnings(self, state: ProjectState) -> None:
        """Shows the plan's warnings."""
        tell_warnings(state)

    def choose_items(self, plan: Plan) -> str:
        """Asks which items to run."""
        from gitbatch.cli.questions import ask_items

        return ask_items(plan)

    def choose_mode(self, groups: int) -> CheckpointMode:
        """Asks when to pause."""
        from gitbatch.cli.questions import ask_mode

        return ask_mode(groups)

    def accept_config(self) -> bool:
        """Asks whether to run with a changed configuration."""
        from gitbatch.cli.questions import ask_to_accept

        return ask_to_accept()


class PromptReviewer:
    """Asks at the pauses of a run. The view leaves the screen first; the signal handlers are set again afterwards."""

    def __init__(
        self, session: Session, view: "EventView", signals: Listening, keys: Keys, *, can_ask: bool
    ) -> None:
        self._session = session
        self._view = view
        self._listen = signals.listen
        self._keys = keys
        self._can_ask = can_ask

    @property
    def takes_time(self) -> bool:
        """Whether a person answers."""
        return self._can_ask

    @contextmanager
    def _free_terminal(self) -> Iterator[None]:
        """Leaves the terminal to a prompt: nothing else draws or reads keys meanwhile."""
        self._keys.stop()
        self._view.close()
        try:
            yield
        finally:
            self._listen()
            self._keys.start()

    async def review_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Asks whether to continue after a checkpoint, and shows its diff on request."""
        if not self._can_ask:
            return False
        from gitbatch.cli.questions import ask_to_continue

        with self._free_terminal():
            return await ask_to_continue(checkpoint, partial(self._session.show_diff, checkpoint))

    async def review_last(self, checkpoint: Checkpoint, *, is_earlier: bool) -> bool:
        """Asks whether the batch ends after its last checkpoint. Without a terminal, it does."""
        if not self._can_ask:
            return True
        from gitbatch.cli.questions import ask_to_end

        with self._free_terminal():
            show_diff = partial(self._session.show_diff, checkpoint)
            return await ask_to_end(checkpoint, show_diff, is_shown=not is_earlier)

    async def accept_config(self) -> bool:
        """Asks whether to run with a changed configuration. `--accept-config` covers only the start of a run."""
        if not self._can_ask:
            return False
        from gitbatch.cli.questions import ask_to_accept_now

        with self._free_terminal():
            return await ask_to_accept_now()
