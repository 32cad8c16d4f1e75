"""What commands prepared hides nothing that items write."""

import os
import stat
import sys
from pathlib import Path

import pytest

from gitbatch.batch.extras.result_layer import uncover_guarded
from gitbatch.fs.layers import OPAQUE_ATTRIBUTES, LayerLookup, find_in_layer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has overlays")

GUARDED = frozenset({"out/one.md", "made/two.md", "gone/three.md", "link/four.md", "read-only/five.md"})


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
    uncover_guarded(tmp_path, GUARDED, lambda path: path in {"out", "old"})
    seen = {path: find_in_layer(tmp_path, path) for path in sorted(GUARDED)}
    assert set(seen.values()) == {LayerLookup.ABSENT}, seen
    assert find_in_layer(tmp_path, "out/other.md") is LayerLookup.HIDDEN
    assert find_in_layer(tmp_path, "new/later.md") is LayerLookup.ABSENT
    assert find_in_layer(tmp_path, "old/file.md") is LayerLookup.HIDDEN
    assert [path.name for path in (tmp_path / "read-only").iterdir()] == ["kept.md"]
    assert stat.S_IMODE((tmp_path / "read-only").stat().st_mode) == 0o555
