"""Whole runs in which items start before their group (rule F2). At the end of each, `verify` finds nothing."""

import pytest
from batch.early_runs import count_starts, run_early, tell, write_plan
from conftest import Place

from gitbatch.batch.ending import Ending
from gitbatch.batch.planning.early.eagerness import EagerMode

CHAIN = ("A1\nA2\n", "B1 out/A1.md\nB2 out/A2.md\n", "C1 out/B1.md\nC2\n")
"""B1 and C1 can be done while A2 runs; C2 declares nothing, so it waits for its group."""


@pytest.mark.rule("F2")
def test_items_start_early_and_are_taken_in_their_turn(place: Place) -> None:
    write_plan(place, *CHAIN)
    tell(place, "A2", "wait_for C1\n")
    ran = run_early(place)
    assert (ran.result.ending, ran.result.succeeded) == (Ending.COMPLETE, 6)
    assert ran.early == ["B1", "C1"]
    assert all(count_starts(place, name) == 1 for name in ("A1", "A2", "B1", "B2", "C1", "C2"))
    started = ran.list_of("group-started")
    assert [event["already"] for event in started] == [[], ["out/B1.md"], ["out/C1.md"]]
    said = place.git(
        "log", "--format=%s%n%(trailers:key=Gitbatch-Plan-Item,keyonly)", "--grep=^Gitbatch-Item"
    )
    assert said.count("Gitbatch-Plan-Item") == 2
    assert "gitbatch: base of Group 2" in place.git("log", "--format=%s")


@pytest.mark.rule("F2")
def test_nothing_starts_early_if_that_is_off(place: Place) -> None:
    write_plan(place, *CHAIN)
    ran = run_early(place, eager=EagerMode.OFF)
    assert (ran.result.succeeded, ran.early) == (6, [])
    assert "Gitbatch-Plan-Item" not in place.git("log", "--format=%B")
