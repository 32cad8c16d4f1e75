"""The person at the terminal as a session's caller: warnings are shown, questions are asked as prompts.

questionary is imported when the first question is asked.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from gitbatch.batch.events import CheckpointReached
from gitbatch.batch.model import Checkpoint, CheckpointMode
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.batch.session import Session
from gitbatch.cli.common import HERE, tell_waiting
from gitbatch.cli.plan_warnings import tell_warnings
from gitbatch.cli.views import EventView, ProgressKind
from gitbatch.plan.model import Plan


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


class Prompts(Protocol):
    """Asks the user during a run."""

    @property
    def can_ask(self) -> bool:
        """Whether the user can answer a question."""
        ...

    async def hold_review(self, session: Session, consent: str) -> bool:
        """Holds a review; returns true if the run continues."""
        ...


class PromptFrontend:
    """Asks for what the options leave out (rule O7)."""

    def __init__(
        self,
        *,
        can_ask: bool,
        progress: ProgressKind = ProgressKind.AUTO,
        inherited: Mapping[str, str] | None = None,
        directory: Path = HERE,
    ) -> None:
        """Prepares the questions.

        Args:
            can_ask: whether the user can answer one.
            progress: what is shown while items run: with `plain`, a review is asked in lines.
            inherited: the GIT_* variables that the process was started with.
            directory: the folder that the user named.
        """
        self.can_ask = can_ask
        self._progress = progress
        self._inherited = inherited or {}
        self._directory = directory

    async def hold_review(self, session: Session, consent: str) -> bool:
        """Holds a review at a pause of a run; returns true if it continues. What was decided is recorded, and reported."""
        from gitbatch.batch.review.rerun import require_continuing
        from gitbatch.cli.review_desk import ReviewDesk
        from gitbatch.cli.reviewing import choose_form, describe_recorded, hold_review

        assert session.hold  # noqa: S101 - a run asks
        asked = (session.hold.unlocked, self._inherited, self._directory)
        desk = ReviewDesk(*asked, session.decide, require_continuing)
        held = await hold_review(desk, consent, choose_form(self._progress))
        for text in describe_recorded(held):
            session.notify(text)
        return held.continues

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
        self, session: Session, view: EventView, signals: Listening, keys: Keys, prompts: Prompts
    ) -> None:
        self._session = session
        self._view = view
        self._listen = signals.listen
        self._keys = keys
        self._prompts = prompts

    @property
    def takes_time(self) -> bool:
        """Returns true if a person answers."""
        return self._prompts.can_ask

    @contextmanager
    def _free_terminal(self) -> Iterator[None]:
        """Leaves the terminal to a prompt: nothing else draws or reads keys meanwhile."""
        self._keys.stop()
        self._view.close()
        try:
            with self._session.hold_events():
                yield
        finally:
            self._listen()
            self._keys.start()

    async def review_checkpoint(self, checkpoint: Checkpoint) -> bool:  # noqa: ARG002 - the review reads all from git
        """Asks for decisions, and whether to continue after a checkpoint."""
        return self._prompts.can_ask and await self._hold_review("continue with the next group")

    async def review_last(self, checkpoint: Checkpoint, *, is_earlier: bool) -> bool:
        """Asks for decisions, and whether the batch ends after its last checkpoint. Without a terminal, it does.

        What an earlier start has shown of the checkpoint is shown again: gates and missing inputs are not in the review.
        """
        if is_earlier and self._prompts.can_ask:
            self._view(CheckpointReached(batch=checkpoint.batch, checkpoint=checkpoint))
        return not self._prompts.can_ask or await self._hold_review("end the batch")

    async def _hold_review(self, consent: str) -> bool:
        with self._free_terminal():
            return await self._prompts.hold_review(self._session, consent)

    async def accept_config(self) -> bool:
        """Asks whether to run with a changed configuration. `--accept-config` covers only the start of a run."""
        if not self._prompts.can_ask:
            return False
        from gitbatch.cli.questions import ask_to_accept_now

        with self._free_terminal():
            return await ask_to_accept_now()
