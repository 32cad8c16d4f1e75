"""Clones of a template: what git checks out, with an index that belongs to the clones.

Where the file system of the tests has no reflinks, files are copied in their place, and only the call is tried.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Workspace
from shown import read_folder, require_right_index

from gitbatch.fs import cloning
from gitbatch.fs.cloning import clone_file, find_clone_problem
from gitbatch.repo.opening import open_repository
from gitbatch.repo.templates.cloned import clone_checkout
from gitbatch.repo.templates.templates import Templates, open_templates


@pytest.fixture
def templates(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Templates]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.write(".gitattributes", "*.txt eol=crlf\n")
    for path in ("a/1.md", "a/2.txt", "b/c/3.md", "top.md"):
        workspace.write(path, f"{path}\n")
    (workspace.root / "link").symlink_to("a")
    (workspace.root / "top.md").chmod(0o755)
    workspace.commit()
    if find_clone_problem(tmp_path, tmp_path):
        monkeypatch.setattr(cloning, "_cloning_call", lambda: shutil.copy)
    opened = open_repository(workspace.root)
    with closing(opened), open_templates(opened, tmp_path / "cache") as made:
        yield made


def require_clone(templates: Templates, workspace: Workspace, folder: Path) -> None:
    """Requires that a clone is what git checks out."""
    commit = workspace.git("rev-parse", "HEAD")
    workspace.git("worktree", "add", "-q", "--detach", str(folder / "checkout"), commit)
    (folder / "clone").mkdir()
    clone_checkout(templates, folder / "clone", folder / "index", commit)
    assert read_folder(folder / "clone") == read_folder(folder / "checkout")
    tree = workspace.git("rev-parse", "HEAD^{tree}")
    require_right_index(workspace, folder / "index", tree, (folder / "clone",))


def test_a_clone_is_what_git_checks_out(templates: Templates, workspace: Workspace, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        require_clone(templates, workspace, tmp_path / str(number))
        workspace.write(f"a/{number}/new.txt", "new\n")
        workspace.git("rm", "-rq", ("b", "link", "top.md")[number])
        workspace.write(("b", "link/x", "top.md/y")[number], "another kind\n")
        workspace.commit()


def test_why_there_are_no_clones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int) -> None:
        def fail(*_: str) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(cloning, "_cloning_call", lambda: fail)

    refuse(errno.EXDEV)
    assert "different file systems" in find_clone_problem(tmp_path, tmp_path)
    refuse(errno.EOPNOTSUPP)
    assert find_clone_problem(tmp_path, tmp_path) == "the file system has no reflinks"
    refuse(errno.EROFS)
    assert find_clone_problem(tmp_path, tmp_path) == os.strerror(errno.EROFS)
    monkeypatch.setattr(cloning, "_cloning_call", lambda: shutil.copy)
    assert find_clone_problem(tmp_path, tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_a_clone_is_a_clone_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    (tmp_path / "a").chmod(0o751)
    if find_clone_problem(tmp_path, tmp_path):
        with pytest.raises(OSError, match=r"\w"):
            clone_file(str(tmp_path / "a"), str(tmp_path / "b"))
        return
    clone_file(str(tmp_path / "a"), str(tmp_path / "b"))
    assert ((tmp_path / "b").read_text(), (tmp_path / "b").stat().st_mode & 0o777) == ("text", 0o751)
