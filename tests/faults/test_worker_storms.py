"""Several faults at once: each connection may be cut, each worker killed, and the run and its resumes killed, at random.

However that goes, an item is paid for once, but for those of workers that were killed. In the long round only:

    GITBATCH_FAULTS=long pytest tests/faults/test_worker_storms.py -n 0 -s
"""

# ruff: noqa: F811 - a parameter has the name of its fixture

import json
import random
import shutil
from pathlib import Path

import pytest
from faults.test_faults import LONG, SEED, tell
from faults.test_worker_faults import (
    ITEMS,
    RUN,
    RUN_STEPS,
    SLOTS,
    WORKER_STEPS,
    WORKERS,
    Machines,
    Step,
    far,  # noqa: F401 - a fixture
    starts,
    trees,
    workers_of,
)
from faults.trials import fsck
from waiting import wait_until

TRIALS = 60
MOST_KILLS = 3
"""Of the run and its resumes in one trial: an item is lost with its worker, at most as often as `max-lost` allows."""


class Storm:
    """The faults of one trial."""

    def __init__(self, number: int, folder: Path) -> None:
        self.chance = random.Random(f"{SEED} {number}")  # noqa: S311 - to be the same each time
        self.folder = folder
        self.kills_workers = bool(number % 2)
        self.killed = 0

    def arm_workers(self) -> None:
        """Decide what happens to the next connection to each worker."""
        for name in WORKERS:
            fault: dict[str, object] = {}
            if self.chance.random() < 0.6:
                fault["cut"] = (self.chance.choice(("to", "from")), self.chance.randint(1, 3_000))
            elif self.kills_workers and self.chance.random() < 0.5:
                fault["kill"] = self.chance.choice(WORKER_STEPS)
                self.killed += 1
            (self.folder / name / "fault.json").write_text(json.dumps(fault))

    def choose_step(self, number: int) -> Step | None:
        """Where the run is killed; None: nowhere, as it has been often enough."""
        return self.chance.choice(RUN_STEPS) if number < MOST_KILLS and self.chance.random() < 0.7 else None


@pytest.mark.skipif(not LONG, reason="takes minutes")
def test_item_is_paid_for_once_in_any_storm(far: Machines, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(TRIALS):
        place = far.workspace()
        storm = Storm(number, place.root.parent)
        storm.arm_workers()
        status, said = far.run(place, *RUN, kill=storm.choose_step(0))
        for resume in range(1, MOST_KILLS + 2):
            if status in {0, 2}:  # 2: the batch had ended
                break
            storm.arm_workers()
            status, said = far.run(place, "run", kill=storm.choose_step(resume))
        assert status in {0, 2}, f"trial {number}: {said}"
        wait_until(lambda place=place: not workers_of(place), "all workers have ended")  # type: ignore[misc]
        assert trees(place) == far.expected, f"trial {number}: {said}"
        assert fsck(place) == []
        verified, found = far.run(place, "verify")
        assert verified == 0, found
        again = len(starts(place)) - len(ITEMS)
        assert again <= SLOTS * storm.killed, f"trial {number}: {again} again, {said}"
        tell(capsys, f"trial {number}: {resume} starts, {storm.killed} workers may be killed, {again} again")
        shutil.rmtree(place.root.parent)
