"""Temporary folders: gone at the end, and those of killed processes with the next one."""

import os
from pathlib import Path

from gitbatch.fs.temporary import find_abandoned, temporary_folder

LONG_AGO = (1e9, 1e9)


def test_only_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    above = tmp_path / "cache"
    with temporary_folder(above, "check-") as used:
        (used / "file").touch()
        os.utime(used, LONG_AGO)
        left, new = (above / f"check-{name}" for name in ("left", "new"))
        for folder in (left, new, above / "other"):
            folder.mkdir()
        for folder in (left, above / "other"):
            os.utime(folder, LONG_AGO)
        (above / "check-link").symlink_to(above / "other")
        assert find_abandoned(above, "check-") == (left,)
        with temporary_folder(above, "check-") as another:
            assert {path.name for path in above.iterdir()} == {
                *(used.name, another.name),
                *("check-new", "other", "check-link"),
            }
    assert not used.exists()
