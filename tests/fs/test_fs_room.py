"""Why git could not write: what it does not say is found out by writing there."""

import errno
import os
from pathlib import Path

import pytest

from gitbatch.errors import GitbatchError, GitError
from gitbatch.fs import room
from gitbatch.fs.disk import DiskError
from gitbatch.fs.room import disk_error_at, probe_file

FAILED = GitError(("read-tree",), 128, "error: unable to write file a")


def test_a_disk_with_room_is_not_the_reason(tmp_path: Path) -> None:
    assert disk_error_at(FAILED, tmp_path, tmp_path / "none") is None
    assert list(tmp_path.iterdir()) == []


def test_the_disk_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> int:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr("gitbatch.fs.room.os.write", write)
    found = disk_error_at(FAILED, tmp_path / "none")
    assert isinstance(found, DiskError)
    assert found.message == f"the disk is full: {tmp_path}"
    assert "resume: gitbatch run" in found.advice
    assert disk_error_at(GitbatchError("x"), tmp_path) is None
    assert disk_error_at(OSError(errno.ENOENT, "x"), tmp_path) is None


def test_a_full_disk_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_RESERVE", 1 << 62)
    found = disk_error_at(FAILED, tmp_path)
    assert found
    assert found.message == f"the disk is full: {tmp_path}"


def test_what_cannot_be_written_for_another_reason(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with (tmp_path / "a").open("rb") as file:
        probe_file(file.fileno())
    read, write = os.pipe()
    probe_file(write)
    os.close(read)
    os.close(write)
    assert (tmp_path / "a").read_bytes() == b""
