"""What programs need in the user's checkouts is looked for once in a run."""

from pathlib import Path

import pytest

from gitbatch.agents.process import confine
from gitbatch.agents.process.confine import UsedPaths
from gitbatch.agents.process.table import ProcessTable


def test_each_program_is_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, seen = UsedPaths(), []

    def look(command: tuple[str, ...], *_: object) -> tuple[Path, ...]:
        seen.append(command)
        return ()

    monkeypatch.setattr(confine, "tools_in_checkouts", look)
    inside = tmp_path / "tools"
    inside.mkdir()
    environment = {"PATH": f"/usr/bin:{inside}:relative", "HOME": "/root"}
    for _ in range(2):
        assert found.find_paths(ProcessTable(), ("one",), environment, (tmp_path,)) == (inside,)
        assert found.find_paths(ProcessTable(), ("two",), {}, (tmp_path,)) == ()
    assert seen == [("one",), ("two",)]
