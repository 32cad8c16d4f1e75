"""A disk that fails anywhere below the repository or the worktrees: once, or from some call on; then it is well again.

Every call of gitbatch or of a git process of its that changes a file there, or opens one, is known (`errors.c`). A
trial lets one of them fail, looks at what is there, runs again with a healthy disk, and looks again. The long round
takes hundreds, the usual one a sample.

    GITBATCH_FAULTS=long pytest tests/faults/test_errors.py -n 0 -s
"""

import errno
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from faults.trials import AT_ONCE, RUN, Bench, Ran, agents, check_end, check_instant, open_bench

LONG = os.environ.get("GITBATCH_FAULTS") == "long"

SEED = 13
SAMPLE = 10
"""Trials of the usual round."""
MANY = 600
"""Trials of the long one."""
ERRORS = (errno.EIO, errno.ENOSPC, errno.EROFS, errno.EDQUOT)
MODES = ("once", "from there on")


@dataclass(frozen=True)
class Fault:
    """Which calls of a run fail, and how."""

    at: int
    error: int
    mode: str

    def __str__(self) -> str:
        return f"{errno.errorcode[self.error]} {self.mode} at call {self.at}"


@dataclass(frozen=True)
class Trial:
    """The fault of a run, and perhaps that of the next one."""

    first: Fault
    then: Fault | None = None
    at_once: bool = False


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Where trials are made."""
    with open_bench(tmp_path_factory.getbasetemp(), "errors.c") as made:
        yield made


def count_calls(bench: Bench) -> dict[int, int]:
    """How many calls of a run can fail with each error: with EIO, those too that open a file only to read it."""
    place = bench.place()
    ran = bench.server.run(place, *RUN, record=True, error=errno.EIO)
    assert ran.status == 0, ran.said
    calls = [line.split(" ")[1] for line in bench.server.recorded()]
    writing = sum(call != "open-to-read" for call in calls)
    return {error: len(calls) if error == errno.EIO else writing for error in ERRORS}


def plan(bench: Bench) -> list[Trial]:
    """Trials in an order that is always the same and favours no part of a run."""
    chance = random.Random(SEED)  # noqa: S311 - to be the same each time
    counts = count_calls(bench)
    faults = [
        Fault(at, error, mode)
        for error, count in counts.items()
        for at in range(1, count + 1)
        for mode in MODES
    ]
    chance.shuffle(faults)
    many = [Trial(fault) for fault in faults]
    for fault in chance.sample(faults, MANY // 6):
        many[chance.randrange(MANY)] = Trial(fault, then=chance.choice(faults))
    for fault in chance.sample(faults, MANY // 6):
        many[chance.randrange(MANY)] = Trial(fault, at_once=True)
    return many


def run(bench: Bench, trial: Trial) -> list[Ran]:
    """Make a trial; returns the runs that had a fault."""
    place = bench.place()
    runs, acknowledged = [], dict[str, int]()
    for fault in filter(None, (trial.first, trial.then)):
        arguments = AT_ONCE if trial.at_once else RUN
        ran = bench.server.run(place, *arguments, at=fault.at, victim=fault.mode, error=fault.error)
        runs.append(ran)
        assert ran.status in {0, 1, 75}, f"{fault}: exit {ran.status}: {ran.where}\n{ran.said}"
        assert "Traceback" not in ran.said, ran.said
        now = check_instant(bench, place)
        started = agents(place)
        acknowledged = {key: started.count(key) for key in (*now.merged, *now.waiting)} | acknowledged
    healthy = bench.server.run(place, *RUN)
    assert healthy.status == 0, f"then exit {healthy.status}: {healthy.said}"
    check_end(bench, place)
    started = agents(place)
    for key, count in acknowledged.items():
        assert started.count(key) == count, f"{key} ran again"
    shutil.rmtree(place.root.parent)
    return runs


def test_a_disk_that_fails_anywhere_costs_nothing_that_is_done(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = plan(bench)[: MANY if LONG else SAMPLE]
    ended, failed = Counter[str](), []
    for number, one in enumerate(trials, 1):
        try:
            for ran in run(bench, one):
                ended[f"exit {ran.status}" if ran.killed else "no call failed"] += 1
        except AssertionError as error:
            failed.append(f"{one.first} {one.then or ''}: {error}")
        if LONG and (number % 50 == 0 or number == len(trials)):
            with capsys.disabled():
                print(f"{number} of {len(trials)}: {dict(ended)}, failed {len(failed)}", flush=True)  # noqa: T201
    assert failed == []
    assert ended["exit 1"] >= len(trials) // 4
