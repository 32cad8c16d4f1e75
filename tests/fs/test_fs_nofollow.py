"""Opening without following links: what is in the way is named."""

from pathlib import Path

import pytest

from gitbatch.fs.nofollow import describe_open_error, regular_file


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").touch()
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "link").symlink_to("real/file")
    (tmp_path / "two").hardlink_to(tmp_path / "real/file")
    expected = {
        "link": "it is a symbolic link",
        "folder/file": "a folder on the way to it is a symbolic link, or not a folder",
        "real": "real is not a regular file",
        "two": "two has 2 names (hard links)",
        "none": "No such file or directory",
    }
    for path, said in expected.items():
        with pytest.raises(OSError) as raised, regular_file(tmp_path, path):  # noqa: PT011 - any of them
            pass
        assert describe_open_error(raised.value) == said
