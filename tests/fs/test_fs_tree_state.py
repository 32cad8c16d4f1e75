"""What changed below a folder since it was looked at."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gitbatch.fs.tree_state import find_changed_paths, read_tree_state
from gitbatch.repo.worktrees.worktree import wait_for_ctime_tick


def _replace(root: Path) -> None:
    (root / "new").write_text("a")
    (root / "new").rename(root / "a/one")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda _: None, ()),
        (lambda root: (root / "a/one").read_text(), ()),
        (lambda root: (root / "b").mkdir(), ()),
        (lambda root: (root / "a/two").write_text("x"), ("a/two",)),
        (lambda root: (root / "a/one").write_text("a"), ("a/one",)),
        (lambda root: (root / "a/one").chmod(0o600), ("a/one",)),
        (lambda root: (root / "a/one").unlink(), ("a/one",)),
        (lambda root: (root / "a").rename(root / "b"), ("a/one", "b/one")),
        (lambda root: (root / "b").symlink_to("/"), ("b",)),
        (_replace, ("a/one",)),
    ],
)
def test_every_change_of_a_file_is_seen(
    tmp_path: Path, change: Callable[[Path], object], expected: tuple[str, ...]
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one").write_text("a")
    (tmp_path / ".git").write_text("gitdir: x")
    wait_for_ctime_tick(tmp_path)
    before = read_tree_state(tmp_path)
    change(tmp_path)
    assert find_changed_paths(before, read_tree_state(tmp_path)) == expected


def test_a_folder_that_is_gone_has_lost_its_files(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("a")
    before = read_tree_state(tmp_path)
    assert find_changed_paths(before, read_tree_state(tmp_path / "gone")) == ("one",)
