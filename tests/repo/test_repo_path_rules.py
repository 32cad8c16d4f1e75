"""What ignore and attribute files say of paths: those of a commit, not those of the checkout, and the other way round."""

import msgspec
import pytest
from conftest import Workspace

from gitbatch.errors import GitError
from gitbatch.repo.opening import open_repository
from gitbatch.repo.path_rules import Pattern, find_filters, find_ignored, rule_files
from gitbatch.repo.repository import Repository


@pytest.fixture
def tree(repo: Repository, workspace: Workspace) -> str:
    """A commit whose rules the checkout has not any more."""
    workspace.write(".gitignore", "*.log\n!kept.log\n")
    workspace.write("deep/.gitignore", "/er/\n")
    workspace.write(".gitattributes", "*.bin filter=lfs\n")
    tree = repo.objects.tree_of(workspace.commit())
    for name in (".gitignore", "deep/.gitignore", ".gitattributes"):
        (workspace.root / name).unlink()
    return tree


@pytest.mark.parametrize("writable", [True, False])
def test_a_commit_is_asked(
    repo: Repository, tree: str, monkeypatch: pytest.MonkeyPatch, *, writable: bool
) -> None:
    monkeypatch.setattr("os.access", lambda *_: writable)
    paths = ("a.log", "kept.log", "deep/er/b.md", "deep/c.md", "er/d.md")
    assert find_ignored(repo, tree, paths) == {
        "a.log": Pattern("*.log", ".gitignore"),
        "deep/er/b.md": Pattern("/er/", "deep/.gitignore"),
    }
    assert find_filters(repo, tree, ("a.bin", "deep/b.bin", "c.md")) == {"a.bin": "lfs", "deep/b.bin": "lfs"}


def test_the_checkout_is_asked(repo: Repository, workspace: Workspace, tree: str) -> None:
    assert tree
    assert find_ignored(repo, None, ("a.log",)) == {}
    workspace.write(".gitignore", "b.log\n")
    workspace.write(".gitattributes", "b.md filter=other\nc.md -filter\n")
    assert find_ignored(repo, None, ("a.log", "b.log")) == {"b.log": Pattern("b.log", ".gitignore")}
    assert find_filters(repo, None, ("a.bin", "b.md", "c.md")) == {"b.md": "other"}


@pytest.mark.parametrize("checkout", [True, False])
def test_the_repositorys_own_files_count(
    repo: Repository, workspace: Workspace, tree: str, *, checkout: bool
) -> None:
    workspace.write(".git/info/exclude", "*.own\n")
    workspace.write(".git/info/attributes", "*.own filter=mine\n")
    again = open_repository(repo.root, read_only=True)
    asked = None if checkout else tree
    assert find_ignored(again, asked, ("a.own",)) == {"a.own": Pattern("*.own", ".git/info/exclude")}
    assert find_filters(again, asked, ("a.own",)) == {"a.own": "mine"}
    again.close()


def test_where_no_file_speaks_of_filters_git_is_not_started(repo: Repository) -> None:
    tree = repo.objects.tree_of(repo.refs.commit("HEAD") or "")
    nowhere = msgspec.structs.replace(repo, git=repo.git.in_directory(repo.root / "gone"))
    assert find_filters(nowhere, tree, ("a.txt",)) == {}


def test_without_patterns_git_is_not_started(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comments are not patterns; one in the repository's own file, or in a folder on the way, is."""
    workspace.write("deep/.gitignore", "/er/\n")
    tree = repo.objects.tree_of(workspace.commit())
    own = workspace.root / ".git/info/exclude"
    own.write_text("# git ls-files --others\n\n")
    with monkeypatch.context() as without:
        without.setattr("gitbatch.repo.path_rules._query", lambda *_: pytest.fail("git is started"))
        assert find_ignored(repo, tree, ("er/b.md", "other/er/b.md")) == {}
    assert set(find_ignored(repo, tree, ("deep/er/b.md",))) == {"deep/er/b.md"}
    own.write_text("# a comment\n*.md\n")
    assert set(find_ignored(repo, tree, ("er/b.md",))) == {"er/b.md"}


def test_a_path_that_git_cannot_judge_is_an_error(repo: Repository) -> None:
    with pytest.raises(GitError):
        find_ignored(repo, None, ("../outside",))


def test_the_files_on_the_way_are_found_once(repo: Repository, tree: str) -> None:
    found = [path for path, _ in rule_files(repo, tree, ("deep/a", "deep/b", "c"), ".gitignore")]
    assert found == [".gitignore", "deep/.gitignore"]
