"""Templates: what git checks out, made once for each tree."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Place

from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.templates import Templates, open_templates


@pytest.fixture
def repo(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    place.write("a b/ü.md", "1")
    place.write("c/deep/x.md", "2")
    place.write("top.md", "3")
    place.commit()
    opened = open_repository(place.root)
    yield opened
    opened.close()


@pytest.fixture
def templates(repo: Repository, tmp_path: Path) -> Iterator[Templates]:
    with open_templates(repo, tmp_path / "cache") as opened:
        yield opened


def head(repo: Repository) -> str:
    return repo.refs.commit("HEAD") or ""


def test_a_template_is_made_once_by_git(repo: Repository, place: Place, templates: Templates) -> None:
    layers = templates.layers(head(repo))
    (tree,) = layers.lower
    assert (tree / "a b/ü.md").read_text() == "1"
    status = place.git("-C", str(tree), f"--git-dir={repo.git_dir}", f"--work-tree={tree}", "status", "-s")
    assert status == ""
    templates.guard = lambda: pytest.fail("git is started again")
    assert templates.layers(head(repo)).lower == (tree,)


def test_a_template_of_some_paths(repo: Repository, templates: Templates) -> None:
    layers = templates.layers(head(repo), ("a b/", "c/deep/x.md"))
    (tree,) = layers.lower
    found = sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file())
    assert found == ["a b/ü.md", "c/deep/x.md"]
    assert layers.index.read_bytes()[:4] == b"DIRC"
