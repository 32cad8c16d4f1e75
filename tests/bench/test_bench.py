"""The benchmark works: no time is judged."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.lengths import extrapolate

SMALL = "--files 30 31 --items=4 --rounds=1 --loop-items=2 --many=20 --branches=50 --merged=2 --wide=2 --nap=0.1 --sandbox=none --lengths 20 --length-groups 2"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What a small round of everything finds, by experiment."""
    place = ("--place", str(tmp_path_factory.mktemp("bench")))
    command = [sys.executable, str(Path(__file__).parent), "--json", *SMALL.split(), *place]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    # Of two sizes, the first is kept.
    return {part["experiment"]: part for part in reversed(json.loads(done.stdout)["experiments"])}


def test_every_experiment_finds_something(found: dict[str, dict[str, Any]]) -> None:
    assert found.keys() == {"phases", "growth", "merge", "width", "start", "size"}
    assert list(found["size"]["ratios"]) == ["gitbatch, none"]
    usual, wide, among_branches = found["growth"]["batches"]
    assert usual["late"]["median"] > 0
    assert usual["peak"] > usual["early_memory"] > 0
    assert (wide["jobs"], among_branches["branches"]) == (2, 50)
    *measured, far = found["growth"]["lengths"]
    assert [(each["items"], each["groups"]) for each in measured] == [(20, 2)]
    assert all(each[name] > 0 for each in measured for name in each)
    assert far["items"] == 100_000
    assert found["merge"]["ours"]["count"] == found["merge"]["octopus"]["count"] == 1
    assert found["width"]["batches"][0]["seconds"]["median"] > 400
    assert "gitbatch status" in found["start"]["ms"]


@pytest.mark.parametrize(
    ("numbers", "far"),
    [
        ([(1, 15.0), (2, 20.0), (4, 30.0)], 510.0),  # 10 + 5 n
        ([(1, 8.0), (2, 7.0), (4, 6.0)], 6.0),
        ([(1, 7.0), (2, 7.0), (4, 7.0)], 7.0),
    ],
)
def test_what_is_extrapolated(numbers: list[tuple[int, float]], far: float) -> None:
    assert extrapolate(numbers, 100) == pytest.approx(far)


def test_every_phase_is_seen_in_every_way_to_do_it(found: dict[str, dict[str, Any]]) -> None:
    ours, loop, floor = found["phases"]["columns"]
    phases = {"worktree", "agent", "harvest", "merge", "follow", "clean-up"}
    whole = {"item", "item cpu"}
    assert ours["ms"].keys() == phases | whole
    assert loop["ms"].keys() == phases - {"follow"} | whole
    assert floor["ms"].keys() == phases
    assert all(times["median"] > 0 for column in (ours, loop, floor) for times in column["ms"].values())


def test_git_processes_are_counted(found: dict[str, dict[str, Any]]) -> None:
    """The persistent ones too; an item has at least one of its own."""
    ours = found["phases"]["columns"][0]
    assert ours["git"]["item"] > sum(count for phase, count in ours["git"].items() if phase != "item") >= 1
