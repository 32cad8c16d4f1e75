"""What commands prepared hides nothing that items write."""

import os
import stat
import sys
from pathlib import Path

import pytest

from gitbatch.batch.extras.result_layer import Before, uncover_guarded
from gitbatch.fs.layers import OPAQUE_ATTRIBUTES, LayerLookup, find_in_layer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has overlays")

GUARDED = frozenset({"out/one.md", "made/two.md", "gone/three.md", "link/four.md", "read-only/five.md"})


def before(*folders: str, tracked: tuple[str, ...] = ()) -> Before:
    return Before(folders.__contains__, {*tracked}.__contains__)


def make_opaque(folder: Path) -> None:
    folder.mkdir()
    os.setxattr(folder, OPAQUE_ATTRIBUTES[0], b"y")


def test_what_hides_guarded_paths_goes(tmp_path: Path) -> None:
    try:
        for name in ("out", "new", "old"):
            make_opaque(tmp_path / name)
        os.mknod(tmp_path / "out/one.md", stat.S_IFCHR, 0)
        os.mknod(tmp_path / "out/other.md", stat.S_IFCHR, 0)
        os.mknod(tmp_path / "gone", stat.S_IFCHR, 0)
    except OSError as error:
        pytest.skip(f"no layers here: {error}")
    (tmp_path / "link").symlink_to("/usr")
    (tmp_path / "made").write_text("a file, where an item needs a folder")
    (tmp_path / "read-only").mkdir()
    (tmp_path / "read-only/five.md").write_text("done already")
    (tmp_path / "read-only/kept.md").write_text("")
    (tmp_path / "read-only").chmod(0o555)
    assert uncover_guarded(tmp_path, GUARDED, before("out", "old")) == ()
    seen = {path: find_in_layer(tmp_path, path) for path in sorted(GUARDED)}
    assert set(seen.values()) == {LayerLookup.ABSENT}, seen
    assert find_in_layer(tmp_path, "out/other.md") is LayerLookup.HIDDEN
    assert find_in_layer(tmp_path, "new/later.md") is LayerLookup.ABSENT
    assert find_in_layer(tmp_path, "old/file.md") is LayerLookup.HIDDEN
    assert [path.name for path in (tmp_path / "read-only").iterdir()] == ["kept.md"]
    assert stat.S_IMODE((tmp_path / "read-only").stat().st_mode) == 0o555


def test_folders_at_guarded_paths_go(tmp_path: Path) -> None:
    """An item writes a file there."""
    for name in ("out/one.md/deep", "made/two.md", "made/other.md/deep"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "out/one.md/deep/file").touch()
    assert uncover_guarded(tmp_path, GUARDED, before()) == ()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        *("made", "made/other.md", "made/other.md/deep", "out"),
    ]


def test_files_of_the_commit_stay_as_they_are(tmp_path: Path) -> None:
    """A commit of the user, in this batch or before the next one, may have another version."""
    (tmp_path / "src").mkdir()
    (tmp_path / "node_modules").mkdir()
    for name in ("src/lock.json", "src/new.js", "node_modules/code.js", "was-a-folder"):
        (tmp_path / name).touch()
    try:
        os.mknod(tmp_path / "src/deleted.js", stat.S_IFCHR, 0)
        make_opaque(tmp_path / "was-a-file")
        make_opaque(tmp_path / "src/made-again")
    except OSError as error:
        pytest.skip(f"no layers here: {error}")
    (tmp_path / "was-a-file/inside").touch()
    tracked = ("src", "src/lock.json", "src/deleted.js", "src/made-again", "was-a-file", "was-a-folder")
    found = uncover_guarded(
        tmp_path, GUARDED, before("src", "src/made-again", "was-a-folder", tracked=tracked)
    )
    assert sorted(found) == ["src/deleted.js", "src/lock.json", "was-a-file", "was-a-folder"]
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()}
    assert left == {"src/new.js", "node_modules/code.js"}
    assert find_in_layer(tmp_path, "src/made-again/committed.js") is LayerLookup.ABSENT
