"""Objects in files of their own are as git writes them, and never half there."""

import errno
import os
import random
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import Workspace

from gitbatch.fs.disk import disk_error
from gitbatch.repo.objects import loose
from gitbatch.repo.objects.codec import compute_id, render_header
from gitbatch.repo.objects.loose import USUAL, LooseForm, UnwritableObjectError, store_loose

if TYPE_CHECKING:
    from collections.abc import Iterable


def named(kind: str, *contents: bytes, id_bytes: int = 20) -> dict[str, bytes]:
    return {
        compute_id(kind, content, id_bytes): render_header(kind, content) + content for content in contents
    }


def path_of(objects: Path, oid: str) -> Path:
    return objects / oid[:2] / oid[2:]


def files_below(objects: Path) -> list[str]:
    return sorted(path.name for path in objects.rglob("*") if path.is_file())


@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_git_reads_and_accepts_what_is_written(
    tmp_path: Path, environment: dict[str, str], form: str
) -> None:
    workspace = Workspace(tmp_path, tmp_path, environment)
    workspace.git("init", "-q", f"--object-format={form}", "-b", "main")
    id_bytes = 20 if form == "sha1" else 32
    dice = random.Random(7)  # noqa: S311 - no secret
    sizes = (0, 1, 200, 70_000)
    blobs = named("blob", *(dice.randbytes(size) for size in sizes), id_bytes=id_bytes)
    entries = b"".join(
        b"100644 %d\0" % number + bytes.fromhex(oid) for number, oid in enumerate(sorted(blobs))
    )
    trees = named("tree", entries, b"", id_bytes=id_bytes)
    who = b"A <a@b> 1 +0000"
    lines = b"tree %s\nauthor %s\ncommitter %s\n\nWhy\n" % (next(iter(trees)).encode(), who, who)
    commits = named("commit", lines, id_bytes=id_bytes)
    store_loose(tmp_path / ".git/objects", {**blobs, **trees, **commits}, USUAL)
    (commit,) = commits
    workspace.git("update-ref", "refs/heads/main", commit)
    assert workspace.git("fsck", "--strict", "--full", "--no-dangling", "--no-progress") == ""
    for oid, content in {**blobs, **trees, **commits}.items():
        kind = content.partition(b" ")[0].decode()
        assert workspace.git("cat-file", "-t", oid) == kind
        assert zlib.decompress(path_of(tmp_path / ".git/objects", oid).read_bytes()) == content


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("core.compression", "9"),
        ("core.looseCompression", "0"),
        ("core.sharedRepository", "group"),
        ("core.sharedRepository", "everybody"),
        ("core.sharedRepository", "0640"),
        ("core.sharedRepository", "umask"),
        ("core.sharedRepository", "889"),
    ],
)
def test_a_file_has_the_form_that_the_configuration_names(workspace: Workspace, key: str, value: str) -> None:
    objects, content = workspace.root / ".git/objects", b"a text that can be made smaller " * 9
    workspace.git("config", key, value)
    before = os.umask(0o027)
    try:
        (workspace.root / "z").write_bytes(content)
        (oid,) = named("blob", content)
        found = []
        for write in (
            lambda: workspace.git("hash-object", "-w", "z"),
            lambda: store_loose(objects, named("blob", content), LooseForm.parse({key.lower(): value})),
        ):
            write()
            file = path_of(objects, oid)
            found.append((file.read_bytes(), oct(file.stat().st_mode), oct(file.parent.stat().st_mode)))
            file.unlink()
            file.parent.rmdir()
    finally:
        os.umask(before)
    assert found[0] == found[1]


