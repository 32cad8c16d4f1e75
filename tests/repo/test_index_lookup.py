"""Looking up paths in an index: each answer against `git ls-files`, and what is left to git."""

import errno
import hashlib
import mmap
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.repo.checkout import follow
from gitbatch.repo.checkout.clean_paths import leave_clean_out
from gitbatch.repo.checkout.follow import find_uncommitted
from gitbatch.repo.checkout.index_lookup import open_lookup
from gitbatch.repo.index_bytes import HEADER, NewIndexEntry, UnreadableIndexError, render_entry
from gitbatch.repo.opening import open_repository

BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
ODD = ("ä/ö.md", "a b/c", "a", "a-b", "a.b/c", "x/" + "long/" * 60 + "n", "z" * 300, "\x01", "~", "é")


def fill_index(workspace: Workspace, paths: list[str]) -> None:
    modes = ("100644", "100755", "120000", "160000")
    lines = "".join(f"{modes[i % 4]} {BLOB}\t{path}\0" for i, path in enumerate(paths))
    workspace.git("update-index", "-z", "--index-info", given=lines)


@pytest.mark.parametrize("count", [0, 1, 700])
def test_as_git_lists_them(workspace: Workspace, count: int) -> None:
    """Every path that is there, and none that is not: before, between and after those that are."""
    paths = [*ODD, *(f"src/p{number % 17}/m{number * 7919 % 997}.py" for number in range(700))][:count]
    workspace.git("read-tree", "--empty")
    fill_index(workspace, paths)
    listed = {line.split("\t")[1] for line in workspace.git("ls-files", "-z", "--stage").split("\0") if line}
    assert listed == set(paths)
    with open_lookup(workspace.root / ".git/index", 20) as index:
        for path in paths:
            entry = index.find_entry(path.encode())
            assert entry is not None
            assert (entry.oid, entry.is_merged) == (BLOB, True)
        near = {p + "x" for p in paths} | {p[:-1] for p in paths} | {p + "/y" for p in paths} | {"", "\x7f"}
        assert not [path for path in near - set(paths) if index.find_entry(path.encode())]
        folders = {path.rpartition("/")[0] for path in paths} | {"src", "sr", "z"}
        for folder in folders - {""}:
            assert index.has_below(folder.encode()) is any(p.startswith(f"{folder}/") for p in paths)


def test_conflict(workspace: Workspace) -> None:
    """An entry in conflict is said to be one; a neighbour is found."""
    lines = "".join(f"100644 {BLOB} {stage}\tboth\0" for stage in (1, 2, 3))
    one = f"100644 {BLOB} 0\tbefore\0"
    # git adds the versions of a conflict to a merged entry, if it is told to, and takes the path for unmerged.
    mixed = "".join(f"100644 {BLOB} {stage}\tc\0" for stage in (0, 3))
    workspace.git("update-index", "-z", "--index-info", given=one + lines + mixed)
    with open_lookup(workspace.root / ".git/index", 20) as index:
        found = [index.find_entry(path) for path in (b"before", b"both", b"bothx", b"c")]
    assert [entry and entry.is_merged for entry in found] == [True, False, None, False]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda p: p.git("update-index", "--index-version", "4"), id="version 4"),
        pytest.param(lambda p: p.git("update-index", "--split-index"), id="split"),
        pytest.param(lambda p: p.git("update-index", "--skip-worktree", "a"), id="sparse checkout"),
        pytest.param(lambda p: (p.root / ".git/index").unlink(), id="missing"),
        pytest.param(lambda p: (p.root / ".git/index").write_bytes(b""), id="empty"),
        pytest.param(lambda p: cut(p.root / ".git/index", 33), id="cut"),
        pytest.param(lambda p: cut(p.root / ".git/index", 200), id="cut early"),
        pytest.param(
            lambda p: cut(p.root / ".git/index", 20, b"abcd\0\0\0\0" + bytes(20)), id="required extension"
        ),
    ],
)
def test_git_is_asked_about_other_forms(workspace: Workspace, spoil: Callable[[Workspace], object]) -> None:
    """Whatever is not an index of version 2 in one file, up to its end."""
    workspace.write("a", "1")
    workspace.write("b/c", "2")
    workspace.commit()
    spoil(workspace)
    with pytest.raises(UnreadableIndexError), open_lookup(workspace.root / ".git/index", 20):
        pass


