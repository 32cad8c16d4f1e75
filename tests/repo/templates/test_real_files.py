"""What the user's own checkout has besides git's objects: files of Git LFS, and submodules."""

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from conftest import Workspace
from shown import require_right_index, require_right_sizes

from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.complete import check_out_complete
from gitbatch.repo.templates.kept import KeptCheckouts
from gitbatch.repo.templates.templates import Templates, open_templates
from gitbatch.repo.worktrees.agent_git import read_agent_git
from gitbatch.repo.worktrees.worktree import NewWorktree, add_worktree


@pytest.fixture
def repo(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    workspace.commit()
    opened = open_repository(workspace.root)
    with closing(opened):
        yield opened


@pytest.fixture
def templates(repo: Repository, tmp_path: Path) -> Iterator[Templates]:
    with open_templates(repo, tmp_path / "cache") as opened:
        yield opened


def put_large(workspace: Workspace, path: str, content: bytes, stored: bytes | None) -> None:
    """Writes a pointer, and its file into the store of Git LFS."""
    digest = hashlib.sha256(content).hexdigest()
    workspace.write(
        path, f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
    )
    if stored is not None:
        folder = workspace.root / ".git/lfs/objects" / digest[:2] / digest[2:4]
        folder.mkdir(parents=True)
        (folder / digest).write_bytes(stored)


def head(repo: Repository) -> str:
    return repo.refs.commit("HEAD") or ""


def test_files_of_lfs_are_real(repo: Repository, workspace: Workspace, templates: Templates) -> None:
    large = b"large\n" * 1000
    put_large(workspace, "models/a.bin", large, large)
    (workspace.root / "models/a.bin").chmod(0o755)
    put_large(workspace, "not-fetched.bin", b"b", None)
    put_large(workspace, "damaged.bin", b"c", b"x")
    put_large(workspace, "no-attribute.txt", b"d", b"d")
    workspace.commit()
    layers = templates.layers(head(repo))
    (tree,) = layers.lower
    require_right_sizes(layers)
    assert (tree / "models/a.bin").read_bytes() == large
    assert (tree / "models/a.bin").stat().st_mode & 0o777 == 0o755
    for name in ("not-fetched.bin", "damaged.bin", "no-attribute.txt"):
        assert (tree / name).read_text().startswith("version https://git-lfs"), name
    require_right_index(workspace, layers.index, layers.tree, layers.lower)
    put_large(workspace, "models/a.bin", b"later", b"later")
    workspace.commit()
    layers = templates.layers(head(repo))
    assert len(layers.lower) == 2
    assert (layers.lower[0] / "models/a.bin").read_bytes() == b"later"
    require_right_index(workspace, layers.index, layers.tree, layers.lower)


def add_submodule(workspace: Workspace, at: Path, path: str, *files: str) -> Path:
    """Adds a submodule with files to a repository, and commits it; returns its checkout."""
    origin = workspace.home / path.replace("/", "-")
    origin.mkdir()
    for name in files:
        (origin / name).write_text(f"{name}\n")
    git = ["git", "-c", "protocol.file.allow=always", "-c", "user.name=x", "-c", "user.email=x@x"]
    for folder, *command in (
        (origin, "init", "-q"),
        (origin, "add", "."),
        (origin, "commit", "-qm", "files"),
        (at, "submodule", "add", "-q", str(origin), path),
        (at, "commit", "-qm", "a submodule"),
    ):
        subprocess.run(
            [*git, *command], cwd=folder, check=True, env=workspace.environment, capture_output=True
        )
    return at / path


def test_submodules_have_their_files(
    repo: Repository,
    workspace: Workspace,
    templates: Templates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gitbatch.repo.templates.kept._FEW", 0)
    inner = add_submodule(workspace, workspace.root, "libs/sub", "code.py")
    plain = templates.layers(head(repo))
    add_submodule(workspace, inner, "deep/er", "more.py")
    workspace.git("add", "libs/sub")
    workspace.git("commit", "-qm", "the submodule has one too")
    add_submodule(workspace, workspace.root, "gone", "x")
    workspace.git("submodule", "deinit", "-f", "gone")
    assert [path.name for path in (plain.lower[0] / "libs/sub").iterdir()] == ["code.py"]
    layers = templates.layers(head(repo))
    (tree,) = layers.lower
    require_right_sizes(layers)
    assert (tree / "libs/sub/code.py").read_text() == "code.py\n"
    assert (tree / "libs/sub/deep/er/more.py").read_text() == "more.py\n"
    assert list((tree / "gone").iterdir()) == []
    assert not (tree / "libs/sub/.git").exists()
    folder = tmp_path / "worktrees"
    with closing(KeptCheckouts(repo, folder / ".kept", partial(check_out_complete, repo))) as kept:
        new = NewWorktree(folder / "b-1", "refs/heads/gitbatch/b/1-x", head(repo), "out.md", None)
        made = add_worktree(repo, read_agent_git(repo, folder, "refs/heads/main"), new, kept.check_out)
        status = ["git", "-C", str(made.path), "status", "--porcelain"]
        said = subprocess.run(status, capture_output=True, text=True, check=True, env=workspace.environment)
        assert said.stdout == ""
        (made.path / "libs/sub/code.py").write_text("changed\n")
        kept.keep(made)
        assert list((folder / ".kept").iterdir()) == [], "a submodule's files are not restored"


def test_what_is_fetched_later_makes_layers_again(
    repo: Repository, workspace: Workspace, templates: Templates, tmp_path: Path
) -> None:
    """The next run looks; the layers of a run stay as they are."""
    put_large(workspace, "models/a.bin", b"large", None)
    add_submodule(workspace, workspace.root, "libs/sub", "code.py")
    workspace.git("submodule", "deinit", "-f", "libs/sub")
    workspace.git("add", ".")
    workspace.git("commit", "-qm", "a large file")
    (before,) = templates.layers(head(repo)).lower
    assert (before / "models/a.bin").read_text().startswith("version")
    for step, (path, content) in enumerate(
        {"models/a.bin": "large", "libs/sub/code.py": "code.py\n"}.items()
    ):
        if step:
            workspace.git(
                "-c", "protocol.file.allow=always", "submodule", "update", "--init", "-q", "libs/sub"
            )
        else:
            put_large(workspace, "models/a.bin", b"large", b"large")
        (same,) = templates.layers(head(repo)).lower
        assert same == before
        templates.close()
        with open_templates(repo, tmp_path / "cache") as later:
            layers = later.layers(head(repo))
            assert (layers.lower[0] / path).read_text() == content
            require_right_sizes(layers)


@pytest.mark.usefixtures("repo")
def test_store_of_lfs_may_be_elsewhere(workspace: Workspace, tmp_path: Path) -> None:
    workspace.git("config", "lfs.storage", str(tmp_path / "store"))
    put_large(workspace, "a.bin", b"large", b"large")
    (workspace.root / ".git/lfs").rename(tmp_path / "store")
    workspace.commit()
    with (
        closing(open_repository(workspace.root, read_only=True)) as opened,
        open_templates(opened, tmp_path / "cache") as made,
    ):
        (tree,) = made.layers(head(opened)).lower
        assert (tree / "a.bin").read_bytes() == b"large"
