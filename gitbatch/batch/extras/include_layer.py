"""The layer of the files that worktrees get from the user's checkout: copied once into the cache, used as long as it is true.

The name of the layer says which files it has, with their sizes, times and modes. So a file that was written, added or
removed makes another layer, and a batch that finds everything as it was copies nothing.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from gitbatch.batch.extras.include import IncludedFiles
from gitbatch.errors import GitbatchError
from gitbatch.fs.copying import SourceChangedError, copy_sources
from gitbatch.repo.templates.marker import LayerInfo
from gitbatch.repo.templates.store import LayerStore, Lease

_PURPOSE = "include"
_TRIES = 3


class ChangingFilesError(GitbatchError):
    """The files to include keep changing."""


def make_include_layer(
    store: LayerStore, root: Path, find: Callable[[], IncludedFiles]
) -> tuple[IncludedFiles, Lease | None]:
    """Returns the files of a checkout that worktrees get, and a lease of their layer; None: there are none.

    Args:
        store: has the layers of the repository.
        root: the checkout.
        find: lists the files; it is called again if one changes while it is copied.

    Raises:
        ChangingFilesError: they keep changing.
        OSError: one cannot be read, or the cache folder cannot be written.
    """
    changed = ""
    for _ in range(_TRIES):
        included = find()
        if not included.files:
            return included, None
        name = f"{_PURPOSE}-{included.digest[:24]}"
        try:
            return included, store.make(name, partial(_fill_layer, root, included))
        except SourceChangedError as error:
            changed = str(error.strerror)
    raise ChangingFilesError(
        f"cannot include files of the checkout: {changed}",
        "stop what writes them, or narrow .worktreeinclude or batch.include",
    )


def _fill_layer(root: Path, included: IncludedFiles, folder: Path) -> LayerInfo:
    copy_sources(root, included.files, folder / "tree")
    return LayerInfo(_PURPOSE, included.digest)
