"""Following the user's checkout: what is untouched follows, what the user changed stays."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from conftest import Workspace

from gitbatch.errors import BusyError
from gitbatch.repo.checkout.follow import (
    Followed,
    find_uncommitted,
    index_lock,
    rewrite_file,
    update_checkout,
)
from gitbatch.repo.opening import open_repository
from gitbatch.repo.refs.lock_files import reclaim_index
from gitbatch.repo.repository import Repository


@pytest.fixture
def repo(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.write("old.md", "old\n")
    workspace.write("sub/keep.md", "keep\n")
    workspace.write("user.md", "user\n")
    workspace.commit()
    opened = open_repository(workspace.root)
    yield opened
    opened.close()


PATHS = ("old.md", "new/file.md")


def moved(repo: Repository, workspace: Workspace) -> tuple[str, str]:
    old = repo.objects.read_commit(workspace.git("rev-parse", "HEAD")).tree
    blobs = {path: repo.objects.write_blob(f"new {path}\n".encode()) for path in PATHS}
    new = repo.objects.write_tree(old, blobs)
    repo.objects.writer.flush()
    workspace.git(
        "update-ref", "refs/heads/main", workspace.git("commit-tree", new, "-p", "HEAD", "-m", "moved")
    )
    return old, new


def test_what_is_untouched_follows(repo: Repository, workspace: Workspace) -> None:
    trees = moved(repo, workspace)
    assert update_checkout(repo, *trees, PATHS) == Followed()
    assert workspace.git("status", "--porcelain") == ""
    assert workspace.read("new/file.md") == "new new/file.md\n"
    assert update_checkout(repo, *trees, PATHS) == Followed(), "again: nothing to do"
    assert workspace.git("status", "--porcelain") == ""


@pytest.mark.parametrize("links", [True, False])
def test_the_old_index_is_not_written(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    """The new one replaces it, also where a killed run has left a second name of it. No other file stays."""
    index, left = (workspace.root / ".git" / name for name in ("index", "index.gitbatch"))
    left.hardlink_to(index)
    (workspace.root / "kept").hardlink_to(index)
    before = index.read_bytes()
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse_link)
    with index_lock(repo) if links else nullcontext():
        assert update_checkout(repo, *moved(repo, workspace), PATHS) == Followed()
    assert (workspace.root / "kept").read_bytes() == before
    assert index.read_bytes() != before
    assert not left.exists()
    assert workspace.git("status", "--porcelain") == "?? kept"


def refuse_link(_new: Path, _old: Path) -> None:
    raise OSError(errno.EMLINK, "too many links")


def test_other_changes_of_the_user_are_left_alone(repo: Repository, workspace: Workspace) -> None:
    workspace.write("user.md", "staged\n")
    workspace.git("add", "user.md")
    workspace.write("sub/keep.md", "unstaged\n")
    workspace.write("untracked.md", "untracked\n")
    before = workspace.git("status", "--porcelain")
    update_checkout(repo, *moved(repo, workspace), PATHS)
    assert workspace.git("status", "--porcelain") == before


def test_an_edited_file_stays_and_shows_as_a_change(repo: Repository, workspace: Workspace) -> None:
    trees = moved(repo, workspace)
    workspace.write("old.md", "mine\n")
    assert update_checkout(repo, *trees, PATHS) == Followed(kept=("old.md",))
    assert workspace.read("old.md") == "mine\n"
    assert workspace.git("status", "--porcelain") == " M old.md", (
        "a commit of the user's can't undo the checkpoint"
    )
    assert update_checkout(repo, *trees, PATHS) == Followed(kept=("old.md",)), (
        "whoever asks again is told again"
    )
    assert workspace.read("old.md") == "mine\n"


def test_a_staged_version_of_the_user_stays(repo: Repository, workspace: Workspace) -> None:
    workspace.write("old.md", "mine\n")
    workspace.git("add", "old.md")
    assert update_checkout(repo, *moved(repo, workspace), PATHS).kept == ("old.md",)
    assert workspace.git("show", ":old.md") == "mine"


@pytest.mark.parametrize("kind", ["untouched", "edited", "staged", "deleted", "neighbour"])
def test_a_file_that_is_taken_away_goes_with_its_empty_folders(
    repo: Repository, workspace: Workspace, kind: str
) -> None:
    old, new = moved(repo, workspace)
    update_checkout(repo, old, new, PATHS)
    without = repo.objects.write_tree(new, {"new/file.md": None})
    repo.objects.writer.flush()
    commit = workspace.git("commit-tree", without, "-p", "HEAD", "-m", "without")
    workspace.git("update-ref", "refs/heads/main", commit)
    target = workspace.root / "new/file.md"
    match kind:
        case "edited":
            target.write_text("mine\n", encoding="utf-8")
        case "staged":
            target.write_text("mine\n", encoding="utf-8")
            workspace.git("add", "new/file.md")
        case "deleted":
            target.unlink()
        case "neighbour":
            workspace.write("new/mine.md", "mine\n")
    for _ in range(2):  # again: nothing to do
        kept = update_checkout(repo, new, without, ("new/file.md",)).kept
        assert kept == (("new/file.md",) if kind in {"edited", "staged"} else ())
    assert target.exists() is (kind in {"edited", "staged"})
    assert target.parent.exists() is (kind != "untouched")
    status = {"edited": "?? new/", "staged": "A  new/file.md", "neighbour": "?? new/"}
    assert workspace.git("status", "--porcelain") == status.get(kind, "")


@pytest.mark.parametrize("kind", ["file", "symlink", "folder", "fifo", "deleted"])
def test_what_stands_in_the_way_stays(repo: Repository, workspace: Workspace, kind: str) -> None:
    target = workspace.root / "old.md"
    target.unlink()
    match kind:
        case "file":
            target.write_text("other\n", encoding="utf-8")
        case "symlink":
            target.symlink_to("user.md")
        case "folder":
            target.mkdir()
            (target / "x").write_text("x", encoding="utf-8")
        case "fifo":
            os.mkfifo(target)
    assert update_checkout(repo, *moved(repo, workspace), PATHS).kept == ("old.md",)
    assert workspace.read("user.md") == "user\n"


def test_a_folder_that_became_a_link_is_not_followed(repo: Repository, workspace: Workspace) -> None:
    (workspace.home / "elsewhere").mkdir()
    (workspace.root / "new").symlink_to(workspace.home / "elsewhere")
    assert update_checkout(repo, *moved(repo, workspace), PATHS).kept == ("new/file.md",)
    assert list((workspace.home / "elsewhere").iterdir()) == []


def test_an_interrupted_following_is_made_good(repo: Repository, workspace: Workspace) -> None:
    trees = moved(repo, workspace)
    workspace.write("old.md", "new old.md\n")
    assert update_checkout(repo, *trees, PATHS) == Followed()
    assert workspace.git("status", "--porcelain") == ""


CALLS = (
    ("mkdir", "new"),
    ("open", "old.md"),
    ("open", "new"),
    ("rename", ".old.md."),
    ("unlink", ".old.md."),
    ("stat", "file.md"),
)


@pytest.mark.parametrize(("call", "name"), CALLS)
@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_an_error_of_the_disk_is_not_the_users_version(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, call: str, name: str, number: int
) -> None:
    trees = moved(repo, workspace)
    failing(monkeypatch, call, name, number)
    with pytest.raises(OSError, match=os.strerror(number)) as raised:
        update_checkout(repo, *trees, PATHS)
    assert str(raised.value.filename).startswith(str(workspace.root)), "it is named"
    monkeypatch.undo()
    assert update_checkout(repo, *trees, PATHS) == Followed()
    assert workspace.git("status", "--porcelain") == ""


def failing(monkeypatch: pytest.MonkeyPatch, call: str, name: str, number: int) -> None:
    """Let a system call fail for paths that start with a name."""
    really = getattr(os, call)

    def fails(path: object, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever it takes
        if str(path).startswith(name):
            raise OSError(number, os.strerror(number), path)
        return really(path, *arguments, **options)

    monkeypatch.setattr(os, call, fails)


@pytest.mark.parametrize("call", ["open", "rename"])
def test_an_error_of_the_disk_keeps_a_version_of_the_users_from_being_rewritten(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    failing(monkeypatch, call, "user.md" if call == "open" else ".user.md.", errno.EROFS)
    with pytest.raises(OSError, match="Read-only file system"):
        rewrite_file(repo, "user.md", bytes.upper)
    monkeypatch.undo()
    assert workspace.read("user.md") == "user\n"
    rewrite_file(repo, "user.md", bytes.upper)
    assert workspace.read("user.md") == "USER\n"
    (workspace.root / "old.md").unlink()
    (workspace.root / "old.md").symlink_to("user.md")
    rewrite_file(repo, "old.md", bytes.upper)
    assert (workspace.root / "old.md").is_symlink(), "what stands there is the user's"


def test_the_lock_of_the_index_that_could_not_be_removed_is_still_ours(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, mark = workspace.root / ".git/index.lock", workspace.root / ".git/gitbatch/index-lock"
    failing(monkeypatch, "unlink", str(lock), errno.EIO)
    with pytest.raises(OSError, match="Input/output error"), index_lock(repo):
        pass
    assert lock.samefile(mark)
    monkeypatch.undo()
    with index_lock(repo):
        assert lock.samefile(mark), "taken by the next one of the same process"
    assert not lock.exists()
    assert not mark.exists()


def test_the_index_of_a_live_git_is_waited_for_then_busy(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitbatch.repo.checkout.follow._PATIENCE", 2)
    lock = workspace.root / ".git" / "index.lock"
    lock.touch()
    with pytest.raises(BusyError, match="index of the checkout is locked"), index_lock(repo):
        pass
    assert lock.exists(), "it is not ours"


def test_while_the_index_is_held_git_has_to_wait(repo: Repository, workspace: Workspace) -> None:
    workspace.write("user.md", "staged\n")
    with index_lock(repo):
        done = subprocess.run(
            ["git", "commit", "-qam", "x"], cwd=workspace.root, env=workspace.environment, check=False
        )
        assert done.returncode != 0
    workspace.git("commit", "-qam", "x")


def test_a_lock_that_a_dead_run_left_is_reclaimed(repo: Repository, workspace: Workspace) -> None:
    lock = workspace.root / ".git" / "index.lock"
    with index_lock(repo):
        (workspace.root / ".git/gitbatch/kept").hardlink_to(lock)
    (workspace.root / ".git/gitbatch/kept").rename(workspace.root / ".git/gitbatch/index-lock")
    lock.hardlink_to(workspace.root / ".git/gitbatch/index-lock")
    reclaim_index(repo.git_dir, repo.own_dir)
    with index_lock(repo):
        pass
    assert not lock.exists()


def test_uncommitted_names_every_kind_of_change(repo: Repository, workspace: Workspace) -> None:
    workspace.write(".gitignore", "ignored.md\n")
    workspace.commit()
    workspace.write("old.md", "unstaged\n")
    workspace.write("user.md", "staged\n")
    workspace.git("add", "user.md")
    workspace.write("untracked.md", "x")
    workspace.write("ignored.md", "x")
    paths = ("old.md", "user.md", "untracked.md", "ignored.md", "sub/keep.md", "nothing.md", "new*.md")
    assert find_uncommitted(repo, paths) == paths[:4]
    assert find_uncommitted(repo, ()) == ()


def test_uncommitted_names_what_has_no_folder_to_be_in(repo: Repository, workspace: Workspace) -> None:
    workspace.write("file", "committed")
    workspace.write("folder/tracked.md", "x")
    workspace.commit()
    workspace.write("loose", "not committed")
    (workspace.root / "link").symlink_to("folder")
    paths = ("loose/a.md", "link/deep/b.md", "file/c.md", "folder", "folder/new.md", "none/d.md")
    assert find_uncommitted(repo, paths) == paths[:2]


def test_uncommitted_names_what_is_behind_a_link_that_stands_for_a_folder(
    repo: Repository, workspace: Workspace
) -> None:
    workspace.write("docs/api/keep", "k")
    workspace.commit()
    (workspace.root / "docs/api").rename(workspace.root.parent / "elsewhere")
    (workspace.root / "docs/api").symlink_to("../../elsewhere")
    (workspace.root / "docs/api/mine.md").write_text("mine", encoding="utf-8")
    paths = ("docs/api/mine.md", "docs/api/new.md")
    assert find_uncommitted(repo, paths) == paths


def test_files_of_one_folder_follow_together_and_one_that_is_saved_meanwhile_stays(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = repo.objects.read_commit(workspace.git("rev-parse", "HEAD")).tree
    paths = ("a/1.md", "a/2.md", "a/3.md", "old.md", "user.md")
    new = repo.objects.write_tree(old, {path: repo.objects.write_blob(path.encode()) for path in paths})
    repo.objects.writer.sync()  # as a commit point has done by then
    workspace.git(
        "update-ref", "refs/heads/main", workspace.git("commit-tree", new, "-p", "HEAD", "-m", "moved")
    )
    synced: list[str] = []
    fsync = os.fsync

    def saving(descriptor: int) -> None:
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(workspace.root))
        synced.append(name)
        if name.startswith("a/.2.md"):
            workspace.write("a/2.md", "the user's\n")
        if name.startswith(".old.md"):
            workspace.write("old.md", "the user's\n")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", saving)
    assert update_checkout(repo, old, new, paths) == Followed(("a/2.md", "old.md"))
    assert [workspace.read(path) for path in paths] == [
        "a/1.md",
        "the user's\n",
        "a/3.md",
        "the user's\n",
        "user.md",
    ]
    assert [name for name in synced if name in {"a", "."}] == ["a", "."], "each folder once"
    assert len(synced) == len(paths) + 3, "and the index"
    assert not list(workspace.root.rglob(".*.gitbatch"))
