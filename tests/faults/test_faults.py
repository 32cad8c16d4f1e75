"""Killed anywhere: a run, one of its gits, or a resume; then looked at, started again, and looked at again.

Every step of a run is known (`shim.c`): each call of gitbatch or of a git of its that could change the disk, and each
start and end of a git. The long round takes all of them, one after the other; the usual one a sample.

    GITBATCH_FAULTS=long pytest tests/faults -n 0 -s
"""

import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pytest
from faults.trials import AT_ONCE, RUN, Bench, Servers, trial

LONG = os.environ.get("GITBATCH_FAULTS") == "long"

SEED = 6
SAMPLE = 2
"""Trials of the usual round."""
SPARE = 12
"""Trials that may kill nothing: a run on a busy machine has other steps than the one that was counted."""
VICTIMS = ("everything", "git", "gitbatch")
READING = ("start", "exit", "waited")
"""Steps that change nothing on the disk themselves."""
Case = TypeVar("Case")


@dataclass(frozen=True)
class Trial:
    """Who is killed at which step of a run, and at which step of the resume, if at all."""

    kind: str
    step: int
    victim: str
    then: int = 0


@pytest.fixture(scope="module")
def bench(fault_servers: Servers) -> Iterator[Bench]:
    """Where trials are made."""
    with fault_servers.open_bench() as made:
        yield made


def steps_of_a_run(bench: Bench) -> list[tuple[int, str, str]]:
    """Number, process and call of each step."""
    bench.server.run(bench.workspace(), *RUN, record=True)
    lines = (line.split(" ") for line in bench.server.recorded())
    return [(int(number), process, call) for number, process, call, *_ in lines]


LASTING = re.compile(r"(?:^|/)(objects/[0-9a-f]{2}/[0-9a-f]{38}|refs/.+(?<!\.lock)|index|HEAD|packed-refs)$")
"""What must be whole after a power cut: git takes an object that has only its name for written, for ever."""


def test_what_lasts_gets_its_name_when_its_content_is_on_the_disk(bench: Bench) -> None:
    place = bench.workspace()
    bench.server.run(place, *RUN, record=True)
    cache = place.environment["XDG_CACHE_HOME"]  # what is there, the next start removes
    unsafe: set[str] = set()
    named = Counter[str]()
    for line in bench.server.recorded():
        _, _, call, file, *name = line.split(" ", 4)
        if call == "write":
            unsafe.add(file)
        elif call == "fsync":
            unsafe.discard(file)
        elif not name or "/worktrees/" in name[0] or name[0].startswith(cache):
            continue
        elif found := LASTING.search(name[0]):
            named[found[1].split("/")[0]] += 1
            assert file not in unsafe, f"{name[0]} is named before it is safe"
    assert named["objects"] > 20
    assert named["refs"] > 10
    assert named["index"] == 2


def plan(bench: Bench) -> list[Trial]:
    """Every trial there is, in an order that is always the same and favours no part of a run."""
    steps = steps_of_a_run(bench)
    chance = random.Random(SEED)  # noqa: S311 - to be the same each time
    trials = [Trial("everything killed", n, "everything") for n, _, call in steps if call not in READING]
    trials += [Trial("git killed", n, "git") for n, process, _ in steps if process == "git"]
    trials += [
        Trial("gitbatch killed while its git writes", n, "gitbatch")
        for n, process, call in steps
        if process == "git" and call not in READING
    ]
    trials += [
        Trial("resume killed too", chance.randint(1, len(steps)), "everything", chance.randint(1, 400))
        for _ in range(300)
    ]
    trials += [
        Trial("two items at once", chance.randint(1, len(steps)), chance.choice(VICTIMS)) for _ in range(200)
    ]
    chance.shuffle(trials)
    return trials


def tell(capsys: pytest.CaptureFixture[str], text: str) -> None:
    if LONG:
        with capsys.disabled():
            print(text, flush=True)  # noqa: T201 - what the long round is for


def hold_trials(
    capsys: pytest.CaptureFixture[str], trials: list[Case], sample: int, trial: Callable[[Case], bool]
) -> None:
    """Makes trials in any order, most of which have to kill something; in the usual round, until so many have."""
    random.Random(SEED).shuffle(trials)  # noqa: S311 - to be the same each time
    held, failed = 0, list[str]()
    for one in trials if LONG else trials[: sample + SPARE]:
        if not LONG and held + len(failed) == sample:
            break
        try:
            held += trial(one)
        except AssertionError as error:
            failed.append(f"{one}: {error}")
            tell(capsys, failed[-1])
    tell(capsys, f"held {held} of {len(trials)}")
    assert failed == []
    assert held >= (len(trials) * 8 // 10 if LONG else sample)


def test_what_is_killed_anywhere_is_as_if_nothing_had_happened(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = plan(bench)
    done, asked, failed = Counter[str](), Counter[str](), []
    for number, one in enumerate(trials if LONG else trials[: SAMPLE + SPARE]):
        if not LONG and sum(done.values()) == SAMPLE:
            break
        then = ((one.then, one.victim),) if one.then else ()
        try:
            how = AT_ONCE if one.kind == "two items at once" else RUN
            verdict = trial(bench, one.step, one.victim, then=then, arguments=how)
        except AssertionError as error:
            failed.append(f"{one}: {error}")
            tell(capsys, failed[-1])
            continue
        done[one.kind] += verdict is not None
        asked[one.kind] += bool(verdict and verdict.asked)
        if number % 100 == 0:
            tell(
                capsys, f"{number} of {len(trials)}: held {dict(done)}, a lock removed by hand {dict(asked)}"
            )
    tell(capsys, f"held {dict(done)}, a lock removed by hand {dict(asked)}")
    assert failed == []
    assert sum(done.values()) >= (2000 if LONG else SAMPLE)
