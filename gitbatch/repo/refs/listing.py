"""Lists refs from their files, as git would: a git process for it takes longer than all else that a listing costs.

Not for refs of which git decides by more than a file of the usual form: symbolic refs, links, unusual names, reftables.
Not for refs of one worktree either: those are in its own git directory.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from gitbatch.paths import decode_path
from gitbatch.patterns import compile_later

_MOST = 300
"""Files. Git reads more of them faster than this process does, in spite of its start."""
_MOST_PACKED = 512 * 1024
"""Bytes of packed-refs. Git finds a name in more of them by halves, and maps the file instead of reading it."""
_SHARED = ("refs/gitbatch/", "refs/heads/", "refs/tags/")
"""The prefixes of refs that all worktrees of a repository share."""
_NAME = compile_later(r"[A-Za-z0-9_][\w-]*(?:\.[\w-]+)*", re.ASCII)
_ID = compile_later(rb"(?!0+\n)(?:[0-9a-f]{40}|[0-9a-f]{64})\n")
_LOCK = ".lock"


class _UnusualError(Exception):
    """Git has to be asked."""


def list_ref_files(common_dir: str, prefix: str, digits: int) -> dict[str, str] | None:
    """Returns the refs whose names start with a prefix, in the order of `for-each-ref`; None: git has to be asked.

    Args:
        common_dir: the git directory that worktrees share. Its refs are in files.
        prefix: ends in a slash.
        digits: of an object id.
    """
    if not prefix.startswith(_SHARED):
        return None
    try:
        # A ref that is being packed is in both for a moment, first in packed-refs: so these are read last.
        loose = dict(_read_folder(common_dir, prefix.removesuffix("/"), [0]))
        found = dict(_read_packed(common_dir, prefix)) | loose
    except (OSError, _UnusualError):
        return None
    is_usual = all(len(oid) == digits for oid in found.values())
    return {ref: found[ref] for ref in sorted(found)} if is_usual else None


def _read_folder(common_dir: str, folder: str, count: list[int]) -> Iterator[tuple[str, str]]:
    try:
        with os.scandir(f"{common_dir}/{folder}") as entries:
            inside = list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in inside:
        if entry.name.startswith(".") or entry.name.endswith(_LOCK):  # git skips both
            continue
        if entry.is_symlink() or not _NAME.fullmatch(entry.name):
            raise _UnusualError
        path = f"{folder}/{entry.name}"
        if entry.is_dir():
            yield from _read_folder(common_dir, path, count)
            continue
        count[0] += 1
        if count[0] > _MOST or not entry.is_file():
            raise _UnusualError
        yield from _read_loose(common_dir, path)


def _read_loose(common_dir: str, ref: str) -> Iterator[tuple[str, str]]:
    with suppress(FileNotFoundError), open(f"{common_dir}/{ref}", "rb", buffering=0) as file:  # noqa: PTH123 - many
        content = file.read(128)
        if not _ID.fullmatch(content):
            raise _UnusualError
        yield ref, content[:-1].decode()


def _read_packed(common_dir: str, prefix: str) -> Iterator[tuple[str, str]]:
    try:
        with open(f"{common_dir}/packed-refs", "rb", buffering=0) as file:  # noqa: PTH123 - as above
            if os.fstat(file.fileno()).st_size > _MOST_PACKED:
                raise _UnusualError
            content = file.read()
    except FileNotFoundError:
        return
    start = os.fsencode(prefix)
    if b" " + start not in content:
        return
    for line in content.split(b"\n"):
        oid, _, name = line.partition(b" ")
        if name.startswith(start):
            ref = decode_path(name)
            if not _ID.fullmatch(oid + b"\n") or not all(map(_NAME.fullmatch, ref.split("/"))):
                raise _UnusualError
            yield ref, oid.decode()
