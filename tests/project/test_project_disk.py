"""The disk says the same as a commit of it would."""

from pathlib import Path

import pytest
from project.file_tree import FileTree

from gitbatch.errors import PlanError
from gitbatch.project.config import Config
from gitbatch.project.disk import DiskSnapshot
from gitbatch.project.scope import find_active_phase
from gitbatch.project.snapshot import Listing

FILES = {"task.md": "plan", "docs/a.md": "a", "docs/deep/ü b.md": "b", "docs.md": "c"}


@pytest.fixture
def disk(tmp_path: Path) -> DiskSnapshot:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return DiskSnapshot(tmp_path)


STRANGE = ["a\0b", "x" * 5000, "\udc80"]


@pytest.mark.parametrize(
    "path", [*FILES, "missing.md", "docs", "task.md/x", *STRANGE], ids=lambda path: ascii(path[:20])
)
def test_a_file_is_read_as_it_is(disk: DiskSnapshot, path: str) -> None:
    assert disk.read(path) == FileTree(FILES).read(path)


@pytest.mark.parametrize(
    "folder", ["docs", "docs/deep", "missing", "task.md", *STRANGE], ids=lambda path: ascii(path[:20])
)
def test_a_folder_has_the_same_files(disk: DiskSnapshot, folder: str) -> None:
    assert disk.files(folder) == FileTree(FILES).files(folder)
    assert disk.list_folder(folder) == FileTree(FILES).list_folder(folder)


def test_the_names_at_the_top(disk: DiskSnapshot) -> None:
    assert disk.list_folder("") == Listing(("docs.md", "task.md"), ("docs",))


def test_a_blob_tells_contents_apart(disk: DiskSnapshot) -> None:
    before = disk.blob("docs/a.md")
    assert before is not None
    assert disk.blob("missing.md") is None
    (disk.root / "same.md").write_text("a")
    assert disk.blob("same.md") == before
    (disk.root / "docs/a.md").write_text("other")
    assert disk.blob("docs/a.md") != before


@pytest.mark.rule("O2")
@pytest.mark.parametrize("target", [".", "..", "../..", "/", "//tmp", "./task.md", "docs/.."])
def test_no_phase_is_the_whole_project_or_outside_it(disk: DiskSnapshot, target: str) -> None:
    (disk.root / "CLAUDE.md").write_text(f"## Active Scope\n\n[x]({target})\n")
    with pytest.raises(PlanError, match="names no phase"):
        find_active_phase(disk, Config())
    (disk.root / "CLAUDE.md").write_text(f"## Active Scope\n\nPhase: ../../{target}/../x/..\n")
    with pytest.raises(PlanError, match="has no folder"):
        find_active_phase(disk, Config())
