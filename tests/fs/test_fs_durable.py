"""Files that are whole after a power cut, and what goes to the disk at a commit point, in which order."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Workspace
from waiting import pass_moment

from gitbatch.fs.durable import drop_remains, replacing, replacing_unsynced, write_file
from gitbatch.repo.checkout.follow import index_lock, rewrite_file
from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.repository import Repository

REF = "refs/heads/gitbatch/b/1-x"


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What is brought to the disk, in that order."""
    paths: list[Path] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    return paths


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_file(file, b"old")
    parent = os.open(tmp_path, os.O_RDONLY)
    with suppress(InterruptedError), replacing(parent, "file") as descriptor:
        os.write(descriptor, b"ne")
        raise InterruptedError
    assert file.read_bytes() == b"old"
    write_file(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]
    os.close(parent)


def test_what_a_kill_has_left_beside_a_file_goes_with_the_next_try(tmp_path: Path) -> None:
    parent = os.open(tmp_path, os.O_RDONLY)

    def drop() -> None:
        drop_remains(parent, "file")

    def write() -> None:
        write_file(tmp_path / "file", b"x")

    for after in (drop, write):
        with replacing(parent, "file"):
            (beside,) = tmp_path.iterdir()
            os.link(beside, tmp_path / "kept")
        (tmp_path / "file").unlink()
        (tmp_path / "kept").rename(beside)
        after()
        assert not beside.exists()
    os.close(parent)


def test_a_file_and_then_its_name_go_to_the_disk(tmp_path: Path, synced: list[Path]) -> None:
    write_file(tmp_path / "file", b"x")
    beside, folder = synced
    assert beside.parent == folder == tmp_path


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("seconds", [0.0, 0.001], ids=["quick disk", "slow disk"])
def test_a_commit_point_brings_objects_and_then_the_name_of_the_ref_to_the_disk(
    repo: Repository,
    workspace: Workspace,
    synced: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    fsync = os.fsync

    def slowly(descriptor: int) -> None:
        pass_moment(seconds)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slowly)
    who = Ident("A", "a@example.org", 0)
    blob = repo.objects.write_blob(b"content")
    tree = repo.objects.write_tree(None, {"sub/file": blob})
    commit = repo.objects.write_commit(tree, (), "x", who, who)
    repo.objects.writer.flush()
    below = workspace.git("rev-parse", f"{commit}:sub")
    assert repo.commit_point(REF, commit, None, "x")
    git = workspace.root / ".git"
    objects = [path for path in synced if path.is_relative_to(git / "objects")]
    folders = {git / "objects" / oid[:2] for oid in (blob, tree, commit, below)}
    contents = [path for path in objects if path.name.startswith("tmp_obj_")]
    assert {path.parent for path in contents} == folders
    assert len(contents) == 4
    assert objects[:4] == contents, "before their names"
    assert set(objects[4:]) == {git / "objects", *folders}
    assert objects == synced[: len(objects)], "before the ref"
    assert set(synced[len(objects) :]) == {
        git / "refs/heads/gitbatch/b",
        git / "refs/heads/gitbatch",
        git / "refs/heads",
        git / "refs",
    }


def find_sync(synced: list[Path], store: Path, oid: str) -> int:
    """Returns when the content of an object was synced, which had a temporary name then."""
    folder = store / oid[:2]
    (found,) = (
        number
        for number, path in enumerate(synced)
        if path.parent == folder and path.name.startswith("tmp_obj_")
    )
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_nothing_that_is_on_the_disk_names_an_object_that_is_not(
    repo: Repository, workspace: Workspace, synced: list[Path]
) -> None:
    """Neither a ref that is no commit point, nor the index."""
    store = workspace.root / ".git/objects"
    note = repo.objects.write_blob(b"a note")
    repo.point("refs/gitbatch/b/limits", note)
    assert find_sync(synced, store, note) < synced.index(store / note[:2])
    workspace.write("staged", "old\n")
    workspace.git("add", "staged")
    with index_lock(repo):
        rewrite_file(repo, "staged", lambda content: content + b"new\n")
    oid = workspace.git("rev-parse", ":staged")
    name, index = (synced.index(path) for path in (store / oid[:2], workspace.root / ".git/index.gitbatch"))
    assert find_sync(synced, store, oid) < name < index


def test_content_of_another_program_is_brought_to_the_disk(
    repo: Repository, workspace: Workspace, synced: list[Path]
) -> None:
    """That has stored the same object, and need not have synced it."""
    workspace.write("other", "a note")
    oid = workspace.git("hash-object", "-w", "other")
    assert repo.objects.write_blob(b"a note") == oid
    repo.point("refs/gitbatch/b/limits", oid)
    folder = workspace.root / ".git/objects" / oid[:2]
    assert {folder, folder / oid[2:]} <= set(synced)


def test_a_commit_point_that_is_missed_says_nothing_is_on_the_disk(
    repo: Repository, workspace: Workspace, synced: list[Path]
) -> None:
    head = workspace.git("rev-parse", "HEAD")
    assert repo.commit_point(REF, head, None, "x")
    del synced[:]
    assert not repo.commit_point(REF, head, None, "x")
    assert synced == []


def test_unsynced_replacement(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    parent = os.open(tmp_path, os.O_RDONLY)
    try:
        with suppress(KeyboardInterrupt), replacing_unsynced(parent, "a") as descriptor:
            os.write(descriptor, b"half")
            assert (tmp_path / "a").read_bytes() == b"old"
            raise KeyboardInterrupt
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old"}
        with replacing_unsynced(parent, "a", 0o600) as descriptor:
            os.write(descriptor, b"new")
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"new"}
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    finally:
        os.close(parent)


def test_mode_of_a_written_file(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"new", 0o755)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755