def test_git_is_asked_where_an_index_cannot_be_mapped(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    fill_index(workspace, ["a"])
    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(UnreadableIndexError), open_lookup(workspace.root / ".git/index", 20):
        pass


def cut(file: Path, count: int, end: bytes = b"") -> None:
    file.write_bytes(file.read_bytes()[:-count] + end)


def test_a_group_with_the_number_of_a_mode_hides_no_entry(workspace: Workspace) -> None:
    """The rest of such an entry has the form of an entry with another path, if two bytes of its path are its length."""
    mode = 0o100644
    paths = [f"{number:06}p{chr(40 + number % 50)}{'!' * (40 + number % 50)}" for number in range(100)]
    rendered = [render_entry(NewIndexEntry(path, mode, BLOB, present=True)) for path in paths]
    content = HEADER.pack(b"DIRC", 2, len(paths)) + b"".join(
        entry[:32] + mode.to_bytes(4) + entry[36:] for entry in rendered
    )
    index = workspace.root / ".git/index"
    index.write_bytes(content + hashlib.sha1(content, usedforsecurity=False).digest())
    assert workspace.git("ls-files").splitlines() == paths
    found: list[str] = []
    for path in paths:
        with suppress(UnreadableIndexError), open_lookup(index, 20) as lookup:
            found.append(path if lookup.find_entry(path.encode()) else f"not {path}")
    assert set(found) <= set(paths)


def test_an_entry_with_a_longer_path_than_there_can_be_hides_no_other(workspace: Workspace) -> None:
    """git is asked about what may be behind it."""
    fill_index(workspace, ["a", "m" * 9000, "z"])
    for path in (b"n", b"z", b"n/x"):
        with pytest.raises(UnreadableIndexError), open_lookup(workspace.root / ".git/index", 20) as lookup:
            lookup.find_span(path)


CHANGES = {
    "same": "true",
    "written": "echo 3 >a",
    "same size": "printf 2 >a",
    "removed": "rm a",
    "staged": "echo 3 >a; git add a",
    "removed from the index": "git rm -q --cached a",
    "removed from both": "git rm -q a",
    "executable": "chmod +x a",
    "a link": "ln -sf b/c a",
    "a folder": "rm a; mkdir a; echo 1 >a/x",
    "assumed": "git update-index --assume-unchanged a; echo 3 >a",
    "untracked": "mkdir new; echo 1 >new/file",
    "ignored": "echo new >.git/info/exclude; mkdir new; echo 1 >new/file",
    "added": "mkdir new; echo 1 >new/file; git add -N new/file",
    "folder is a file": "echo 1 >new",
    "folder is a link": "ln -s b new",
    "folder is in the index": f"git update-index --add --cacheinfo 160000,{BLOB},new",
    "below it in the index": f"git update-index --add --cacheinfo 100644,{BLOB},new/file/x",
}


@pytest.mark.parametrize("change", CHANGES)
def test_only_certain_paths_are_left_out(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Whatever the checkout has: the answer is that of git about all paths, and git is not asked if nothing is changed."""
    workspace.write("a", "1")
    workspace.write("b/c", "2")
    workspace.commit()
    workspace.git("update-index", "--refresh", "-q", "--really-refresh")
    subprocess.run(["sh", "-ec", CHANGES[change]], cwd=workspace.root, env=workspace.environment, check=True)
    make_newer(workspace.root / ".git/index", workspace.root / "a")
    repo = open_repository(workspace.root)
    paths = ("a", "b/c", "new/file", "other/new/file")
    head = repo.head_commit() or ""
    asked = leave_clean_out(repo, head, paths)
    found = find_uncommitted(repo, paths)
    monkeypatch.setattr(follow, "leave_clean_out", lambda *_: paths)
    assert find_uncommitted(repo, paths) == found
    repo.close()
    assert ("other/new/file" in asked) is (change == "added"), "such an index has another version"
    assert set(found) <= set(asked)


def make_newer(index: Path, file: Path) -> None:
    """Makes an index newer than the files that were written before it: else git would read them again."""
    time = max(path.lstat().st_mtime_ns for path in (index, file) if path.is_symlink() or path.exists())
    os.utime(index, ns=(time + 1_000_000, time + 1_000_000))


def test_git_is_not_asked(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that git has seen since they were written, and paths where nothing is."""
    workspace.write("a", "1")
    workspace.write("b/c", "2")
    workspace.commit()
    index = workspace.root / ".git/index"
    repo = open_repository(workspace.root)
    monkeypatch.setattr(follow, "_ask_git", lambda *_: pytest.fail("git is asked"))
    make_newer(index, workspace.root / "a")
    assert find_uncommitted(repo, ("a", "b/c", "new/file", "new/other")) == ()
    repo.close()
