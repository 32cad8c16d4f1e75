"""Following the user's checkout: what is untouched follows, what the user changed stays."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from conftest import Place

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
def repo(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    place.write("old.md", "old\n")
    place.write("sub/keep.md", "keep\n")
    place.write("user.md", "user\n")
    place.commit()
    opened = open_repository(place.root)
    yield opened
    opened.close()


PATHS = ("old.md", "new/file.md")


def moved(repo: Repository, place: Place) -> tuple[str, str]:
    old = repo.objects.read_commit(place.git("rev-parse", "HEAD")).tree
    blobs = {path: repo.objects.write_blob(f"new {path}\n".encode()) for path in PATHS}
    new = repo.objects.write_tree(old, blobs)
    repo.objects.writer.flush()
    place.git("update-ref", "refs/heads/main", place.git("commit-tree", new, "-p", "HEAD", "-m", "moved"))
    return old, new


def test_what_is_untouched_follows(repo: Repository, place: Place) -> None:
    trees = moved(repo, place)
    assert update_checkout(repo, *trees, PATHS) == Followed()
    assert place.git("status", "--porcelain") == ""
    assert place.read("new/file.md") == "new new/file.md\n"
    assert update_checkout(repo, *trees, PATHS) == Followed(), "again: nothing to do"
    assert place.git("status", "--porcelain") == ""


@pytest.mark.parametrize("links", [True, False])
def test_the_old_index_is_not_written(
    repo: Repository, place: Place, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    """The new one replaces it, also where a killed run has left a second name of it. No other file stays."""
    index, left = (place.root / ".git" / name for name in ("index", "index.gitbatch"))
    left.hardlink_to(index)
    (place.root / "kept").hardlink_to(index)
    before = index.read_bytes()
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse_link)
    with index_lock(repo) if links else nullcontext():
        assert update_checkout(repo, *moved(repo, place), PATHS) == Followed()
    assert (place.root / "kept").read_bytes() == before
    assert index.read_bytes() != before
    assert not left.exists()
    assert place.git("status", "--porcelain") == "?? kept"


def refuse_link(_new: Path, _old: Path) -> None:
    raise OSError(errno.EMLINK, "too many links")


def test_other_changes_of_the_user_are_left_alone(repo: Repository, place: Place) -> None:
    place.write("user.md", "staged\n")
    place.git("add", "user.md")
    place.write("sub/keep.md", "unstaged\n")
    place.write("untracked.md", "untracked\n")
    before = place.git("status", "--porcelain")
    update_checkout(repo, *moved(repo, place), PATHS)
    assert place.git("status", "--porcelain") == before


def test_an_edited_file_stays_and_shows_as_a_change(repo: Repository, place: Place) -> None:
    trees = moved(repo, place)
    place.write("old.md", "mine\n")
    assert update_checkout(repo, *trees, PATHS) == Followed(kept=("old.md",))
    assert place.read("old.md") == "mine\n"
    assert place.git("status", "--porcelain") == " M old.md", (
        "a commit of the user's can't undo the checkpoint"
    )
    assert update_checkout(repo, *trees, PATHS) == Followed(kept=("old.md",)), (
        "whoever asks again is told again"
    )
    assert place.read("old.md") == "mine\n"


def test_a_staged_version_of_the_user_stays(repo: Repository, place: Place) -> None:
    place.write("old.md", "mine\n")
    place.git("add", "old.md")
    assert update_checkout(repo, *moved(repo, place), PATHS).kept == ("old.md",)
    assert place.git("show", ":old.md") == "mine"


@pytest.mark.parametrize("kind", ["untouched", "edited", "staged", "deleted", "neighbour"])
def test_a_file_that_is_taken_away_goes_with_its_empty_folders(
    repo: Repository, place: Place, kind: str
) -> None:
    old, new = moved(repo, place)
    update_checkout(repo, old, new, PATHS)
    without = repo.objects.write_tree(new, {"new/file.md": None})
    repo.objects.writer.flush()
    commit = place.git("commit-tree", without, "-p", "HEAD", "-m", "without")
    place.git("update-ref", "refs/heads/main", commit)
    target = place.root / "new/file.md"
    match kind:
        case "edited":
            target.write_text("mine\n", encoding="utf-8")
        case "staged":
            target.write_text("mine\n", encoding="utf-8")
            place.git("add", "new/file.md")
        case "deleted":
            target.unlink()
        case "neighbour":
            place.write("new/mine.md", "mine\n")
    for _ in range(2):  # again: nothing to do
        kept = update_checkout(repo, new, without, ("new/file.md",)).kept
        assert kept == (("new/file.md",) if kind in {"edited", "staged"} else ())
    assert target.exists() is (kind in {"edited", "staged"})
    assert target.parent.exists() is (kind != "untouched")
    status = {"edited": "?? new/", "staged": "A  new/file.md", "neighbour": "?? new/"}
    assert place.git("status", "--porcelain") == status.get(kind, "")


@pytest.mark.parametrize("kind", ["file", "symlink", "folder", "fifo", "deleted"])
def test_what_stands_in_the_way_stays(repo: Repository, place: Place, kind: str) -> None:
    target = place.root / "old.md"
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
    assert update_checkout(repo, *moved(repo, place), PATHS).kept == ("old.md",)
    assert place.read("user.md") == "user\n"


def test_a_folder_that_became_a_link_is_not_followed(repo: Repository, place: Place) -> None:
    (place.home / "elsewhere").mkdir()
    (place.root / "new").symlink_to(place.home / "elsewhere")
    assert update_checkout(repo, *moved(repo, place), PATHS).kept == ("new/file.md",)
    assert list((place.home / "elsewhere").iterdir()) == []


def test_an_interrupted_following_is_made_good(repo: Repository, place: Place) -> None:
    trees = moved(repo, place)
    place.write("old.md", "new old.md\n")
    assert update_checkout(repo, *trees, PATHS) == Followed()
    assert place.git("status", "--porcelain") == ""


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
    repo: Repository, place: Place, monkeypatch: pytest.MonkeyPatch, call: str, name: str, number: int
) -> None:
    trees = moved(repo, place)
    failing(monkeypatch, call, name, number)
    with pytest.raises(OSError, match=os.strerror(number)) as raised:
        update_checkout(repo, *trees, PATHS)
    assert str(raised.value.filename).startswith(str(place.root)), "it is named"
    monkeypatch.undo()
    assert update_checkout(repo, *trees, PATHS) == Followed()
    assert place.git("status", "--porcelain") == ""


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
    repo: Repository, place: Place, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    failing(monkeypatch, call, "user.md" if call == "open" else ".user.md.", errno.EROFS)
    with pytest.raises(OSError, match="Read-only file system"):
        rewrite_file(repo, "user.md", bytes.upper)
    monkeypatch.undo()
    assert place.read("user.md") == "user\n"
    rewrite_file(repo, "user.md", bytes.upper)
    assert place.read("user.md") == "USER\n"
    (place.root / "old.md").unlink()
    (place.root / "old.md").symlink_to("user.md")
    rewrite_file(repo, "old.md", bytes.upper)
    assert (place.root / "old.md").is_symlink(), "what stands there is the user's"


def test_the_lock_of_the_index_that_could_not_be_removed_is_still_ours(
    repo: Repository, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, mark = place.root / ".git/index.lock", place.root / ".git/gitbatch/index-lock"
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
    repo: Repository, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitbatch.repo.checkout.follow._PATIENCE", 2)
    lock = place.root / ".git" / "index.lock"
    lock.touch()
    with pytest.raises(BusyError, match="index of the checkout is locked"), index_lock(repo):
        pass
    assert lock.exists(), "it is not ours"


def test_while_the_index_is_held_git_has_to_wait(repo: Repository, place: Place) -> None:
    place.write("user.md", "staged\n")
    with index_lock(repo):
        done = subprocess.run(
            ["git", "commit", "-qam", "x"], cwd=place.root, env=place.environment, check=False
        )
        assert done.returncode != 0
    place.git("commit", "-qam", "x")


def test_a_lock_that_a_dead_run_left_is_reclaimed(repo: Repository, place: Place) -> None:
    lock = place.root / ".git" / "index.lock"
    with index_lock(repo):
        (place.root / ".git/gitbatch/kept").hardlink_to(lock)
    (place.root / ".git/gitbatch/kept").rename(place.root / ".git/gitbatch/index-lock")
    lock.hardlink_to(place.root / ".git/gitbatch/index-lock")
    reclaim_index(repo.git_dir, repo.own_dir)
    with index_lock(repo):
        pass
    assert not lock.exists()


def test_uncommitted_names_every_kind_of_change(repo: Repository, place: Place) -> None:
    place.write(".gitignore", "ignored.md\n")
    place.commit()
    place.write("old.md", "unstaged\n")
    place.write("user.md", "staged\n")
    place.git("add", "user.md")
    place.write("untracked.md", "x")
    place.write("ignored.md", "x")
    paths = ("old.md", "user.md", "untracked.md", "ignored.md", "sub/keep.md", "nothing.md", "new*.md")
    assert find_uncommitted(repo, paths) == paths[:4]
    assert find_uncommitted(repo, ()) == ()


def test_uncommitted_names_what_has_no_folder_to_be_in(repo: Repository, place: Place) -> None:
    place.write("file", "committed")
    place.write("folder/tracked.md", "x")
    place.commit()
    place.write("loose", "not committed")
    (place.root / "link").symlink_to("folder")
    paths = ("loose/a.md", "link/deep/b.md", "file/c.md", "folder", "folder/new.md", "none/d.md")
    assert find_uncommitted(repo, paths) == paths[:2]


def test_uncommitted_names_what_is_behind_a_link_that_stands_for_a_folder(
    repo: Repository, place: Place
) -> None:
    place.write("docs/api/keep", "k")
    place.commit()
    (place.root / "docs/api").rename(place.root.parent / "elsewhere")
    (place.root / "docs/api").symlink_to("../../elsewhere")
    (place.root / "docs/api/mine.md").write_text("mine", encoding="utf-8")
    paths = ("docs/api/mine.md", "docs/api/new.md")
    assert find_uncommitted(repo, paths) == paths


def test_files_of_one_folder_follow_together_and_one_that_is_saved_meanwhile_stays(
    repo: Repository, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = repo.objects.read_commit(place.git("rev-parse", "HEAD")).tree
    paths = ("a/1.md", "a/2.md", "a/3.md", "old.md", "user.md")
    new = repo.objects.write_tree(old, {path: repo.objects.write_blob(path.encode()) for path in paths})
    repo.objects.writer.sync()  # as a commit point has done by then
    place.git("update-ref", "refs/heads/main", place.git("commit-tree", new, "-p", "HEAD", "-m", "moved"))
    synced: list[str] = []
    fsync = os.fsync

    def saving(descriptor: int) -> None:
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(place.root))
        synced.append(name)
        if name.startswith("a/.2.md"):
            place.write("a/2.md", "the user's\n")
        if name.startswith(".old.md"):
            place.write("old.md", "the user's\n")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", saving)
    assert update_checkout(repo, old, new, paths) == Followed(("a/2.md", "old.md"))
    assert [place.read(path) for path in paths] == [
        "a/1.md",
        "the user's\n",
        "a/3.md",
        "the user's\n",
        "user.md",
    ]
    assert [name for name in synced if name in {"a", "."}] == ["a", "."], "each folder once"
    assert len(synced) == len(paths) + 3, "and the index"
    assert not list(place.root.rglob(".*.gitbatch"))
