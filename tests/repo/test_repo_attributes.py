"""Storing an output: what `git add` would store, by the commit's attributes, and never through a filter."""

from contextlib import closing
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.repo.attributes import FilteredPathError, put_output, store
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository


@pytest.fixture
def repo(repo: Repository) -> Repository:
    repo.own_dir.mkdir()
    return repo


def stored(repo: Repository, tmp_path: Path, path: str, content: bytes) -> bytes:
    tree = repo.objects.read_commit(repo.refs.commit("HEAD") or "").tree
    (tmp_path / "output").write_bytes(content)
    with (tmp_path / "output").open("rb") as stream:
        return repo.objects.read_blob(store(repo, stream.fileno(), tree, path))


@pytest.mark.parametrize(
    ("rules", "path", "content"),
    [
        ({}, "a.md", b"a\r\nb\n"),
        ({".gitattributes": "* text=auto\n"}, "a.md", b"a\r\nb\r\n"),
        ({".gitattributes": "* text=auto\n"}, "a.bin", b"a\r\n\0b\r\n"),
        ({".gitattributes": "* text=auto\n", "out/.gitattributes": "*.md -text\n"}, "out/a.md", b"a\r\n"),
        ({".gitattributes": "*.md text eol=crlf\n"}, "out/deep/a.md", b"a\r\nb\r\n"),
        ({".gitattributes": "*.md text\n"}, "old.md", b"a\r\nnew\r\n"),
        ({".gitattributes": "[attr]page text\n*.md page\n"}, "a b.md", b"a\r\n"),
        (
            {".gitattributes": "*.md working-tree-encoding=UTF-16LE text\n"},
            "a.md",
            "ü\r\n".encode("utf-16-le"),
        ),
        ({".gitattributes": "*.md ident\n"}, "a.md", b"$Id: 123 $\n"),
    ],
)
def test_it_is_what_git_add_stores(
    repo: Repository, workspace: Workspace, tmp_path: Path, rules: dict[str, str], path: str, content: bytes
) -> None:
    for name, text in {**rules, "old.md": "a\r\nold\r\n"}.items():
        workspace.write(name, text)
    workspace.commit()
    found = stored(repo, tmp_path, path, content)
    (workspace.root / path).parent.mkdir(parents=True, exist_ok=True)
    (workspace.root / path).write_bytes(content)
    workspace.git("add", path)
    assert found == repo.objects.read_blob(workspace.git("rev-parse", f":{path}"))


@pytest.mark.parametrize(
    ("value", "content"), [("true", b"a\n"), ("Yes", b"a\n"), ("input", b"a\n"), ("false", b"a\r\n")]
)
def test_autocrlf_counts(workspace: Workspace, tmp_path: Path, value: str, content: bytes) -> None:
    workspace.write("a.txt", "a")
    workspace.commit()
    workspace.git("config", "core.autocrlf", value)
    repo = open_repository(workspace.root, read_only=True)
    repo.own_dir.mkdir()
    found = stored(repo, tmp_path, "a.md", b"a\r\n")
    repo.close()
    assert found == content


def test_the_attributes_are_the_commits_and_not_the_disks(
    repo: Repository, workspace: Workspace, tmp_path: Path
) -> None:
    workspace.write(".gitattributes", "*.md text\n")
    assert stored(repo, tmp_path, "a.md", b"a\r\n") == b"a\r\n"
    workspace.commit()
    workspace.write(".gitattributes", "")
    assert stored(repo, tmp_path, "a.md", b"a\r\n") == b"a\n"


@pytest.mark.parametrize("name", [".gitattributes", "big/.gitattributes", ".git/info/attributes"])
def test_a_filter_is_never_run(workspace: Workspace, tmp_path: Path, name: str) -> None:
    workspace.write("a.txt", "a\n")
    workspace.commit()
    workspace.git("config", "filter.lfs.clean", f"touch {tmp_path}/ran; cat")
    workspace.git("config", "filter.lfs.required", "true")
    workspace.write(name, "*.md filter=lfs\n")
    if not name.startswith(".git/"):
        workspace.git("-c", "filter.lfs.clean=cat", "add", name)
        workspace.git("commit", "-qm", "rules")
    with closing(open_repository(workspace.root, read_only=True)) as repo:
        repo.own_dir.mkdir()
        with pytest.raises(FilteredPathError, match="has the filter lfs"):
            stored(repo, tmp_path, "big/a.md", b"a")
    assert not (tmp_path / "ran").exists()
    workspace.write("big/a.md", "a")
    workspace.git("add", "big/a.md")
    assert (tmp_path / "ran").exists(), "the naive way runs it"


def test_the_users_own_attributes_are_those_of_the_start(
    repo: Repository, workspace: Workspace, tmp_path: Path
) -> None:
    workspace.write(".git/info/attributes", "*.md text\n")
    assert stored(repo, tmp_path, "a.md", b"a\r\n") == b"a\r\n"
    with closing(open_repository(workspace.root, read_only=True)) as later:
        workspace.write(".git/info/attributes", "")
        assert stored(later, tmp_path, "a.md", b"a\r\n") == b"a\n"


def test_nothing_is_left_behind(repo: Repository, workspace: Workspace, tmp_path: Path) -> None:
    workspace.write(".gitattributes", "*.md text\n")
    workspace.commit()
    stored(repo, tmp_path, "a.md", b"a\r\n")
    assert list(repo.own_dir.iterdir()) == []
    assert workspace.git("status", "--porcelain") == ""


def test_an_output_is_written_whole_or_not_at_all(repo: Repository, tmp_path: Path) -> None:
    worktree = tmp_path / "worktree"
    (worktree / "out").mkdir(parents=True)
    (worktree / "out" / "a.md").write_text("old\n", encoding="utf-8")
    (worktree / "out" / "a.md").chmod(0o444)
    blob = repo.objects.write_blob(b"new\n")
    plain_tree = repo.objects.write_tree(None, {})
    put_output(repo, worktree, "out/a.md", blob, plain_tree)
    put_output(repo, worktree, "new/deep/a.md", blob, plain_tree)
    assert (worktree / "out" / "a.md").read_bytes() == b"new\n"
    assert (worktree / "new" / "deep" / "a.md").read_bytes() == b"new\n"
    rules = repo.objects.write_blob(b"*.md filter=lfs\n")
    filtered = repo.objects.write_tree(None, {".gitattributes": rules})
    with pytest.raises(FilteredPathError):
        put_output(repo, worktree, "out/a.md", blob, filtered)
    with pytest.raises(MissingObjectError):
        put_output(repo, worktree, "out/a.md", "0" * 40, plain_tree)
    assert [path.name for path in (worktree / "out").iterdir()] == ["a.md"], "nothing is left beside it"
    assert (worktree / "out" / "a.md").read_bytes() == b"new\n"
