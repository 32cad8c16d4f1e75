"""What an agent may read: the files of one commit, in bounded pieces, and nothing else."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from resource import RUSAGE_CHILDREN, getrusage

import pytest
from conftest import Workspace
from msgspec.structs import replace

from gitbatch.concurrency import GitThread
from gitbatch.errors import GitError
from gitbatch.repo import base as module
from gitbatch.repo.base import Base, BaseFile, Hit, Hits
from gitbatch.repo.opening import open_repository
from gitbatch.repo.snapshot import TreeSnapshot


@pytest.fixture
def base(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Base]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.write("a/b c.txt", "one foo\ntwo\nFOO three\n")
    workspace.write("a/d.md", "[x] f.o\n")
    workspace.write("e.bin", "foo\0")
    (workspace.root / "link").symlink_to("/etc/passwd")
    commit = workspace.commit()
    workspace.write("a/later.txt", "foo, not committed\n")
    repo, thread = open_repository(workspace.root), GitThread()
    yield Base(commit, TreeSnapshot(repo.objects, repo.objects.read_commit(commit).tree), thread, repo.git)
    thread.close()
    repo.close()


def test_a_file_of_the_commit(base: Base) -> None:
    assert asyncio.run(base.file("a/d.md", 100)) == BaseFile(8, b"[x] f.o\n")
    assert asyncio.run(base.file("a/d.md", 7)) == BaseFile(8, None)


@pytest.mark.parametrize(
    "path", ["a", "link", "../x", "/etc/passwd", "a/later.txt", "a/../a/d.md", "", "a\n"]
)
def test_nothing_else_is_a_file(base: Base, path: str) -> None:
    assert asyncio.run(base.file(path, 100)) is None


def test_paths_come_in_pages(base: Base) -> None:
    assert asyncio.run(base.paths("", 0, 9)) == ("a/b c.txt", "a/d.md", "e.bin")
    assert asyncio.run(base.paths("a", 1, 9)) == ("a/d.md",)
    assert asyncio.run(base.paths("", 1, 1)) == ("a/d.md",)
    assert asyncio.run(base.paths("nowhere", 0, 9)) == ()
    assert asyncio.run(base.paths("..", 0, 9)) == ()


def search(
    base: Base, text: str, folder: str = "", *, regex: bool = False, ignore_case: bool = False
) -> Hits:
    return asyncio.run(base.search(text, folder, regex=regex, ignore_case=ignore_case))


def test_a_search_finds_lines_of_text_files(base: Base) -> None:
    one, three = Hit("a/b c.txt", 1, "one foo"), Hit("a/b c.txt", 3, "FOO three")
    assert search(base, "foo") == Hits((one,), complete=True)
    assert search(base, "foo", ignore_case=True) == Hits((one, three), complete=True)
    assert search(base, "f.o", "a/d.md") == Hits((Hit("a/d.md", 1, "[x] f.o"),), complete=True)
    assert search(base, "f.o", "a", regex=True).found[0] == one
    assert search(base, "foo", "nowhere") == Hits((), complete=True)
    assert search(base, "--help") == Hits((), complete=True)


@pytest.mark.parametrize(("text", "folder"), [("(", ""), ("root", "/etc"), ("root", "../..")])
def test_what_can_not_be_searched_is_an_error(base: Base, text: str, folder: str) -> None:
    with pytest.raises(GitError):
        search(base, text, folder, regex=True)


def test_a_search_has_limits(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SEARCH_BYTES", 10)
    assert not search(base, "foo").complete
    monkeypatch.setattr(module, "_SEARCH_SECONDS", 0.0)
    monkeypatch.setattr(module, "_SEARCH_BYTES", 10_000)
    assert not search(base, "foo").complete


@pytest.mark.parametrize("expression", ["((a{1,255}){1,255}){1,255}", "(a|b)*a(a|b){200}c"])
def test_a_search_has_a_limit_of_memory(
    workspace: Workspace, base: Base, monkeypatch: pytest.MonkeyPatch, expression: str
) -> None:
    """One that needs too much when it is read, and one when it is looked for: git exits with "not found"."""
    monkeypatch.setattr(module, "_SEARCH_MEMORY", 64 * 1024 * 1024)
    random = Random(13)  # noqa: S311 - no secret
    workspace.write("long.txt", "".join(random.choice("ab") for _ in range(400_000)) + "\n")
    objects = base.snapshot.objects
    there = replace(base, snapshot=TreeSnapshot(objects, objects.read_commit(workspace.commit()).tree))
    before = getrusage(RUSAGE_CHILDREN).ru_maxrss
    with suppress(GitError):
        assert not search(there, expression, regex=True).complete
    assert getrusage(RUSAGE_CHILDREN).ru_maxrss <= max(before, 300_000), "kilobytes"
    assert search(there, "foo", regex=True).complete
