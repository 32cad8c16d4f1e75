"""The templates of a repository: the files of its base commits, made once by git and shared by all worktrees.

A template has every file of a tree as git's checkout makes it, with the attributes of the tree and the settings of the
user; no filter is run. A later base that differs little is a thin layer on the template of an earlier one (`delta.py`).
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from gitbatch.repo.process import Git
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.layers import Layers
from gitbatch.repo.templates.store import FORMAT, LayerInfo, LayerStore
from gitbatch.repo.worktrees.sparse import check_out
from gitbatch.repo.worktrees.worktree import check_out_all

LAYERS = "layers"
"""The folder of all repositories' layers in the cache folder."""

_TEMPLATE, _CONTEXT = "template", "context"


@dataclass(slots=True)
class Templates:
    """The templates of one repository, for one run."""

    repo: Repository
    store: LayerStore
    guard: Callable[[], None]
    """Called before git converts files; raises an error if the repository's control files were changed."""

    def layers(self, commit: str, paths: tuple[str, ...] | None = None) -> Layers:
        """Returns the layers that have the files of a commit, and makes them if they are missing.

        Args:
            commit: the commit.
            paths: the only paths that they have (a folder ends in a slash); None: all.

        Raises:
            OSError: they cannot be written.
            GitError: git cannot check the commit out.
            TamperedError: see `guard`.
        """
        tree = self.repo.objects.tree_of(commit)
        if paths is not None:
            return self._layers_of_paths(tree, paths)
        lease = self.store.make(self._name_of(tree), partial(self._fill, commit, tree))
        return Layers((lease,), tree, lease.index)

    def _name_of(self, tree: str) -> str:
        return f"{tree[:20]}-{_hash_settings(self.repo)[:12]}"

    def _fill(self, commit: str, tree: str, folder: Path) -> LayerInfo:
        self.guard()
        check_out_all(self.repo, folder / "tree", folder / "index", commit, plain_index)
        return LayerInfo(_TEMPLATE, tree)

    def _layers_of_paths(self, tree: str, paths: tuple[str, ...]) -> Layers:
        wanted = hashlib.sha256(b"\0".join(map(os.fsencode, sorted(paths)))).hexdigest()
        name = f"{self._name_of(tree)}-{wanted[:12]}"
        lease = self.store.make(name, partial(self._fill_paths, tree, paths))
        return Layers((lease,), tree, lease.index)

    def _fill_paths(self, tree: str, paths: tuple[str, ...], folder: Path) -> LayerInfo:
        index = check_out(self.repo.objects, tree, paths, folder / "tree")
        (folder / "index").write_bytes(index)
        return LayerInfo(_CONTEXT, tree)

    def close(self) -> None:
        """Ends the use of all layers."""
        self.store.close()


@contextmanager
def open_templates(
    repo: Repository, cache: Path, guard: Callable[[], None] = lambda: None
) -> Iterator[Templates]:
    """Yields the templates of a repository, and closes them.

    Args:
        repo: the repository, which this process has locked.
        cache: the user's cache folder for gitbatch.
        guard: see `Templates.guard`.
    """
    with closing(Templates(repo, LayerStore(layers_dir(repo, cache)), guard)) as templates:
        yield templates


def layers_dir(repo: Repository, cache: Path) -> Path:
    """Returns the folder of a repository's layers in the cache folder."""
    mark = hashlib.sha256(os.fsencode(repo.common_dir)).hexdigest()[:8]
    return cache / LAYERS / f"{repo.name}-{mark}"


def plain_index(git: Git) -> Git:
    """Returns a git that writes an index of version 2 in one file, which `index_file.py` can read."""
    settings = {
        "index.version": "2",
        "index.sparse": "false",
        "core.splitIndex": "false",
        "core.untrackedCache": "false",
        "feature.manyFiles": "false",
    }
    return git.with_config(settings)


def _hash_settings(repo: Repository) -> str:
    """Returns a digest of everything besides the tree that decides what git checks out."""
    ends = repo.line_ends
    parts = (FORMAT, sorted(repo.files_config.items()), ends.on_disk, ends.stored, repo.attributes.hex())
    owner = (os.geteuid(), os.getegid())
    return hashlib.sha256(msgspec.json.encode((*parts, owner))).hexdigest()
