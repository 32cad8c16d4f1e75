"""Small files that are read and written whole."""

import os
from pathlib import Path

import pytest

from gitbatch.fs.removal import remove_tree
from gitbatch.fs.whole import read_whole, write_new


@pytest.mark.parametrize("content", [b"", b"a\r\n\0", b"x" * 200_000], ids=["empty", "few", "many"])
def test_what_was_written_is_read(tmp_path: Path, content: bytes) -> None:
    write_new(f"{tmp_path}/new", content)
    assert read_whole(f"{tmp_path}/new") == (tmp_path / "new").read_bytes() == content


def test_a_content_that_the_system_takes_in_parts_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr("gitbatch.fs.whole.os.write", lambda to, some: write(to, bytes(some[:2])))
    write_new(f"{tmp_path}/new", b"12345")
    assert (tmp_path / "new").read_bytes() == b"12345"


def test_what_exists_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_new(f"{tmp_path}/link", b"x")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("error", [FileNotFoundError, IsADirectoryError])
def test_what_cannot_be_read_is_an_error(tmp_path: Path, error: type[OSError]) -> None:
    with pytest.raises(error):
        read_whole(f"{tmp_path}/missing" if error is FileNotFoundError else f"{tmp_path}")


def test_empty_folders_at_any_depth_are_removed_whatever_their_permissions(tmp_path: Path) -> None:
    for path in ("top/empty", "top/a/empty", "top/a/b/c/empty", "top/a/full/x"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "top/a/full/x/file").touch()
    (tmp_path / "top/a/linked").symlink_to(tmp_path)
    for path in ("top/a/empty", "top/empty", "top/a/b/c", "top/a/full/x", "top/a"):
        (tmp_path / path).chmod(0)
    assert remove_tree(tmp_path / "top")
    assert list(tmp_path.iterdir()) == []
