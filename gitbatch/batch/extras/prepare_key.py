"""The name of the layer of `batch.prepare`: a digest of all that its result depends on.

| part | changes when |
|---|---|
| the commands | they are edited |
| the blobs of `batch.prepare-on` | one of these files has other content in a commit; without any, the batch's first commit is another one |
| the layer of included files | they change: the commands ran on top of them |
| environment and platform | a variable that the commands get has another value; another system or processor |
| the folder | the commands saw their folder at another path, which may be written into the result |
"""

import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from gitbatch.project.extras_table import ExtrasTable, split_names
from gitbatch.repo.snapshot import TreeSnapshot

_FORMAT = 2
_OF_TERMINAL = frozenset({"TERM", "TMPDIR"})


def list_deciding_files(snapshot: TreeSnapshot, patterns: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Returns path and blob of the files of a commit that `batch.prepare-on` names, sorted.

    A name without a pattern is a path from the top folder; only for others are all files of the commit listed.
    """
    return tuple(sorted(set(_find_files(snapshot, patterns))))


def _find_files(snapshot: TreeSnapshot, wanted: Sequence[str]) -> Iterator[tuple[str, str]]:
    names, patterns = split_names(wanted)
    for path in names:
        if blob := snapshot.blob(path):
            yield path, blob
    if patterns:
        for path, entry in snapshot.objects.list_files(snapshot.tree):
            if entry.is_file and any(each.fullmatch(path) for each in patterns):
                yield path, entry.oid


def hash_settings(table: ExtrasTable, variables: Mapping[str, str], folder: str) -> str:
    """Returns a digest of everything that the result depends on besides the files.

    Args:
        table: the settings.
        variables: those that the commands get.
        folder: the one in which they run, as they see it.
    """
    kept = sorted((name, value) for name, value in variables.items() if name not in _OF_TERMINAL)
    machine = (sys.platform, platform.machine(), *platform.libc_ver())
    parts = (_FORMAT, table.prepare_commands, table.prepare_sandbox, kept, machine, folder)
    return _hash_parts(parts)


def name_layer(settings: str, files: tuple[tuple[str, str], ...], include: str, batch: str = "") -> str:
    """Returns the name of the layer with the result.

    Args:
        settings: see `hash_settings`.
        files: see `list_deciding_files`.
        include: the name of the layer of included files; empty if no file is included.
        batch: the only batch that may use it; empty: any.
    """
    return f"prepare-{_hash_parts((settings, files, include, batch))[:24]}"


def _hash_parts(parts: object) -> str:
    return sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()
