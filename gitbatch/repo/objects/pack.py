"""Packs of few objects, written and read without a git process, which would cost more than everything else (gitformat-pack(5)).

What is written has no deltas. A pack that has them, or is damaged, is not read here: git does that, and says what is wrong.
"""

import os
import secrets
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitbatch.repo.objects.codec import compute_id, open_digest

FEW_OBJECTS = 200
"""The most objects of a pack that are stored one by one, which makes no further pack to look through."""
FEW_BYTES = 1024 * 1024
"""The most bytes of all objects of a pack that is written or read here."""
_TYPES = {"commit": 1, "tree": 2, "blob": 3}
_KINDS = {number: kind for kind, number in _TYPES.items()}
_HEAD = struct.Struct(">4sII")
_MAGIC, _VERSION = b"PACK", 2
_MORE = 0x80
"""The bit of a byte of a size that says that another one follows."""


class WholeObject(Struct, frozen=True):
    """An object: a blob, a tree or a commit."""

    kind: str
    content: bytes


class _DamagedError(Exception):
    """The bytes are not such a pack."""


def render_entry(whole: WholeObject) -> bytes:
    """Returns the bytes that a pack has for an object."""
    size = len(whole.content)
    head = [_TYPES[whole.kind] << 4 | size & 15]
    size >>= 4
    while size:
        head[-1] |= _MORE
        head.append(size & 127)
        size >>= 7
    return bytes(head) + zlib.compress(whole.content)


def render_pack(entries: Iterable[bytes], id_bytes: int) -> bytes:
    """Returns the pack with some entries."""
    parts = tuple(entries)
    content = b"".join((_HEAD.pack(_MAGIC, _VERSION, len(parts)), *parts))
    return content + open_digest(id_bytes, content).digest()


def parse_pack(pack: bytes, id_bytes: int) -> tuple[WholeObject, ...] | None:
    """Returns the objects of a pack, whose checksum is right; None: git has to read it, or to say what is wrong."""
    with suppress(_DamagedError, zlib.error, IndexError, struct.error):
        magic, version, count = _HEAD.unpack_from(pack)
        content, checksum = pack[:-id_bytes], pack[-id_bytes:]
        is_known = (magic, version) == (_MAGIC, _VERSION) and count <= FEW_OBJECTS
        if is_known and open_digest(id_bytes, content).digest() == checksum:
            return tuple(_parse_entries(content, count))
    return None


def _parse_entries(content: bytes, count: int) -> Iterator[WholeObject]:
    at, left = _HEAD.size, FEW_BYTES
    for _ in range(count):
        kind, size, at = _parse_head(content, at)
        left -= size
        if kind not in _KINDS or left < 0:
            raise _DamagedError
        unpacking = zlib.decompressobj()
        found = unpacking.decompress(content[at:], size + 1)  # never more than the size that the entry names
        if len(found) != size or not unpacking.eof:
            raise _DamagedError
        at = len(content) - len(unpacking.unused_data)
        yield WholeObject(_KINDS[kind], found)
    if at != len(content):
        raise _DamagedError


def _parse_head(content: bytes, at: int) -> tuple[int, int, int]:
    """Returns the type and the size that an entry begins with, and where its content begins."""
    byte = content[at]
    kind, size, shift = byte >> 4 & 7, byte & 15, 4
    while byte & _MORE:
        at += 1
        byte = content[at]
        size |= (byte & 127) << shift
        shift += 7
    return kind, size, at + 1


def store_unsynced(folder: Path, whole: WholeObject, id_bytes: int) -> str:
    """Stores an object in a file of its own and returns its id; nothing is synced: the store need not survive a power cut.

    Args:
        folder: the folder of the object store.
        whole: the object.
        id_bytes: the length of a raw object id.
    """
    oid = compute_id(whole.kind, whole.content, id_bytes)
    path = f"{folder}/{oid[:2]}/{oid[2:]}"
    if os.path.lexists(path):
        return oid
    with suppress(FileExistsError):
        os.mkdir(f"{folder}/{oid[:2]}")  # noqa: PTH102 - as below
    temporary = f"{folder}/{oid[:2]}/tmp_obj_{secrets.token_hex(6)}"  # noqa: S108 - git prune knows this name
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    with os.fdopen(descriptor, "wb") as file:
        file.write(zlib.compress(b"%s %d\0%s" % (whole.kind.encode(), len(whole.content), whole.content), 1))
    os.rename(temporary, path)  # noqa: PTH104 - a path as text is several times quicker
    return oid
