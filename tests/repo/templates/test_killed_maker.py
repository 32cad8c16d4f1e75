"""A process that is killed while it makes a template: at any step, the next one has the files that git checks out."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Workspace
from shown import read_folder, require_right_index

from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.store import list_remains
from gitbatch.repo.templates.templates import layers_dir, open_templates

MAKER = """
import os, signal, sys
from importlib import import_module
from pathlib import Path
from gitbatch.repo.opening import open_repository
from gitbatch.repo.templates.templates import open_templates

root, cache, module, name, when = sys.argv[1:]
owner = import_module(f"gitbatch.repo.templates.{module}")
real = getattr(owner, name)

def call(*given):
    result = real(*given) if when == "after" else None
    os.kill(os.getpid(), signal.SIGKILL)

repo = open_repository(Path(root))
with open_templates(repo, Path(cache)) as templates:
    setattr(owner, name, call)
    templates.layers(repo.refs.commit("HEAD"))
"""
"""Makes a template, and is killed before or after the call of a function."""

STEPS = (
    ("complete", "put_submodules", "before"),
    ("marker", "write_file", "before"),
    ("store", "write_marker", "after"),
    ("store", "sync_file", "before"),
)
"""With the files, and then with the index; without and with the marker; and with the name."""


@pytest.fixture
def repo(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    for number in range(5):
        workspace.write(f"folder-{number}/file.md", f"{number}\n")
    workspace.commit()
    with closing(open_repository(workspace.root)) as opened:
        yield opened


def test_killed_while_a_template_is_made(repo: Repository, workspace: Workspace, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    workspace.git("worktree", "add", "-q", "--detach", str(checkout), "HEAD")
    for number, step in enumerate(STEPS):
        cache = tmp_path / f"cache-{number}"
        maker = [sys.executable, "-c", MAKER, str(workspace.root), str(cache), *step]
        done = subprocess.run(maker, env=workspace.environment, check=False, timeout=60)
        assert done.returncode == -signal.SIGKILL, step
        with open_templates(repo, cache) as opened:
            layers = opened.layers(repo.refs.commit("HEAD") or "")
            assert read_folder(layers.lower[0]) == read_folder(checkout), step
            require_right_index(workspace, layers.index, layers.tree, layers.lower)
        assert list_remains(layers_dir(repo, cache)) == (), step
