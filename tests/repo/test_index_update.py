"""Changing a few entries of an index without git: the bytes are those that git writes, and what is left to git."""

import errno
import os
import random
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Workspace

from gitbatch.repo.checkout import index_update
from gitbatch.repo.checkout.files import FileChange
from gitbatch.repo.checkout.index_update import update_index
from gitbatch.repo.index_bytes import UnreadableIndexError, write_index
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository

NAMES = ("a", "a-b", "a.b", "b", "docs", "src", "z" * 120, "ä", "m1", "m10")
LONG = f"{'z' * 250}/" * 17 + "name"


@pytest.fixture(params=["sha1", "sha256"])
def repo(workspace: Workspace, request: pytest.FixtureRequest) -> Iterator[Repository]:
    if request.param == "sha256":
        shutil.rmtree(workspace.root / ".git")
        workspace.git("init", "-q", "-b", "main", "--object-format=sha256")
    workspace.write("files/one", "1\n")
    workspace.write("files/two", "2\n")
    for path in ("files/one", "files/two"):
        os.utime(workspace.root / path, (1_000_000_000, 1_000_000_000))
    workspace.commit()
    opened = open_repository(workspace.root)
    yield opened
    opened.close()


sha1_alone = pytest.mark.parametrize("repo", ["sha1"], indirect=True)


