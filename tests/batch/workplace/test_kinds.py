"""The choice of the kind of worktree, and what it says about the kinds that do not work."""

from pathlib import Path

import pytest

from gitbatch.batch.workplace import kinds
from gitbatch.batch.workplace.kinds import FEW_FILES, KindChoice, WorktreeKind, choose_kind
from gitbatch.errors import GitbatchError, UsageError


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "worktrees", tmp_path / "layers"


def refuse(monkeypatch: pytest.MonkeyPatch, overlay: str, clone: str) -> None:
    monkeypatch.setattr(kinds, "_find_overlay_problem", lambda *_: overlay)
    monkeypatch.setattr(kinds, "find_clone_problem", lambda *_: clone)


@pytest.mark.parametrize(
    ("overlay", "clone", "text"),
    [
        ("", "", "overlay"),
        ("no mounts", "", "clone (overlay: no mounts)"),
        ("no mounts", "no reflinks", "copy (overlay: no mounts; clone: no reflinks)"),
    ],
)
def test_the_first_that_works(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, overlay: str, clone: str, text: str
) -> None:
    refuse(monkeypatch, overlay, clone)
    assert choose_kind("auto", (), *folders).text == text


def test_few_files_are_copied(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "", "")
    text = "copy (3 files of a context, which cost less than a mount)"
    assert choose_kind("auto", (), *folders, 3).text == text
    assert choose_kind("auto", (), *folders, FEW_FILES + 1).kind is WorktreeKind.OVERLAY
    assert choose_kind("overlay", (), *folders, 3).kind is WorktreeKind.OVERLAY


def test_a_kind_that_is_asked_for(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "no mounts", "the file system has no reflinks")
    assert choose_kind("copy", (), *folders) == KindChoice(WorktreeKind.COPY)
    with pytest.raises(GitbatchError, match="kind clone: the file system has no reflinks"):
        choose_kind("clone", (), *folders)
    with pytest.raises(UsageError, match="GITBATCH_WORKTREE is hardlink"):
        choose_kind("hardlink", (), *folders)
    refuse(monkeypatch, "no mounts", "")
    assert choose_kind("clone", (), *folders) == KindChoice(WorktreeKind.CLONE)
