"""Which error is the disk's, which is caused by what stands at a path, and what the user reads."""

import errno
import os
import socket
from pathlib import Path

import pytest

from gitbatch.errors import GitbatchError, GitError
from gitbatch.fs.disk import (
    DiskError,
    disk_error,
    expected_error,
    is_at_the_path,
    is_of_disk,
    naming,
    raising_only_of_disk,
)
from gitbatch.fs.nofollow import NotRegularError, directory, regular_file

DISK = (errno.EIO, errno.ENOSPC, errno.EROFS, errno.EDQUOT)


def error(number: int, name: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), name)


@pytest.mark.parametrize("number", DISK)
def test_an_error_of_the_disk_is_that_and_nothing_else(number: int) -> None:
    assert is_of_disk(error(number))
    assert not is_at_the_path(error(number))


def test_what_stands_at_a_path_is_not_the_disk(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "file").touch()
    (tmp_path / "second").hardlink_to(tmp_path / "file")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(tmp_path / "socket"))
    met = []
    for name in ("link", "file", "file/below", "link/below", "none", "socket", "n" * 300):
        with pytest.raises(OSError) as raised, regular_file(tmp_path, name):  # noqa: PT011 - each has its own
            pass
        met.append(raised.value)
    with pytest.raises(OSError) as raised, directory(tmp_path, ("file",), create=True):  # noqa: PT011
        pass
    assert len({found.errno for found in met}) == 6
    for found in (*met, raised.value):
        assert is_at_the_path(found), found
        assert not is_of_disk(found)
    assert is_at_the_path(NotRegularError("x"))


def test_a_refusal_is_neither(tmp_path: Path) -> None:
    for number in (errno.EACCES, errno.EPERM, errno.EMFILE):
        assert not is_of_disk(error(number))
        assert not is_at_the_path(error(number))
        assert expected_error(error(number, str(tmp_path)))


@pytest.mark.parametrize(
    ("number", "message", "advice"),
    [
        (errno.ENOSPC, "the disk is full: /a", "free disk space, then resume"),
        (errno.EROFS, "Read-only file system: /a", "make the file system writable, then resume"),
        (errno.EIO, "Input/output error: /a", "check the disk"),
        (errno.ENOTCONN, "Transport endpoint is not connected: /a", "remove the cause, then resume"),
    ],
)
def test_an_expected_error_says_what_and_what_to_do(number: int, message: str, advice: str) -> None:
    found = expected_error(error(number, "/a"))
    assert found
    assert found.message == message
    assert found.advice.startswith(advice)
    assert expected_error(error(number))


@pytest.mark.parametrize("number", [errno.EBADF, errno.EINVAL])
def test_a_mistake_of_ours_is_not_expected(number: int) -> None:
    assert expected_error(error(number)) is None
    assert expected_error(OSError("no number")) is None


def test_what_git_reports_of_the_disk_is_the_disks() -> None:
    said = "error: unable to write file x: No space left on device\nfatal: unable to add y\n"
    found = disk_error(GitError(("hash-object",), 128, said))
    assert found
    assert found.message == (
        "git hash-object failed (128): error: unable to write file x: No space left on device"
    )
    assert found.advice.startswith("free disk space")
    assert disk_error(GitError(("show",), 128, "fatal: bad object")) is None
    assert disk_error(GitbatchError("x")) is None
    assert disk_error(KeyError("x")) is None
    known = DiskError("x")
    assert disk_error(known) is known
    assert disk_error(error(errno.EACCES)) is None
    assert disk_error(error(errno.EIO))


def test_an_error_gets_the_name_of_its_file(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(FileNotFoundError) as raised, naming(tmp_path):
            os.open("none", os.O_RDONLY, dir_fd=folder)
    finally:
        os.close(folder)
    assert raised.value.filename == str(tmp_path)
    with pytest.raises(FileNotFoundError) as raised, naming("/elsewhere"):
        (tmp_path / "none").read_bytes()
    assert raised.value.filename == str(tmp_path / "none"), "which it had"


def test_what_is_absent_is_passed_over_and_what_a_disk_keeps_is_not(tmp_path: Path) -> None:
    with raising_only_of_disk():
        (tmp_path / "none").read_bytes()
    broken = error(errno.EIO)
    with pytest.raises(OSError, match="Input/output error") as raised, raising_only_of_disk():
        raise broken
    assert raised.value is broken
