"""Which checkpoints are reviewed: by the mode, and the last one always."""

import asyncio

import pytest
from msgspec.structs import replace
from view.events import CHECKPOINT

from gitbatch.batch.model import Checkpoint, CheckpointMode
from gitbatch.batch.reviewing import Reviews


class Recorder:
    """A reviewer that writes down what it is asked about, and consents."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, str, int]] = []

    async def review_checkpoint(self, checkpoint: Checkpoint) -> bool:
        self.asked.append(("pause", checkpoint.number, checkpoint.before, len(checkpoint.outcomes)))
        return True

    async def review_last(self, checkpoint: Checkpoint) -> bool:
        self.asked.append(("last", checkpoint.number, checkpoint.before, len(checkpoint.outcomes)))
        return False

    async def accept_config(self) -> bool:
        raise AssertionError


@pytest.mark.rule("K1", "K2", "K3")
@pytest.mark.parametrize(
    ("mode", "asked"),
    [
        ("after-each", [("pause", 1, "c0", 1), ("pause", 2, "c1", 1), ("last", 3, "c2", 1)]),
        ("after-batch:2", [("pause", 2, "c0", 2), ("last", 3, "c2", 1)]),
        ("at-end", [("last", 3, "c0", 3)]),
    ],
)
def test_a_review_covers_everything_since_the_last_one(
    mode: str, asked: list[tuple[str, int, str, int]]
) -> None:
    recorder = Recorder()
    reviews = Reviews(recorder, CheckpointMode.parse(mode))
    for number in (1, 2, 3):
        outcomes = CHECKPOINT.outcomes[:1]
        checkpoint = replace(CHECKPOINT, number=number, before=f"c{number - 1}", outcomes=outcomes)
        reviews.add_checkpoint(checkpoint)
        assert number == 3 or asyncio.run(reviews.pause_after(checkpoint))
    assert not asyncio.run(reviews.pause_at_end())
    assert recorder.asked == asked
    assert asyncio.run(reviews.pause_at_end()), "nothing is left to review"
