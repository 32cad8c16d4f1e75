"""Gates of groups in whole runs: what reaches the branch, who is named, and how often a gate runs."""

import math
from typing import Any

import pytest
from batch.programs import set_up, starts
from conftest import Place
from sessions import run_here

from gitbatch.batch.loop import Ending, Result

GATE = '[gates.tests]\ncommand = ["sh", "-c", "{command}"]\nsandbox = "none"\n{more}'


def gate(command: str, more: str = "") -> str:
    return GATE.format(command=command, more=more)


def trailers(place: Place, name: str, commit: str = "main") -> list[str]:
    form = f"--format=%(trailers:key=Gitbatch-{name},valueonly)"
    return list(filter(None, place.git("log", "-1", form, commit).splitlines()))


def runs(events: list[Any]) -> int:
    return sum(event["event"] == "gate-started" for event in events)


def written(place: Place) -> list[str]:
    return place.git("ls-tree", "--name-only", "-r", "main", "out/").splitlines()


def run(place: Place, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> tuple[Result, list[Any]]:  # noqa: ANN401 - of SessionSettings
    return run_here(place, monkeypatch, **settings)


def test_one_guilty_item_of_16_is_named_and_the_others_are_recorded(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(place, *["ok"] * 16, agent=gate("test ! -e out/T11.md || { echo T11 breaks it; exit 1; }"))
    result, events = run(place, monkeypatch)
    assert result.ending is Ending.COMPLETE
    assert (result.succeeded, result.failed) == (15, 1)
    (failed,) = result.failures
    assert failed.name == "T11"
    assert failed.reason == "gate tests is red with it: T11 breaks it (exit 1)"
    assert "out/T11.md" not in written(place)
    assert len(written(place)) == 15
    assert runs(events) <= 2 * math.log2(16) + 5
    (verdict,) = trailers(place, "Gate")
    assert verdict == f"tests pass {place.git('rev-parse', 'main^{tree}').strip()}"
    assert "- [ ] T11 " in place.read("task.md")
    assert place.git("status", "--porcelain") == ""
    assert place.gitbatch("verify").returncode == 0
    assert starts(place, "T11") == 1
