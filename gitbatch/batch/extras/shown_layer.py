"""The layer that shows what a commit has where the layers of included files or of `batch.prepare` would hide it.

These have no file of the commit that they were made on. But a later commit may have a file at such a path: the user's,
between two groups, or the one from which another batch starts that finds the layer in the cache.
"""

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from gitbatch.repo.objects.codec import TreeEntry
from gitbatch.repo.objects.reader import PathChange
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.delta import Delta, fill_delta
from gitbatch.repo.templates.marker import LayerInfo
from gitbatch.repo.templates.store import LayerStore, Lease

_PURPOSE = "shown"


def find_hidden(objects: Objects, tree: str, layer: Path) -> tuple[str, ...]:
    """Returns the paths of a tree that a layer hides; of a folder that it hides, that of the folder.

    It reads only folders that both have.

    Raises:
        OSError: the layer cannot be read.
    """
    return tuple(_walk_both(objects, tree, layer, ""))


def _walk_both(objects: Objects, tree: str, folder: Path, prefix: str) -> Iterator[str]:
    entries = objects.read_folder(tree)
    with os.scandir(folder) as found:
        both = sorted(
            (entry.name, entry.is_dir(follow_symlinks=False)) for entry in found if entry.name in entries
        )
    for name, is_folder in both:
        entry = entries[name]
        if is_folder and entry.is_tree:
            yield from _walk_both(objects, entry.oid, folder / name, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}"


def make_shown_layer(
    repo: Repository, store: LayerStore, batch: str, tree: str, hidden: Iterable[str]
) -> Lease:
    """Makes a layer with the files of a tree at some paths, for one batch.

    Raises:
        OSError: it cannot be written.
        GitError: git cannot check a file out.
    """
    paths = tuple(sorted(hidden))
    changes = tuple(
        PathChange(path, None, entry)
        for name in paths
        for path, entry in _list_files(repo.objects, tree, name)
    )

    def fill(folder: Path) -> LayerInfo:
        fill_delta(repo, Delta(tree, changes), folder / "tree")
        return LayerInfo(_PURPOSE, tree)

    digest = sha256(repr((batch, tree, paths)).encode("utf-8", "surrogatepass")).hexdigest()
    return store.make(f"{_PURPOSE}-{digest[:24]}", fill)


def _list_files(objects: Objects, tree: str, path: str) -> Iterator[tuple[str, TreeEntry]]:
    entry = objects.find_entry(tree, path)
    if entry and entry.is_tree:
        yield from objects.list_files(entry.oid, f"{path}/")
    elif entry:
        yield path, entry
