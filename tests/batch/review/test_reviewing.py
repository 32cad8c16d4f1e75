"""Which checkpoints are reviewed: by the mode, and the last one always."""

import asyncio

import pytest
from conftest import Workspace
from msgspec.structs import replace
from sessions import run_here
from view.events import CHECKPOINT

from gitbatch.batch.history.progress import read_progress
from gitbatch.batch.history.record import all_batches
from gitbatch.batch.model import Checkpoint, CheckpointMode
from gitbatch.batch.resume import read_unreviewed
from gitbatch.batch.review.reviewing import Answer, Reviews
from gitbatch.batch.verdicts import GateState, GateVerdict
from gitbatch.repo.opening import open_repository


class Recorder:
    """A reviewer that writes down what it is asked about, and consents."""

    takes_time = False

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, str, int]] = []
        self.earlier = True

    async def review_checkpoint(self, checkpoint: Checkpoint) -> bool:
        assert [gate.name for gate in checkpoint.gates] == ["tests"] * len(checkpoint.outcomes)
        self.asked.append(("pause", checkpoint.number, checkpoint.before, len(checkpoint.outcomes)))
        return True

    async def review_last(self, checkpoint: Checkpoint, *, is_earlier: bool) -> bool:
        self.earlier = is_earlier
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
        gates = (GateVerdict("tests", GateState.PASSED, "2" * 40),)
        before = f"c{number - 1}"
        checkpoint = replace(CHECKPOINT, number=number, before=before, outcomes=outcomes, gates=gates)
        reviews.add_checkpoint(checkpoint)
        assert number == 3 or asyncio.run(reviews.pause_after(checkpoint)) is Answer.CONTINUE
    assert asyncio.run(reviews.pause_at_end()) is Answer.STOP
    assert recorder.asked == asked
    assert not recorder.earlier, "each was shown"
    assert asyncio.run(reviews.pause_at_end()) is Answer.CONTINUE, "nothing is left to review"
    later = Reviews(recorder, CheckpointMode.parse(mode), CHECKPOINT)
    assert asyncio.run(later.pause_at_end()) is Answer.STOP
    assert recorder.earlier


def test_what_earlier_starts_left_to_review_is_read_from_git(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause after which the batch was resumed is over; after the last group, the review is still to come."""
    three.edit("task.md", "Write c →", "Write c do: fail →")
    three.write(
        "gitbatch.toml", f'{three.read("gitbatch.toml")}\n[gates.one]\ncommand = ["true"]\nsandbox = "none"\n'
    )
    base = three.commit()
    run_here(three, monkeypatch, items="T101,T103,T304", checkpoint=CheckpointMode.parse("after-batch:1"))
    repo = open_repository(three.root, read_only=True)
    batch = all_batches(repo)[-1]
    state = read_progress(repo, batch)
    alone = replace(batch.record, groups=batch.record.groups[:1])
    found = {}
    for mode in ("after-batch:1", "after-batch:2", "at-end"):
        for record in (batch.record, alone):
            changed = replace(batch, record=replace(record, mode=mode))
            found[mode, record is alone] = read_unreviewed(repo, changed, state)
    assert found["after-batch:1", False] is None
    waiting = found["at-end", False]
    assert waiting is not None
    assert (waiting.before, waiting.commit, waiting.number, waiting.of) == (
        base,
        three.git("rev-parse", "main"),
        1,
        2,
    )
    assert [(gate.name, gate.state) for gate in waiting.gates] == [("one", GateState.PASSED)]
    assert [(o.item.name, str(o.status), str(o.lines or "")) for o in waiting.outcomes] == [
        ("T101", "succeeded", "+1 \N{MINUS SIGN}0"),
        ("T103", "failed", ""),
    ]
    assert found["after-batch:2", False] == waiting
    assert {each.of for (_, is_alone), each in found.items() if is_alone and each} == {1}
    assert all(found[mode, True] for mode in ("after-batch:1", "after-batch:2", "at-end"))
    repo.close()
