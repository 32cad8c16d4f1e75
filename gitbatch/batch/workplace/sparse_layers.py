"""Layers with some files of a commit, for worktrees that have only what their items read.

They belong to one run, and are in its folder for worktrees: which files an item reads is rarely the same in the next run.
Items that read the same files, as those of a group often do, share one. Not thread-safe: a run has one thread for git.
"""

from pathlib import Path

from msgspec import Struct, field

from gitbatch.fs.removal import remove_anything
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.templates.templates import wait_for_tick
from gitbatch.repo.worktrees.sparse import check_out

_UNUSED = 4
"""The most that are kept without a use: the next item may read the same files."""
_Key = tuple[str, tuple[str, ...]]


class SparseLayer(Struct):
    """Files of a commit with their index, held until they are closed: used like `templates.layers.Layers`."""

    folder: Path
    users: int = 0

    @property
    def lower(self) -> tuple[Path, ...]:
        """The folder of files, as the only layer."""
        return (self.folder / "tree",)

    @property
    def index(self) -> Path:
        """The index of the tree, alone in its folder. Read-only."""
        return self.folder / "git/index"

    def close(self) -> None:
        """Ends one use of it."""
        self.users -= 1


class SparseLayers(Struct):
    """The layers of a run."""

    objects: Objects
    folder: Path
    """In which they are made."""
    _known: dict[_Key, SparseLayer] = field(default_factory=dict)
    """The one that was taken last is the last."""
    _made: int = 0

    def take_layer(self, tree: str, paths: tuple[str, ...]) -> SparseLayer:
        """Returns a layer with the files at and below some paths of a tree; close it when it is not used any more.

        Raises:
            OSError: it cannot be written.
            GitError: an object is missing, or git would not check out the tree.
        """
        key = tree, tuple(sorted(set(paths)))
        layer = self._known.pop(key, None) or self._make_layer(*key)
        self._known[key] = layer
        layer.users += 1
        self._remove_unused()
        return layer

    def _make_layer(self, tree: str, paths: tuple[str, ...]) -> SparseLayer:
        self._made += 1
        layer = SparseLayer(self.folder / str(self._made))
        (files,) = layer.lower
        for folder in (files, layer.index.parent):
            folder.mkdir(parents=True)
        layer.index.write_bytes(check_out(self.objects, tree, paths, files))
        wait_for_tick(layer.index)
        return layer

    def _remove_unused(self) -> None:
        unused = [key for key, layer in self._known.items() if not layer.users]
        for key in unused[:-_UNUSED]:
            remove_anything(self._known.pop(key).folder)

    def close(self) -> None:
        """Removes all."""
        self._known.clear()
        remove_anything(self.folder)