def test_contents_are_synced_before_any_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []

    def look(descriptors: "Iterable[int]") -> None:
        synced.extend(os.fstat(descriptor).st_size for descriptor in descriptors)
        assert all(name.startswith("tmp_obj_") for name in files_below(tmp_path))

    monkeypatch.setattr(loose, "sync_contents", look)
    both = named("blob", b"one", b"two")
    store_loose(tmp_path, both, USUAL)
    assert len(synced) == 2
    assert all(synced)
    assert files_below(tmp_path) == sorted(oid[2:] for oid in both)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_an_error_says_so_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(descriptor: int, content: bytes) -> None:
        os.write(descriptor, content[:5])
        if len(files_below(tmp_path)) == 2:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(loose, "write_all", fail)
    with pytest.raises(UnwritableObjectError, match=os.strerror(number)) as caught:
        store_loose(tmp_path, named("blob", b"one", b"two"), USUAL)
    assert files_below(tmp_path) == []
    assert (disk_error(caught.value) is not None) == (number != errno.EACCES)


def test_permissions_that_cannot_be_set_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(UnwritableObjectError, match="not permitted"):
        store_loose(tmp_path, named("blob", b"one"), LooseForm(shared=0o660))
    assert files_below(tmp_path) == []


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    contents = named("blob", b"one")
    (tmp_path / next(iter(contents))[:2]).touch()
    with pytest.raises(UnwritableObjectError, match=f"{tmp_path}.*Not a directory"):
        store_loose(tmp_path, contents, USUAL)


def test_what_is_there_stays_and_gets_young(tmp_path: Path) -> None:
    contents = named("blob", b"one")
    store_loose(tmp_path, contents, USUAL)
    file = path_of(tmp_path, next(iter(contents)))
    os.utime(file, (1, 1))
    before = file.stat()
    store_loose(tmp_path, contents, USUAL)
    assert file.stat().st_ino == before.st_ino
    assert file.stat().st_mtime > 1


def test_what_another_user_has_stored_is_replaced_by_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its owner may make it young."""

    def refuse(path: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)

    contents = named("blob", b"one")
    store_loose(tmp_path, contents, USUAL)
    file = path_of(tmp_path, next(iter(contents)))
    before = file.stat()
    monkeypatch.setattr(os, "utime", refuse)
    store_loose(tmp_path, contents, USUAL)
    assert file.stat().st_ino != before.st_ino
    assert files_below(tmp_path) == [file.name]
    assert not file.stat().st_mode & 0o222


def test_what_only_an_alternate_has_is_stored_here_too_and_through_a_link(workspace: Workspace) -> None:
    """A folder of objects may be a link, and what it borrows may go."""
    objects, moved, lender = (workspace.root / name for name in (".git/objects", "moved", "lender"))
    workspace.git("init", "-q", "lender")
    (workspace.root / "z").write_bytes(b"one")
    oid = workspace.git("-C", "lender", "hash-object", "-w", "../z")
    objects.rename(moved)
    objects.symlink_to(moved)
    (objects / "info/alternates").write_text(f"{lender}/.git/objects\n", encoding="utf-8")
    assert workspace.git("cat-file", "blob", oid) == "one"
    store_loose(objects, named("blob", b"one"), USUAL)
    (objects / "info/alternates").unlink()
    assert workspace.git("cat-file", "blob", oid) == "one"


def test_two_that_write_the_same_do_not_disturb_each_other(tmp_path: Path) -> None:
    contents = named("blob", *(b"%d" % number for number in range(60)))
    writers = [threading.Thread(target=store_loose, args=(tmp_path, contents, USUAL)) for _ in range(2)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert files_below(tmp_path) == sorted(oid[2:] for oid in contents)
    assert all(
        zlib.decompress(path_of(tmp_path, oid).read_bytes()) == content for oid, content in contents.items()
    )


def test_a_system_with_a_fuller_sync_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("gitbatch.fs.durable._FULL_SYNC", 51)
    monkeypatch.setattr("gitbatch.fs.durable.fcntl.fcntl", lambda _, what: asked.append(what))
    store_loose(tmp_path, named("blob", b"one"), USUAL)
    assert asked == [51]
