"""A plan in a sparse checkout is checked with the files that the checkout leaves out."""

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.batch.planning.checkout_files import find_checkout_files
from gitbatch.errors import GitbatchError
from gitbatch.project.disk import DiskSnapshot
from gitbatch.repo.opening import open_repository
from gitbatch.repo.snapshot import TreeSnapshot

PLAN = "# Phase\n\n## Work Packages\n\n### One\n\n- [ ] A1 Make → Output: out/a.md (context: notes/x.md)\n"


@pytest.fixture
def sparse(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A repository whose checkout leaves out the phase and the notes."""
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.write("CLAUDE.md", "# C\n\n## Active Scope\n\nPhase: one\n")
    workspace.write("docs/phases/one/task.md", PLAN)
    workspace.write("notes/x.md", "x\n")
    workspace.write("src/a", "a\n")
    workspace.commit()
    workspace.git("sparse-checkout", "set", "--cone", "src")
    assert not (workspace.root / "docs").exists()
    return workspace


def test_lint_of_a_phase_that_is_left_out(sparse: Workspace) -> None:
    done = sparse.gitbatch("lint", code=0)
    assert "docs/phases/one/task.md: 1 item in 1 group" in done.stdout
    assert "missing" not in done.stdout
    done = sparse.gitbatch("lint", "docs/phases/one/task.md", code=0)
    assert done.stdout.endswith("docs/phases/one/task.md: 1 item in 1 group\n")
    assert "cannot read docs/none.md" in sparse.gitbatch("lint", "docs/none.md", code=2).stderr


def test_what_is_on_the_disk_counts_first(sparse: Workspace) -> None:
    files = find_checkout_files(sparse.root)
    assert files.files("docs") == ("docs/phases/one/task.md",)
    assert files.read("notes/x.md") == b"x\n"
    assert files.blob("notes/x.md") == sparse.git("rev-parse", "HEAD:notes/x.md")
    assert files.read("notes/y.md") is None
    sparse.write("notes/x.md", "mine\n")
    assert files.read("notes/x.md") == b"mine\n"
    assert files.blob("notes/x.md") == DiskSnapshot(sparse.root).blob("notes/x.md")
    assert files.files("notes") == ("notes/x.md",)


def test_a_folder_is_listed_as_the_commit_has_it(sparse: Workspace) -> None:
    repo = open_repository(sparse.root, read_only=True)
    commit = TreeSnapshot(repo.objects, repo.objects.tree_of(sparse.git("rev-parse", "HEAD")))
    files = find_checkout_files(sparse.root)
    for folder in ("", "docs", "docs/phases/one", "notes", "missing", "CLAUDE.md"):
        assert files.list_folder(folder) == commit.list_folder(folder)
    assert commit.list_folder("").folders == ("docs", "notes", "src")
    repo.close()


def test_what_a_partial_clone_lacks_is_named(sparse: Workspace) -> None:
    sparse.git("config", "uploadpack.allowFilter", "true")
    clone = replace(sparse, root=sparse.root.parent / "clone")
    sparse.git("clone", "-q", "--filter=blob:none", "--sparse", f"file://{sparse.root}", str(clone.root))
    with pytest.raises(
        GitbatchError, match=r"cannot read notes/x\.md: the sparse checkout leaves it out"
    ) as raised:
        find_checkout_files(clone.root).read("notes/x.md")
    assert raised.value.advice == f"fetch it: git cat-file -e {sparse.git('rev-parse', 'HEAD:notes/x.md')}"
    done = clone.gitbatch("lint", code=1)
    assert "cannot read docs/phases/one/task.md: the sparse checkout leaves it out" in done.stderr


def test_other_folders_have_what_is_on_the_disk(sparse: Workspace, tmp_path: Path) -> None:
    assert find_checkout_files(tmp_path) == DiskSnapshot(tmp_path)
    sparse.git("sparse-checkout", "disable")
    assert find_checkout_files(sparse.root).read("notes/x.md") == b"x\n"
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/.git").write_text("gitdir: /nonexistent\n")
    assert find_checkout_files(tmp_path / "broken") == DiskSnapshot(tmp_path / "broken")
