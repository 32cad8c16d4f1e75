"""What the result of `batch.prepare` depends on."""

from collections.abc import Iterator

import pytest
from conftest import Workspace

from gitbatch.batch.extras.prepare_key import hash_settings, list_deciding_files, name_layer
from gitbatch.project.extras_table import ExtrasTable
from gitbatch.repo.opening import open_repository
from gitbatch.repo.snapshot import TreeSnapshot

TABLE = ExtrasTable(prepare=("npm", "ci"))
VARIABLES = {"PATH": "/usr/bin", "TERM": "xterm"}


@pytest.fixture
def snapshot(workspace: Workspace) -> Iterator[TreeSnapshot]:
    for path in ("package-lock.json", "packages/a/package-lock.json", "requirements/dev.txt"):
        workspace.write(path, "locked")
    workspace.commit()
    repo = open_repository(workspace.root)
    commit = repo.refs.commit("HEAD")
    assert commit
    yield TreeSnapshot(repo.objects, repo.objects.tree_of(commit))
    repo.close()


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["package-lock.json"], ["package-lock.json"]),
        (["/package-lock.json", "not-there.txt", "packages"], ["package-lock.json"]),
        (["**/package-lock.json"], ["package-lock.json", "packages/a/package-lock.json"]),
        (["requirements/*.txt", "package-lock.json"], ["package-lock.json", "requirements/dev.txt"]),
    ],
)
def test_deciding_files(snapshot: TreeSnapshot, patterns: list[str], expected: list[str]) -> None:
    found = list_deciding_files(snapshot, patterns)
    assert [path for path, _ in found] == expected
    assert all(snapshot.blob(path) == blob for path, blob in found)


def test_settings_that_count() -> None:
    usual = hash_settings(TABLE, VARIABLES, "/home/u/p")
    assert hash_settings(TABLE, {**VARIABLES, "TERM": "dumb"}, "/home/u/p") == usual
    others = (
        hash_settings(ExtrasTable(prepare=("npm", "install")), VARIABLES, "/home/u/p"),
        hash_settings(ExtrasTable(prepare=("npm", "ci"), prepare_sandbox="none"), VARIABLES, "/home/u/p"),
        hash_settings(TABLE, {**VARIABLES, "PATH": "/opt/bin"}, "/home/u/p"),
        hash_settings(TABLE, VARIABLES, "/home/u/other"),
    )
    assert len({usual, *others}) == 5
    again = hash_settings(ExtrasTable(prepare=(("npm", "ci"),), prepare_network=True), VARIABLES, "/home/u/p")
    assert again == usual, "the same commands, written as a list; a network changes nothing of a good result"


def test_names() -> None:
    files = (("package-lock.json", "1" * 40),)
    names = (
        name_layer("x", files, ""),
        name_layer("y", files, ""),
        name_layer("x", (), ""),
        name_layer("x", files, "include-1"),
        name_layer("x", files, "", "20260101-000000-abcd"),
    )
    assert len(set(names)) == 5
    assert all(name.startswith("prepare-") for name in names)
