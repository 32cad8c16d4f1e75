"""Listing refs from their files: each case against git itself."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.repo.refs.listing import list_ref_files

PREFIX = "refs/gitbatch/"
OTHER = "1" * 40
"""An object that does not exist: git lists such a ref as well."""


@pytest.fixture
def git_dir(tmp_path: Path) -> Path:
    """Returns a git directory as far as refs go: loose ones, packed ones, and what is not a ref."""
    made = tmp_path / "refs alone"
    made.mkdir()
    packed = {f"{PREFIX}packed/{name}": "2" * 40 for name in ("moved", "only")}
    lines = "".join(f"{oid} {ref}\n^{OTHER}\n" for ref, oid in packed.items())
    (made / "packed-refs").write_text(f"# pack-refs with: peeled fully-peeled sorted \n{lines}")
    for name in ("d/base", "d/deep/er/1.2-x", "packed/moved", "d/base.lock", "d/.hidden"):
        put(made, name, OTHER)
    (made / PREFIX / "empty/folder").mkdir(parents=True)
    return made


def put(git_dir: Path, name: str, content: str) -> None:
    file = git_dir / PREFIX / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{content}\n")


def list_in(git_dir: Path, prefix: str = PREFIX) -> dict[str, str] | None:
    return list_ref_files(str(git_dir), prefix, 40)


def test_as_git_lists_them(git_dir: Path, workspace: Workspace) -> None:
    """Loose, packed and both; no lock, no hidden file, no empty folder; in git's order."""
    shutil.copytree(git_dir, workspace.root / ".git", dirs_exist_ok=True)
    listed = workspace.git("for-each-ref", "--format=%(refname) %(objectname)", PREFIX).splitlines()
    found = list_in(workspace.root / ".git")
    assert found is not None
    assert [f"{ref} {oid}" for ref, oid in found.items()] == listed
    assert len(listed) == 4
    assert found[f"{PREFIX}packed/moved"] == OTHER
    below = {ref: oid for ref, oid in found.items() if ref.startswith(f"{PREFIX}d/")}
    assert list_in(git_dir, f"{PREFIX}d/") == below
    assert list_in(git_dir, f"{PREFIX}missing/") == {}


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda workspace: put(workspace, "e/base", "ref: refs/heads/main"), id="symbolic"),
        pytest.param(lambda workspace: put(workspace, "e/base", "0" * 40), id="null"),
        pytest.param(lambda workspace: put(workspace, "e/base", OTHER[:39]), id="short"),
        pytest.param(lambda workspace: put(workspace, "e/base", "1" * 64), id="of another format"),
        pytest.param(lambda workspace: put(workspace, "e/ba~se", OTHER), id="invalid name"),
        pytest.param(lambda workspace: put(workspace, "e/b..c", OTHER), id="two dots"),
        pytest.param(lambda workspace: put(workspace, "e/ä", OTHER), id="not ascii"),
        pytest.param(lambda workspace: (workspace / PREFIX / "e").symlink_to("d"), id="link"),
        pytest.param(lambda workspace: os.mkfifo(workspace / PREFIX / "e"), id="pipe"),
        pytest.param(
            lambda workspace: put_packed(workspace, f"{OTHER} {PREFIX}e/b..c"), id="packed invalid name"
        ),
        pytest.param(
            lambda workspace: put_packed(workspace, f"{OTHER[:39]} {PREFIX}e/base"), id="packed short"
        ),
        pytest.param(lambda workspace: put_many(workspace, 301), id="many"),
    ],
)
def test_git_is_asked_about_what_is_unusual(git_dir: Path, spoil: Callable[[Path], object]) -> None:
    """What git would ignore, resolve or refuse is left to git."""
    spoil(git_dir)
    assert list_in(git_dir) is None
    assert list_in(git_dir, f"{PREFIX}d/") is not None


def put_many(git_dir: Path, count: int) -> None:
    for number in range(count):
        put(git_dir, f"e/{number}", OTHER)


def put_packed(git_dir: Path, line: str) -> None:
    with (git_dir / "packed-refs").open("a") as file:
        file.write(f"{line}\n")


def test_git_is_asked_where_many_refs_are_packed(git_dir: Path) -> None:
    """A repository may have a million of them, of which a run needs a few."""
    put_packed(git_dir, f"{OTHER} refs/tags/{'x' * 99}\n" * 4000)
    assert list_in(git_dir) is None


def test_git_is_asked_about_refs_of_one_worktree(git_dir: Path) -> None:
    """`refs/bisect/` and others are in the worktree's own git directory."""
    assert list_in(git_dir, "refs/") is None
    assert list_in(git_dir, "refs/bisect/") is None
