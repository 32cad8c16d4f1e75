"""The spool: results that stay, locks on jobs, and what killed workers have left."""

import fcntl
import os
from pathlib import Path

import pytest

from gitbatch.batch.worker.repository_copy import _locked, remove_left_over
from gitbatch.batch.worker.spool import Spool

TOKEN, OTHER = "ab" * 16, "cd" * 16


def put(spool: Spool, token: str, content: bytes = b"result") -> None:
    with spool.writing(token) as descriptor:
        os.write(descriptor, content)


def test_results_stay_until_they_are_forgotten_or_old(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    assert spool.list_tokens() == ()
    put(spool, OTHER)
    put(spool, TOKEN)
    os.utime(spool.path_of(OTHER), (1_000, 1_000))
    lock = spool.lock_job(TOKEN)
    assert lock is not None
    os.close(lock)
    assert spool.list_tokens() == (TOKEN,)
    assert spool.path_of(TOKEN).read_bytes() == b"result"
    spool.forget(TOKEN)
    spool.forget(TOKEN)
    assert list(spool.folder.iterdir()) == []


def test_locks_of_jobs_without_a_result_are_removed_when_they_are_old(tmp_path: Path) -> None:
    """Those that were cancelled, or killed: no one forgets them. One that is held stays."""
    spool = Spool(tmp_path)
    held, left = spool.lock_job(TOKEN), spool.lock_job(OTHER)
    assert held is not None
    assert left is not None
    os.close(left)
    for path in spool.folder.iterdir():
        os.utime(path, (1_000, 1_000))
    assert spool.list_tokens() == ()
    assert [path.name for path in spool.folder.iterdir()] == [f"{TOKEN}.lock"]
    assert spool.list_running() == (TOKEN,)
    os.close(held)


def test_result_that_is_not_whole_is_none(tmp_path: Path) -> None:
    spool = Spool(tmp_path)

    def cut() -> None:
        with spool.writing(TOKEN) as descriptor:
            os.write(descriptor, b"half")
            raise OSError

    with pytest.raises(OSError, match=r"^$"):
        cut()
    assert spool.list_tokens() == ()


def test_job_has_one_process(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    first = spool.lock_job(TOKEN)
    assert first is not None
    assert spool.lock_job(TOKEN) is None
    assert spool.list_running() == (TOKEN,)
    os.close(first)
    assert spool.list_running() == ()
    again = spool.lock_job(TOKEN)
    assert again is not None
    os.close(again)


def test_copies_of_killed_workers_are_removed(tmp_path: Path) -> None:
    for name in ("dead", "alive", "new"):
        (tmp_path / name / "repository").mkdir(parents=True)
    (tmp_path / "dead/lock").touch()
    held = Spool(tmp_path / "alive")
    lock = held.lock_job("")  # the name of a lock is that of a copy too
    assert lock is not None
    (tmp_path / "alive/.lock").rename(tmp_path / "alive/lock")
    remove_left_over(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alive", "new"]
    os.close(lock)
    remove_left_over(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new"]


def test_copy_is_not_removed_while_it_is_being_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers start on a machine at the same moment."""
    (tmp_path / "copy").mkdir()
    lock = fcntl.flock

    def let_another_look(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        remove_left_over(tmp_path)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", let_another_look)
    with _locked(tmp_path / "copy"):
        remove_left_over(tmp_path)
        assert (tmp_path / "copy/lock").exists()
