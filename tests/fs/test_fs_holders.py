"""Which processes have a file open, where the system shows them as Linux does."""

import os
from pathlib import Path

import pytest

from gitbatch.fs import holders


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that shows processes: one that is ending, whose files cannot be listed any more, and others."""
    shown = tmp_path / "proc"
    for name in ("12", "uptime", "20/fd", "13/fd", f"{os.getpid()}/fd"):
        (shown / name).mkdir(parents=True)
    for name in ("20", "13", str(os.getpid())):
        (shown / name / "fd/3").symlink_to(tmp_path / "held")
        (shown / name / "cwd").symlink_to(tmp_path / "work")
    (shown / "self").symlink_to("13")
    monkeypatch.setattr(holders, "_PROCESSES", shown)
    return tmp_path


def test_a_process_that_ends_meanwhile_holds_nothing(processes: Path) -> None:
    assert holders.find_holders(processes / "held") == (13, 20)
    assert holders.find_holders(processes / "other") == ()
    assert holders.is_in_use(processes / "work")
    assert not holders.is_in_use(processes / "wor")


def test_a_system_that_shows_no_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "_PROCESSES", tmp_path / "none")
    assert holders.find_holders(tmp_path) == ()
    assert holders.is_in_use(tmp_path)
