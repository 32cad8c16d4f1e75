"""Layers with some files of a commit are shared by the items that read the same, and removed when they are not needed."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.batch.workplace.sparse_layers import SparseLayer, SparseLayers
from gitbatch.repo.repository import Repository


@pytest.fixture
def layers(repo: Repository, tmp_path: Path) -> Iterator[SparseLayers]:
    with closing(SparseLayers(repo.objects, tmp_path / "sparse")) as opened:
        yield opened
    assert not opened.folder.exists()


def test_layers_are_shared_and_removed(layers: SparseLayers, repo: Repository, workspace: Workspace) -> None:
    paths = ("a.txt", "b.txt", "c.txt")
    for path in paths:
        workspace.write(path, "")
    workspace.commit()
    tree = repo.objects.tree_of(repo.refs.resolve("HEAD"))

    def take(*chosen: str) -> SparseLayer:
        return layers.take_layer(tree, chosen)

    first = take(*paths)
    assert take(*reversed(paths), paths[0]) is first
    assert {path.name for path in first.lower[0].iterdir()} == set(paths)
    assert first.index.read_bytes().startswith(b"DIRC")
    for path in paths:
        take(path).close()
    first.close()
    for _ in range(2):
        take(paths[0], paths[1]).close()
        take(paths[1], paths[2]).close()
    assert first.folder.exists()  # one item still uses it
    first.close()
    for number in range(4):
        take(f"missing/{number}").close()
    assert not first.folder.exists()
