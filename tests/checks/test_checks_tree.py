"""The fresh folder of a check: its files, what git says in it, and what is left of it."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.checks.tree import CheckFolder, FreshTrees, TreeContent, open_tree
from gitbatch.concurrency import GitThread
from gitbatch.fs.disk import DiskError
from gitbatch.repo.fingerprint import take_fingerprint
from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.agent_git import read_agent_git

USER = Ident("A", "a@example.org", 1)


@pytest.fixture
def trees(repo: Repository, tmp_path: Path) -> Iterator[FreshTrees]:
    folder = tmp_path / "cache" / "repo" / "batch"
    folder.mkdir(parents=True)
    git = GitThread()
    agent_git = read_agent_git(repo, folder, "refs/heads/main")
    yield FreshTrees(repo, git, folder, agent_git, (repo.root,), take_fingerprint(repo, "batch-", ()))
    git.close()
    agent_git.close()


def make_content(repo: Repository, paths: tuple[str, ...] | None) -> TreeContent:
    """Returns the head commit with one new file."""
    head = repo.refs.read("refs/heads/main") or ""
    blob = repo.objects.write_blob(b"new\n")
    tree = repo.objects.write_tree(repo.objects.tree_of(head), {"out/b.txt": blob})
    commit = repo.objects.write_unsigned(tree, (head,), "a check\n", USER, USER)
    return TreeContent(commit, head, paths, "out/b.txt", blob)


@pytest.mark.parametrize(
    ("paths", "files"), [(None, ["a.txt", "out/b.txt"]), (("out/b.txt",), ["out/b.txt"])]
)
def test_a_folder_has_the_files_and_git_shows_the_output_as_the_last_commit(
    trees: FreshTrees, workspace: Workspace, paths: tuple[str, ...] | None, files: list[str]
) -> None:
    content = make_content(trees.repo, paths)

    def git(folder: CheckFolder, *arguments: str) -> str:
        command = ["git", *arguments]
        done = subprocess.run(
            command,
            cwd=folder.folders.worktree,
            env=workspace.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    async def scene() -> None:
        async with open_tree(trees, "1-a.check", content) as folder:
            tree = folder.folders.worktree
            found = [path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()]
            assert sorted(path for path in found if path != ".git") == files
            assert git(folder, "status", "--porcelain") == ""
            assert git(folder, "rev-parse", "HEAD") == content.commit
            assert git(folder, "diff", "--name-only", "main", "HEAD") == "out/b.txt"
            assert folder.blob
            assert (folder.blob.name, folder.blob.read_text()) == ("b.txt", "new\n")
            assert folder.folders.checkouts == (trees.repo.root,)
            (tree / "left.txt").write_text("x")
        assert [path.name for path in trees.folder.iterdir()] == [trees.agent_git.shared(content.base).name]

    asyncio.run(scene())
    assert workspace.git("worktree", "list").count("\n") == 0
    assert workspace.git("for-each-ref", "refs/gitbatch") == ""


def test_each_check_has_a_folder_of_its_own(trees: FreshTrees) -> None:
    content = make_content(trees.repo, ())

    async def scene() -> None:
        async with open_tree(trees, "a", content) as one, open_tree(trees, "a", content) as other:
            assert one.folders.worktree != other.folders.worktree
            assert one.folders.scratch != other.folders.scratch

    asyncio.run(scene())


def test_a_folder_that_cannot_be_made_is_an_error_of_the_disk(trees: FreshTrees) -> None:
    content = make_content(trees.repo, ())
    trees.folder.rmdir()
    trees.folder.write_text("a file")

    async def scene() -> None:
        async with open_tree(trees, "a", content):
            raise AssertionError

    with pytest.raises(DiskError, match="cannot make a folder for a check"):
        asyncio.run(scene())
    trees.folder.unlink()
