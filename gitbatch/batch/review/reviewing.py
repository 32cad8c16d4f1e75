"""Reviews of checkpoints: who decides, and which checkpoints wait for a review (rules K1 to K3)."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from gitbatch.batch.model import Checkpoint, CheckpointMode, PauseMode
from gitbatch.batch.planning.configuration import ConfigChange

if TYPE_CHECKING:  # most runs start no item before its group
    from gitbatch.batch.group.early_pool import EarlyPool


class Reviewer(Protocol):
    """Decides at the pauses of a running batch."""

    @property
    def takes_time(self) -> bool:
        """Returns true if a person answers: the lock of the repository is given back while they are asked."""
        ...

    async def review_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Returns true if the batch continues with its next group."""
        ...

    async def review_last(self, checkpoint: Checkpoint, *, is_earlier: bool) -> bool:
        """Returns true if the batch ends after its last checkpoint; false: it stays as it is until the next run.

        `is_earlier`: an earlier start recorded the checkpoint, so no event of this one has shown it.
        """
        ...

    async def accept_config(self) -> bool:
        """Returns true if the batch may run with the changed configuration that the last event showed."""
        ...


class Answer(StrEnum):
    """How a run continues at a pause."""

    CONTINUE = "continue"
    READ_AGAIN = "read-again"
    """It continues, with a state that is read again: the lock was given back while the person was asked."""
    READ_STATE = "read-state"
    """It continues, with the decisions of the person, who was asked while early items ran and the lock was kept."""
    STOP = "stop"


@dataclass(slots=True, eq=False, repr=False)
class Reviews:
    """The reviews of a run. A review covers every group since the one before, also those of earlier starts of the batch."""

    reviewer: Reviewer
    mode: CheckpointMode
    waiting: Checkpoint | None = None
    """The last checkpoint, with the outcomes of all groups that were not reviewed yet, and the commit before them."""
    accepted: ConfigChange | None = None
    """The change of the configuration that was accepted last."""
    is_earlier: bool = field(init=False)
    """Whether earlier starts of the batch recorded all of these groups."""
    recorded: set[str] = field(default_factory=set)
    """The checkpoints that are in history."""
    reviewed: frozenset[str] = frozenset()
    """Those of them that were shown to the reviewer."""
    pool: "EarlyPool | None" = None
    """The items that have started before their group; None: none may."""

    def __post_init__(self) -> None:
        self.is_earlier = self.waiting is not None

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Adds a checkpoint to what the next review covers."""
        self.recorded.add(checkpoint.commit)
        if self.waiting:
            outcomes = (*self.waiting.outcomes, *checkpoint.outcomes)
            gates = (*self.waiting.gates, *checkpoint.gates)
            checkpoint = replace(checkpoint, before=self.waiting.before, outcomes=outcomes, gates=gates)
        self.waiting, self.is_earlier = checkpoint, False

    async def pause_after(self, checkpoint: Checkpoint) -> Answer:
        """Asks for a review if the mode has a pause after a checkpoint.

        What a person sent back is shown to them again, whatever the interval of the mode.
        """
        is_revision = checkpoint.group.revision > 0 and self.mode.pause is not PauseMode.AT_END
        if not self.mode.pauses_after(checkpoint.number) and not is_revision:
            return Answer.CONTINUE
        waiting, self.waiting, self.reviewed = self.waiting, None, frozenset(self.recorded)
        keeps_lock = self.pool is not None and self.pool.suspend_items()
        return await self._wait_for(
            self.reviewer.review_checkpoint(waiting or checkpoint), keeps_lock=keeps_lock
        )

    async def pause_at_end(self) -> Answer:
        """Asks for a review of the last checkpoint, in every mode. The batch ends if the run continues."""
        waiting, self.waiting = self.waiting, None
        if waiting is None:
            return Answer.CONTINUE
        self.reviewed = frozenset(self.recorded)
        await self.finish_early()
        return await self._wait_for(self.reviewer.review_last(waiting, is_earlier=self.is_earlier))

    async def accept_config(self, change: ConfigChange) -> Answer:
        """Asks whether the run continues with a changed configuration."""
        self.accepted = change
        await self.finish_early()
        return await self._wait_for(self.reviewer.accept_config())

    async def finish_early(self) -> None:
        """Waits for the items that have started before their group: the run is about to end."""
        if self.pool:
            await self.pool.finish_items()

    async def _wait_for(self, consent: Awaitable[bool], *, keeps_lock: bool = False) -> Answer:
        if not await consent:
            return Answer.STOP
        if not self.reviewer.takes_time:
            return Answer.CONTINUE
        return Answer.READ_STATE if keeps_lock else Answer.READ_AGAIN
