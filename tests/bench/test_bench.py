"""The benchmark works: no time is judged."""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from bench.command import compare_sizes
from bench.length_rows import list_length_rows
from bench.lengths import NUMBERS, WALLS, Length, extrapolate
from bench.machines import MACHINE_SECTIONS
from bench.machines_setup import MachinesSetup
from bench.reach import SECTIONS
from bench.reach_setup import Setup
from bench.repositories import Supply
from bench.rows import Row, Verdict, summarize

SMALL = (
    "--files 30 --items=4 --rounds=1 --loop-items=2 --many=20 --branches=50 --merged=2 --wide=2 --nap=0.1 --sandbox=none "
    "--lengths 20 --length-groups 2 --only phases growth merge width start shapes worktrees machines "
    "--sections gates --machine-sections simulated --simulate 2x6 3x6 --shapes tiny --slots 3 --shape-nap=0.1"
)


def test_a_small_round_of_everything(tmp_path: Path) -> None:
    """One test, because the round takes longer than most: no worker of the tests has to do it twice."""
    command = [
        sys.executable,
        str(Path(__file__).parent),
        "--json",
        *SMALL.split(),
        "--folder",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    found = {part["experiment"]: part for part in json.loads(done.stdout)["experiments"]}
    assert_every_experiment_finds_something(found)
    assert_every_phase_is_seen_in_every_way_to_do_it(found)
    ours = found["phases"]["columns"][0]
    # The persistent git processes are counted too; a few items share the others.
    assert ours["git"]["item"] > sum(count for phase, count in ours["git"].items() if phase != "item") > 0


def assert_every_experiment_finds_something(found: dict[str, dict[str, Any]]) -> None:
    phases = found["phases"]["columns"]
    assert found.keys() == {
        "phases",
        "growth",
        "merge",
        "width",
        "start",
        "shapes",
        "worktrees",
        "machines",
    }
    assert list(compare_sizes(30, 31, {30: phases, 31: phases})["ratios"].items()) == [("gitbatch, none", 1)]
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
    assert found["growth"]["rows"][0]["name"] == "20 items in 2: lint"
    assert [row["name"] for row in found["worktrees"]["rows"]] == ["30 files: start of a gate"]
    assert_machines_are_simulated(found["machines"]["rows"])
    (shape,) = found["shapes"]["batches"]
    assert (shape["items"], len(shape["ratios"])) == (6, 1)
    assert all(seconds > 0 for kind in ("simulated", "measured") for seconds in shape[kind])


def assert_machines_are_simulated(rows: list[dict[str, Any]]) -> None:
    assert [row["name"] for row in rows] == [
        "simulated: 2 workers, 6 items: own processor time of an item",
        "simulated: 3 workers, 6 items: own processor time of an item",
        "simulated: 3 workers, 6 items: … / the first",
    ]
    assert all(row["value"] > 0 for row in rows)


def assert_every_phase_is_seen_in_every_way_to_do_it(found: dict[str, dict[str, Any]]) -> None:
    ours, loop, floor = found["phases"]["columns"]
    phases = {"worktree", "agent", "harvest", "merge", "follow", "clean-up"}
    whole = {"item", "item cpu"}
    assert ours["ms"].keys() == phases | whole
    assert loop["ms"].keys() == phases - {"follow"} | whole
    assert floor["ms"].keys() == phases
    assert all(times["median"] > 0 for column in (ours, loop, floor) for times in column["ms"].values())


@pytest.mark.sample(1)
@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_of_what_worktrees_reach_has_rows(section: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        memory, disk = (Supply(tmp_path / name, keep=False) for name in ("memory", "disk"))
        stack.callback(memory.close)
        stack.callback(disk.close)
        setup = Setup(
            sizes=(30, 31),
            memory=memory,
            disk=disk,
            sandboxes=("none",),
            rounds=1,
            items=3,
            on_disk=(30, 4),
            wide=(4, 2),
            modules=1,
            claude=None,
        )
        rows = list(SECTIONS[section](setup))
    values = {row.name: row.value for row in rows if row.verdict is not Verdict.UNKNOWN}
    assert len(rows) == len({row.name for row in rows}) > 0
    assert set(values) or section == "peers"
    assert values.get("1 MB of node_modules by batch.prepare: installed for 2 batches of 3 items", 1) == 1
    assert values.get("mounts and worktrees left afterwards", 0) == 0
    assert not list(tmp_path.glob("*/*"))


@pytest.mark.sample(1)
@pytest.mark.parametrize("section", MACHINE_SECTIONS)
def test_each_section_of_what_many_machines_reach_has_rows(section: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        supply = Supply(tmp_path / "memory", keep=False)
        stack.callback(supply.close)
        setup = MachinesSetup(
            sizes=(30,),
            supply=supply,
            sandboxes=("none",),
            rounds=1,
            items=6,
            many=6,
            nap=0.1,
            output=1,
            simulated=((1, 4), (2, 4)),
            carriers=("command",),
        )
        rows = list(MACHINE_SECTIONS[section](setup))
    assert len({row.name for row in rows}) == len(rows) > 0
    values = {row.name: row.value for row in rows}
    assert None not in values.values()
    assert values.get("… agents that ran again", 0) == 0


def test_what_a_row_says_of_its_aim() -> None:
    rows = (
        Row("a", "", 3.0, 3, at_least=True),
        Row("b", "", 2.9, 3, at_least=True),
        Row("c", "", 3.1, 3),
        Row("d", "", 3.0, unit=" ms"),
        Row("e", "there is no btrfs"),
    )
    found = [row.verdict for row in rows]
    assert found == [Verdict.OK, Verdict.MISSED, Verdict.MISSED, Verdict.SAID, Verdict.UNKNOWN]
    assert rows[2].cells == ["c", "<= 3 x", "3.1 x", "", "missed"]
    assert summarize(rows) == "1 ok, 2 missed\nmissed: b\nmissed: c\nnot measured: e"


def test_rows_of_lengths_name_what_is_extrapolated() -> None:
    few, many, far = (
        Length(items=items, groups=2, **dict.fromkeys((*NUMBERS, *WALLS), items / 1000))
        for items in (1000, 4000, 100_000)
    )
    rows = list_length_rows([few, many, far])
    verdicts = {row.name: row.verdict for row in rows}
    assert verdicts["4,000 items in 2: lint"] is Verdict.MISSED
    assert verdicts["4,000 items in 2: verify"] is Verdict.OK
    assert verdicts["4,000 items in 2 / 1,000: longest prompt"] is Verdict.MISSED
    assert verdicts["100,000 items in 2, extrapolated from 2 lengths: verify"] is Verdict.SAID


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
