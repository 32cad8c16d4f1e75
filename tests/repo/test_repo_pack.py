"""Packs of few objects that no git process writes or reads."""

import zlib

import pytest

from gitbatch.repo.objects import pack as module
from gitbatch.repo.objects.codec import open_digest
from gitbatch.repo.objects.pack import (
    FEW_OBJECTS,
    WholeObject,
    parse_pack,
    render_entry,
    render_pack,
    store_unsynced,
)
from gitbatch.repo.repository import Repository

SIZES = (0, 1, 15, 16, 2047, 2048, 70_000)
BLOBS = tuple(WholeObject("blob", bytes(number % 251 for number in range(size))) for size in SIZES)


def test_pack_is_read_by_git_and_here(repo: Repository) -> None:
    """Objects of all kinds, at each length that a size has in a pack."""
    made = render_pack(map(render_entry, BLOBS), repo.id_bytes)
    repo.git.run("unpack-objects", "-q", "--strict", input=made)
    stored = [repo.objects.write_blob(blob.content) for blob in BLOBS]
    repo.objects.writer.flush()
    assert repo.objects.find_missing(stored) == ()
    assert parse_pack(made, repo.id_bytes) == BLOBS
    head = repo.refs.commit("HEAD") or ""
    oids = (head, repo.objects.tree_of(head), *stored)
    found = repo.objects.read_few(oids, 100_000)
    assert found is not None
    assert [whole.kind for whole in found] == ["commit", "tree", *["blob"] * len(BLOBS)]
    assert repo.objects.read_few(oids, 70_000) is None
    assert repo.objects.read_few(("1" * 40,), 10) is None
    assert (
        repo.objects.read_blob(stored[3]) == BLOBS[3].content
    )  # no rest of an answer is taken for another one


def test_object_is_stored_as_git_does_it(repo: Repository) -> None:
    folder = repo.common_dir / "objects"
    content = b"a new one\n"
    oid = store_unsynced(folder, WholeObject("blob", content), repo.id_bytes)
    assert store_unsynced(folder, WholeObject("blob", content), repo.id_bytes) == oid
    assert repo.git.run("cat-file", "blob", oid).stdout == content
    assert repo.git.run("fsck", "--full", "--strict").status == 0
    assert not list(folder.glob("*/tmp_obj_*"))


def _add_checksum(content: bytes) -> bytes:
    return content + open_digest(20, content).digest()


_GOOD = render_pack([render_entry(WholeObject("blob", b"abc"))], 20)[:-20]


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"PACK",
        _GOOD + bytes(20),
        _add_checksum(b"KCAP" + _GOOD[4:]),
        _add_checksum(_GOOD[:11] + b"\2" + _GOOD[12:]),  # two objects, and one is there
        _add_checksum(_GOOD[:8] + (FEW_OBJECTS + 1).to_bytes(4, "big") + _GOOD[12:]),
        _add_checksum(_GOOD[:12] + b"\x32" + _GOOD[13:]),  # another size
        _add_checksum(_GOOD[:12] + b"\x34" + _GOOD[13:]),
        _add_checksum(_GOOD[:12] + b"\x63" + bytes(20) + zlib.compress(b"abc")),  # a delta
        _add_checksum(_GOOD[:13] + b"y" + _GOOD[14:]),
        _add_checksum(_GOOD[:-2]),
        _add_checksum(_GOOD + b"more"),
    ],
)
def test_other_packs_are_left_to_git(damaged: bytes) -> None:
    assert parse_pack(damaged, 20) is None


def test_no_more_is_unpacked_than_an_entry_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros that compress to nearly nothing do not fill the memory."""
    bomb = render_entry(WholeObject("blob", bytes(5000)))
    monkeypatch.setattr(module, "FEW_BYTES", 4999)
    assert parse_pack(render_pack([bomb], 20), 20) is None
    monkeypatch.setattr(module, "FEW_BYTES", 5000)
    assert parse_pack(render_pack([bomb], 20), 20) == (WholeObject("blob", bytes(5000)),)
