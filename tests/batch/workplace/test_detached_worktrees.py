"""What commands changed in a worktree becomes a layer."""

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from gitbatch.batch.workplace.detached_worktrees import _take_upper
from gitbatch.fs.layers import LayerLookup, find_in_layer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has overlays")


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    made = tmp_path / "upper"
    (made / "replaced/deep").mkdir(parents=True)
    (made / "replaced/deep/new.js").write_text("new")
    (made / ".git").write_text("gitdir: x")
    (made / "link").symlink_to("/usr")
    try:
        os.setxattr(made / "replaced", "user.overlay.opaque", b"y")
        (made / "gone").mkdir()
        os.mknod(made / "gone/file", stat.S_IFCHR, 0)
    except OSError as error:
        pytest.skip(f"no layers here: {error}")
    return made


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_layer_keeps_what_it_says(
    upper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_elsewhere: bool
) -> None:
    """It is moved; to another file system it is copied, with its whiteouts and opaque folders."""
    target = tmp_path / "layer/tree"
    target.mkdir(parents=True)

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    with monkeypatch.context() as patch:
        if is_elsewhere:
            patch.setattr(Path, "rename", refuse)
        _take_upper(upper, target)
    assert upper.exists() is is_elsewhere
    assert not (target / ".git").exists()
    assert (target / "replaced/deep/new.js").read_text() == "new"
    assert (target / "link").readlink() == Path("/usr")
    assert find_in_layer(target, "replaced/old.js") is LayerLookup.HIDDEN
    assert find_in_layer(target, "gone/file") is LayerLookup.HIDDEN
    assert find_in_layer(target, "other") is LayerLookup.ABSENT
