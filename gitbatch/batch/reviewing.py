"""Reviews of checkpoints: who decides, and which checkpoints wait for a review (rules K1 to K3)."""

from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace

from gitbatch.batch.model import Checkpoint, CheckpointMode, PauseMode


class Reviewer(Protocol):
    """Decides at the pauses of a running batch."""

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


@dataclass(slots=True)
class Reviews:
    """The reviews of a run. A review covers every group since the one before, also those of earlier starts of the batch."""

    reviewer: Reviewer
    mode: CheckpointMode
    waiting: Checkpoint | None = None
    """The last checkpoint, with the outcomes of all groups that were not reviewed yet, and the commit before them."""
    is_earlier: bool = field(init=False)
    """Whether earlier starts of the batch recorded all of these groups."""

    def __post_init__(self) -> None:
        self.is_earlier = self.waiting is not None

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Adds a checkpoint to what the next review covers."""
        if self.waiting:
            outcomes = (*self.waiting.outcomes, *checkpoint.outcomes)
            gates = (*self.waiting.gates, *checkpoint.gates)
            checkpoint = replace(checkpoint, before=self.waiting.before, outcomes=outcomes, gates=gates)
        self.waiting, self.is_earlier = checkpoint, False

    async def pause_after(self, checkpoint: Checkpoint) -> bool:
        """Asks for a review if the mode has a pause after a checkpoint. Returns true if the batch continues.

        What a person sent back is shown to them again, whatever the interval of the mode.
        """
        is_revision = checkpoint.group.revision > 0 and self.mode.pause is not PauseMode.AT_END
        if not self.mode.pauses_after(checkpoint.number) and not is_revision:
            return True
        waiting, self.waiting = self.waiting, None
        return await self.reviewer.review_checkpoint(waiting or checkpoint)

    async def pause_at_end(self) -> bool:
        """Asks for a review of the last checkpoint, in every mode. Returns true if the batch ends."""
        waiting, self.waiting = self.waiting, None
        return waiting is None or await self.reviewer.review_last(waiting, is_earlier=self.is_earlier)
