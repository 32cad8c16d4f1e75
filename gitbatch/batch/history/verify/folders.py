"""Comparing two versions of a folder, and whether git would have written the new one.

A merge adds up to 16 entries to a folder that may have thousands. Where the old version is known to be as git writes it, only
what lies between the bytes that both have in common at their start and their end is parsed: the rest was judged before.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import new as new_hash
from itertools import pairwise

from msgspec import Struct

from gitbatch.paths import encode_path
from gitbatch.repo.objects.codec import TreeEntry, parse_tree, render_tree
from gitbatch.repo.objects.store import Objects

_LONG = 8192
"""The bytes from which on a folder is long."""
_KEPT = 4
"""The number of long folders whose bytes are kept: each merge of a group stands on the one before."""
_SHA1 = 40
"""Hexadecimal digits of an object id of SHA-1."""
_NO_NAMES = frozenset({"", ".", ".."})


class FolderChange(Struct, frozen=True):
    """Two versions of a folder: their entries by name. Those that both have alike may be left out."""

    before: dict[str, TreeEntry]
    after: dict[str, TreeEntry]
    is_sound: bool
    """Whether git would have written the new version: each name once, in order."""


@dataclass(slots=True)
class FolderReader:
    """Compares folders, and remembers which long ones are sound."""

    objects: Objects
    _sound: set[str] = field(default_factory=set)
    _contents: dict[str, bytes] = field(default_factory=dict)

    def compare_folders(self, old: str, new: str) -> FolderChange:
        """Returns the difference between two trees; an empty id stands for no folder."""
        content = self._read_content(new) if new else b""
        if old in self._sound and len(content) >= _LONG:
            found = self._compare_middle(self._read_content(old), content)
            if found:
                self._sound.add(new)
                return found
        before = dict(self.objects.read_folder(old)) if old else {}
        after = {entry.name: entry for entry in parse_tree(content, self.objects.id_bytes)}
        is_sound = not new or _is_sound(new, after)
        if is_sound and len(content) >= _LONG:
            self._sound.add(new)
        elif is_sound and new:
            self.objects.keep_folder(new, after)  # the next questions are about its entries
        return FolderChange(before, after, is_sound)

    def _read_content(self, tree: str) -> bytes:
        """Returns the bytes of a tree. Only those of long ones are kept."""
        if tree in self._contents:
            return self._contents[tree]
        content = self.objects.read_tree_content(tree)
        if len(content) >= _LONG:
            while len(self._contents) >= _KEPT:
                del self._contents[next(iter(self._contents))]
            self._contents[tree] = content
        return content

    def _compare_middle(self, old: bytes, new: bytes) -> FolderChange | None:
        """Returns the difference from a sound version; None if only all entries show whether the new one is sound."""
        width = self.objects.id_bytes
        first = _common_start(old, new)
        at, last = 0, 0  # the entry that the versions differ in begins at `at`, the one before it at `last`
        while at < len(new) and (end := new.index(b"\0", at) + 1 + width) <= first:
            at, last = end, at
        rest = min(_common_end(old, new), len(old) - at, len(new) - at)
        ends = [_find_end(content, at, len(content) - rest, width) for content in (old, new)]
        if len(old) - ends[0] != len(new) - ends[1]:
            return None
        before, after = (
            tuple(parse_tree(content[at:end], width)) for content, end in zip((old, new), ends, strict=True)
        )
        around = [*parse_tree(new[last:at], width), *after]
        if ends[1] < len(new):
            around += parse_tree(new[ends[1] : _find_end(new, ends[1], ends[1] + 1, width)], width)
        keys = [entry.sort_key for entry in around]
        is_canonical = render_tree(after) == new[at : ends[1]] and _have_names(after)
        others = (new[:at], new[ends[1] :])
        is_twice = len({entry.name for entry in after}) < len(after) or any(
            _encode_name(entry.name) in part for entry in after for part in others
        )
        if not is_canonical or is_twice or any(a >= b for a, b in pairwise(keys)):
            return None
        return FolderChange({e.name: e for e in before}, {e.name: e for e in after}, is_sound=True)


def _encode_name(name: str) -> bytes:
    return b" " + encode_path(name) + b"\0"


def _find_end(content: bytes, at: int, least: int, width: int) -> int:
    """Returns the end of the first entry, from one that begins at `at`, that ends at `least` or behind it."""
    while at < least:
        at = content.index(b"\0", at) + 1 + width
    return at


def _common_start(one: bytes, other: bytes) -> int:
    """Returns the number of bytes at the start that two have in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_end(one: bytes, other: bytes) -> int:
    """Returns the number of bytes at the end that two have in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        parts = (each[len(each) - middle : len(each) - low] for each in (one, other))
        if next(parts) == next(parts):
            low = middle
        else:
            high = middle - 1
    return low


def _have_names(entries: Iterable[TreeEntry]) -> bool:
    return not any("/" in entry.name or entry.name in _NO_NAMES for entry in entries)


def _is_sound(oid: str, entries: dict[str, TreeEntry]) -> bool:
    """Whether git writes these entries as the tree that has this id: each once, in order, modes without a zero."""
    if not _have_names(entries.values()):
        return False
    content = render_tree(entries.values())
    name = new_hash("sha1" if len(oid) == _SHA1 else "sha256", usedforsecurity=False)
    name.update(b"tree %d\0" % len(content) + content)
    return name.hexdigest() == oid
