"""The counts of a running batch: what succeeded, and what failed and why, over all of its starts."""

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.batch.events import CheckTime, EndEvent
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.rescue import Rescued
from gitbatch.batch.item.run import Run
from gitbatch.batch.model import Checkpoint, FailedItem, Outcome
from gitbatch.plan.model import ItemKey


class Tally(Struct):
    """The counts of the batch's groups so far."""

    succeeded: int
    failed: tuple[Outcome, ...]
    """The outcomes of items that did not succeed, or that a person took back: what reads them is blocked."""
    failures: tuple[FailedItem, ...]
    """Those that did not succeed, as the end of the run reports them."""
    began: float
    """Seconds since the epoch."""
    check_time: CheckTime = field(default_factory=CheckTime)

    @classmethod
    def of_progress(cls, state: BatchProgress, began: float) -> "Tally":
        """Returns the counts of the groups that earlier starts of the batch have finished."""
        failures = tuple(
            _as_failed(outcome, finished.commit, state.rescued)
            for finished in state.finished
            for outcome in finished.failed
            if outcome.status.is_failure
        )
        return cls(state.succeeded, state.failed, failures, began)

    def replace_counts(self, other: "Tally") -> None:
        """Takes the counts of another tally: a review has changed what has failed."""
        self.succeeded, self.failed, self.failures = other.succeeded, other.failed, other.failures

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Adds a group that is recorded."""
        self.succeeded += len(checkpoint.outcomes) - len(checkpoint.failures)
        self.failed += checkpoint.failures
        self.failures += tuple(_as_failed(o, checkpoint.commit, {}) for o in checkpoint.failures)

        for outcome in checkpoint.outcomes:
            self.check_time = self.check_time.add_outcome(outcome)

    def complete_end(self, run: Run, event: EndEvent) -> EndEvent:
        """Returns the end of a run with what is left for the user to look at."""
        seconds = round(max(0.0, run.clock() - self.began), 1)
        return replace(
            event,
            failures=self.failures,
            seconds=seconds,
            spent=run.agents.budget.spent,
            check_time=self.check_time,
        )


def _as_failed(outcome: Outcome, commit: str, rescued: Mapping[ItemKey, Rescued]) -> FailedItem:
    item = outcome.item
    kept = outcome.rescued or (rescued[item.key].ref if item.key in rescued else "")
    return FailedItem(item.group, item.output, item.name, outcome.status, outcome.reason, commit, kept)