def test_the_bytes_are_those_of_git(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is added, replaced and removed: entries, cached trees, resolved conflicts and the digest are git's."""
    drawn = random.Random(4)  # noqa: S311 - the same cases each time
    index, kept = repo.git_dir / "index", repo.git_dir / "kept"
    blobs = [repo.objects.write_blob(b"%d" % number) for number in range(3)]
    repo.objects.writer.flush()
    workspace.git("config", "index.recordEndOfIndexEntries", "true")
    sides = "".join(f"100644 {blobs[0]} {stage}\tresolved\0" for stage in (1, 2, 3))
    workspace.git("update-index", "-z", "--index-info", given=sides)
    workspace.git("update-index", "--add", "--cacheinfo", f"100644,{blobs[1]},resolved")
    assert all(kind in index.read_bytes() for kind in (b"TREE", b"REUC", b"EOIE"))
    for round_ in range(5):
        paths = sorted({draw_path(drawn) for _ in range(drawn.choice((0, 1, 9, 300)))} | {LONG})
        lines = (f"{drawn.choice(('100644', '100755'))} {drawn.choice(blobs)}\t{path}\0" for path in paths)
        workspace.git("update-index", "-z", "--index-info", given="".join(lines))
        workspace.git("write-tree")
        staged = workspace.git("ls-files", "-z").split("\0")[:-1]
        changes: list[FileChange] = []
        for _ in range(drawn.choice((1, 3, 30))):
            path = drawn.choice((*staged, *staged, draw_path(drawn)))
            if is_free(path, [*staged, *(change.path for change in changes)]):
                changes.append(FileChange(path, None, drawn.choice((*blobs, ""))))
        shutil.copy2(index, kept)
        before = index.stat()
        with monkeypatch.context() as patch:
            patch.setattr(index_update, "_leave_to_git", lambda *_: pytest.fail("left to git"))
            update_index(repo, changes)
        ours, after = index.read_bytes(), index.stat()
        kept.replace(index)
        with monkeypatch.context() as patch:
            patch.setattr(index_update, "_write_changed", refuse)
            update_index(repo, changes)
        assert ours == index.read_bytes(), (round_, changes)
        assert after.st_mode == before.st_mode
        assert not (repo.git_dir / "index.gitbatch").exists()


def draw_path(drawn: random.Random) -> str:
    return "/".join(drawn.choice(NAMES) for _ in range(drawn.randint(1, 4)))


def is_free(path: str, staged: list[str]) -> bool:
    """Whether no folder is replaced by a file, or the other way round."""
    return not any(one.startswith(f"{path}/") or path.startswith(f"{one}/") for one in staged)


def refuse(*_: object) -> None:
    raise UnreadableIndexError


@sha1_alone
def test_a_file_that_was_saved_in_the_moment_of_the_index_is_still_read(
    repo: Repository, workspace: Workspace
) -> None:
    """It looks unchanged but for the time of the index, which git would use to mark it."""
    workspace.git("config", "core.trustctime", "false")
    workspace.write("files/one", "x\n")
    for path in (workspace.root / "files/one", repo.git_dir / "index"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert workspace.git("--no-optional-locks", "status", "--porcelain") == " M files/one"
    for number in range(2):
        blob = repo.objects.write_blob(b"%d" % number)
        update_index(repo, [FileChange("new", None, blob)])
    workspace.write("new", "1")
    assert workspace.git("status", "--porcelain") == " M files/one\nA  new"


@sha1_alone
def test_each_new_index_is_older_than_the_last(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another size or not, and whatever happens to the old one meanwhile: none has the time and size of one before it."""
    index = repo.git_dir / "index"
    blobs = [repo.objects.write_blob(b"%d" % number) for number in range(2)]

    def write_and_touch(made: Path, *rest: Any) -> None:  # noqa: ANN401 - whatever it takes
        write_index(made, *rest)
        os.utime(index)

    monkeypatch.setattr(index_update, "write_index", write_and_touch)
    seen = [index.stat()]
    for changes in ({"new": blobs[0]}, {"new": blobs[1]}, {"new": ""}, {"abc": blobs[0]}):
        update_index(repo, [FileChange(path, None, blob) for path, blob in changes.items()])
        seen.append(index.stat())
    times = [status.st_mtime_ns for status in seen]
    assert times == sorted(set(times), reverse=True)
    assert (
        times[1] - times[2] == 1_000_000_000
    )  # the same size: programs that look at the second alone see it, too
    assert times[0] // 1_000_000_000 - times[-1] // 1_000_000_000 <= 2
    assert workspace.git("ls-files") == "abc\nfiles/one\nfiles/two"


FORMS: dict[str, Callable[[Workspace], object]] = {
    "version 4": lambda p: p.git("update-index", "--index-version", "4"),
    "split": lambda p: p.git("update-index", "--split-index"),
    "sparse checkout": lambda p: p.git("update-index", "--skip-worktree", "files/two"),
    "untracked cache": lambda p: p.git("update-index", "--force-untracked-cache"),
    "a link": lambda p: link_index(p.root / ".git"),
    "none": lambda p: (p.root / ".git/index").unlink(),
    "without a time": lambda p: os.utime(p.root / ".git/index", (0, 0)),
    "without an earlier time": lambda p: os.utime(p.root / ".git/index", (1, 1)),
    "conflict": lambda p: p.git("update-index", "-z", "--index-info", given=conflict(p)),
    "a file instead of a folder": lambda p: p.git("mv", "files", "new"),
    "a folder instead of a file": lambda p: p.git("mv", "files/one", "docs"),
}


def link_index(git_dir: Path) -> None:
    (git_dir / "index").rename(git_dir / "elsewhere")
    (git_dir / "index").symlink_to("elsewhere")


def conflict(workspace: Workspace) -> str:
    blob = workspace.git("rev-parse", "HEAD:files/one")
    return f"0 {'0' * 40}\tfiles/one\0" + "".join(f"100644 {blob} {s}\tfiles/one\0" for s in (1, 2, 3))


@sha1_alone
@pytest.mark.parametrize("error", [None, PermissionError])
def test_git_writes_where_a_file_keeps_no_time(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, error: type[OSError] | None
) -> None:
    """With the time of its writing, an index would hide files that were saved since the last look at them."""

    def set_no_time(*_: object, **__: object) -> None:
        if error:
            raise error

    workspace.git("config", "core.trustctime", "false")
    workspace.write("files/one", "x\n")
    for path in (workspace.root / "files/one", repo.git_dir / "index"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    change = FileChange("new", None, repo.objects.write_blob(b"new"))
    repo.objects.writer.sync()
    with closing(open_repository(workspace.root)) as opened:  # with that setting
        monkeypatch.setattr(os, "utime", set_no_time)
        update_index(opened, [change])
    workspace.write("new", "new")
    assert workspace.git("status", "--porcelain") == " M files/one\nA  new"


@sha1_alone
def test_two_that_exclude_each_other_are_left_to_git(repo: Repository, workspace: Workspace) -> None:
    blob = repo.objects.write_blob(b"new")
    update_index(repo, [FileChange(path, None, blob) for path in ("docs", "docs/x")])
    assert workspace.git("ls-files", "docs") == "docs/x"


@sha1_alone
@pytest.mark.parametrize("form", FORMS)
def test_other_forms_are_left_to_git(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Entries that git would remove, too; another version; other extensions."""
    FORMS[form](workspace)
    asked: list[str] = []
    leave = index_update._leave_to_git

    def note(*given: Any) -> None:  # noqa: ANN401 - whatever it takes
        asked.append(form)
        leave(*given)

    monkeypatch.setattr(index_update, "_leave_to_git", note)
    blob = repo.objects.write_blob(b"new")
    update_index(repo, [FileChange(path, None, blob) for path in ("docs/x", "files/one", "new")])
    assert asked
    lines = (line.split("\t") for line in workspace.git("ls-files", "-s").splitlines())
    staged = {path: entry for entry, path in lines}
    assert {staged.get(path) for path in ("docs/x", "files/one", "new")} == {f"100644 {blob} 0"}
    assert ("files/two" in staged) is (form not in {"none", "a file instead of a folder"})
    assert "docs" not in staged
    assert (repo.git_dir / "index").is_symlink() is (form == "a link")


@sha1_alone
@pytest.mark.parametrize("call", ["chmod", "utime", "fsync", "rename"])
def test_what_stops_in_between_leaves_the_old_index(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A kill as well as an error of the disk. What is left is no hindrance to the next one."""
    index, made = repo.git_dir / "index", repo.git_dir / "index.gitbatch"
    changes = [FileChange("new", None, repo.objects.write_blob(b"new"))]
    repo.objects.writer.sync()
    before = index.read_bytes()

    def stop(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(made))

    where = {"chmod": (Path, "chmod"), "rename": (Path, "replace"), "fsync": (index_update, "sync_file")}
    with monkeypatch.context() as patch:
        owner, name = where.get(call, (os, call))
        patch.setattr(owner, name, stop)
        with pytest.raises(OSError, match="Input/output error"):
            update_index(repo, changes)
    assert index.read_bytes() == before
    made.unlink(missing_ok=True)
    made.hardlink_to(index)  # as one that was stopped before git wrote leaves it
    update_index(repo, changes)
    assert workspace.git("ls-files") == "files/one\nfiles/two\nnew"
    assert not made.exists()


@sha1_alone
def test_a_full_disk_is_an_error_that_names_the_file(repo: Repository) -> None:
    """Of the thread that computes the digest, and of the bytes that it reads, nothing is left."""
    index = repo.git_dir / "index"
    changes = [FileChange("new", None, repo.objects.write_blob(b"new"))]
    repo.objects.writer.sync()
    before, limits = index.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as raised:
            update_index(repo, changes)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.filename == str(repo.git_dir / "index.gitbatch")
    assert index.read_bytes() == before
    update_index(repo, changes)
