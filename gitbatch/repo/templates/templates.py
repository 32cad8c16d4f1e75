"""The templates of a repository: the files of its base commits, made once by git and shared by all worktrees.

A template has every file of a tree as git's checkout makes it, with the attributes of the tree and the settings of the
user; no filter is run. A later base that differs little is a thin layer on the template of an earlier one (`delta.py`).
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path

import msgspec

from gitbatch.repo.index_bytes import UnreadableIndexError
from gitbatch.repo.objects.reader import MissingObjectError, PathChange
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.complete import check_out_complete, needs_new_template
from gitbatch.repo.templates.delta import Delta, fill_delta, index_changes
from gitbatch.repo.templates.expiry import LAYERS, UNLIMITED, CacheLimits, remove_expired
from gitbatch.repo.templates.index_file import splice_index, write_offsets
from gitbatch.repo.templates.layers import Layers
from gitbatch.repo.templates.marker import FORMAT, INDEX, LayerInfo
from gitbatch.repo.templates.real_files import has_come
from gitbatch.repo.templates.store import LayerStore, Lease, remove_layer

_TEMPLATE, _DELTA = "template", "delta"
_OFFSETS = "offsets"
_MOST_LAYERS = 16
"""More are joined: some 40 can be mounted, 60 cannot."""
_MOST_DELTAS = 32
"""Thin layers of one run that are kept: a base of which no item works any more is rarely needed again."""
_CANDIDATES = 4
"""How many layers, the last used ones, are compared with a new base."""
_FEW, _MANY = 64, 2000
"""The most paths that differ in a thin layer, in a small repository and in any."""


@dataclass(slots=True, eq=False, repr=False)
class Templates:
    """The templates of one repository, for one run."""

    repo: Repository
    store: LayerStore
    guard: Callable[[], None]
    """Called before git converts files; raises an error if the repository's control files were changed."""
    settings: str = field(init=False)
    """A digest of the settings by which files are checked out, the last part of the layers' names."""
    _made: list[str] = field(init=False, default_factory=list)
    """The names of the thin layers that this run has made."""
    _looked_at: set[str] = field(init=False, default_factory=set)
    """The names of layers of which `_remove_outdated` knows the answer."""

    def __post_init__(self) -> None:
        self.settings = _hash_settings(self.repo)[:12]

    def layers(self, commit: str) -> Layers:
        """Returns the layers that have the files of a commit, and makes them if they are missing.

        Raises:
            OSError: they cannot be written.
            GitError: git cannot check the commit out.
            TamperedError: see `guard`.
        """
        tree = self.repo.objects.tree_of(commit)
        return (
            self._find_layers(self._name_of(tree))
            or self._make_delta(tree)
            or self._make_template(commit, tree)
        )

    def _name_of(self, tree: str) -> str:
        return f"{tree[:20]}-{self.settings}"

    def _find_layers(self, name: str) -> Layers | None:
        """Returns existing layers by the name of the uppermost one."""
        first = self.store.find(name)
        if first is None:
            return None
        leases = [first]
        for below in first.marker.below:
            lease = self.store.find(below, is_below=True)
            if lease is None:  # it was removed, so nothing uses those that need it
                _close_all(leases)
                remove_layer(self.store.root, name)
                return None
            leases.append(lease)
        if self._remove_outdated(leases):
            return self._find_layers(name)
        return Layers(tuple(leases), first.marker.key, first.index)

    def _remove_outdated(self, leases: list[Lease]) -> bool:
        """Removes layers made without files that the user's repository has by now (Git LFS, submodules).

        Each is looked at once in a run. Returns whether there were any; then all leases are closed.
        """
        new = [lease for lease in leases if lease.marker.missing and lease.name not in self._looked_at]
        self._looked_at.update(lease.name for lease in new)
        outdated = [lease for lease in new if any(has_come(self.repo, each) for each in lease.marker.missing)]
        if outdated:
            _close_all(leases)
        for lease in outdated:
            remove_layer(self.store.root, lease.name)  # unless another run uses it
        return bool(outdated)

    def _make_template(self, commit: str, tree: str) -> Layers:
        lease = self.store.make(self._name_of(tree), partial(self._fill_template, commit, tree))
        return Layers((lease,), tree, lease.index)

    def _fill_template(self, commit: str, tree: str, folder: Path) -> LayerInfo:
        self.guard()
        missing = check_out_complete(self.repo, folder / "tree", folder / INDEX, commit)
        size = write_offsets(folder / INDEX, folder / _OFFSETS, self.repo.id_bytes)
        wait_for_tick(folder / INDEX)
        return LayerInfo(_TEMPLATE, tree, size=size, missing=missing)

    def _make_delta(self, tree: str) -> Layers | None:
        """Returns layers that add a thin one to existing ones; None: no existing ones are similar."""
        below, changes = self._find_similar(tree)
        if below is None:
            return None
        try:
            fill = partial(self._fill_delta, below, Delta(tree, changes))
            lease = self.store.make(self._name_of(tree), fill)
        except (PermissionError, UnreadableIndexError):  # no whiteouts here; a template of another program
            below.close()
            return None
        except BaseException:
            below.close()
            raise
        self._made.append(lease.name)
        self._trim_made()
        return Layers((lease, *below.leases), tree, lease.index)

    def _trim_made(self) -> None:
        """Removes the oldest thin layers of this run that nothing uses; each may have an index of many megabytes."""
        for name in self._made[:-_MOST_DELTAS]:
            if remove_layer(self.store.root, name):
                self._made.remove(name)

    def _find_similar(self, tree: str) -> tuple[Layers | None, tuple[PathChange, ...]]:
        """Returns layers with few differences to a tree, and these; None: all have too many."""
        best: Layers | None = None
        fewest: tuple[PathChange, ...] = ()
        names = [name for name in self.store.list_names() if name.endswith(self.settings)]
        for name in names[:_CANDIDATES]:
            layers = self._find_extensible(name)
            changes = self._list_changes(layers, tree) if layers else None
            if changes is not None and (best is None or len(changes) < len(fewest)):
                best, layers, fewest = layers, best, changes
            if layers:
                layers.close()
            if best and len(fewest) <= _FEW:
                break
        return best, fewest

    def _find_extensible(self, name: str) -> Layers | None:
        """Returns existing layers on which another one may lie: of too many, the template alone, so they are joined."""
        layers = self._find_layers(name)
        if layers is None or len(layers.leases) < _MOST_LAYERS:
            return layers
        template = self._find_layers(layers.leases[-1].name)
        layers.close()
        return template

    def _list_changes(self, layers: Layers, tree: str) -> tuple[PathChange, ...] | None:
        """Returns how a tree differs from that of layers; None: too much for a thin layer, or the old tree is gone."""
        files = layers.leases[-1].marker.files
        most = max(_FEW, min(_MANY, files // 4))
        try:
            found = tuple(islice(self.repo.objects.diff_trees(layers.tree, tree), most + 1))
        except MissingObjectError:
            return None
        return None if len(found) > most or needs_new_template(found) else found

    def _fill_delta(self, below: Layers, delta: Delta, folder: Path) -> LayerInfo:
        self.guard()
        missing = fill_delta(self.repo, delta, folder / "tree")
        template = below.leases[-1]
        changes = self.repo.objects.diff_trees(template.marker.key, delta.tree)
        if below.tree != template.marker.key:
            changes = chain(changes, delta.changes)
        splice_index(
            template.index,
            template.folder / _OFFSETS,
            folder / INDEX,
            index_changes(changes, (folder / "tree", *below.lower)),
            self.repo.id_bytes,
        )
        wait_for_tick(folder / INDEX)
        names = tuple(lease.name for lease in below.leases)
        return LayerInfo(_DELTA, delta.tree, names, missing=missing, until_restart=True)

    def close(self) -> None:
        """Ends the use of all layers."""
        self.store.close()


@contextmanager
def open_templates(
    repo: Repository,
    cache: Path,
    guard: Callable[[], None] = lambda: None,
    limits: CacheLimits = UNLIMITED,
) -> Iterator[Templates]:
    """Yields the templates of a repository; at the end, closes them and removes what the cache has too much of.

    Args:
        repo: the repository, which this process has locked.
        cache: the user's cache folder for gitbatch.
        guard: see `Templates.guard`.
        limits: what the cache may keep.
    """
    with closing(Templates(repo, LayerStore(layers_dir(repo, cache)), guard)) as templates:
        yield templates
    remove_expired(cache, limits)


def layers_dir(repo: Repository, cache: Path) -> Path:
    """Returns the folder of a repository's layers in the cache folder."""
    mark = hashlib.sha256(os.fsencode(repo.common_dir)).hexdigest()[:8]
    return cache / LAYERS / f"{repo.name}-{mark}"


def wait_for_tick(index: Path) -> None:
    """Makes an index newer than the files in it: git reads files again that are not older than the index."""
    before = index.stat().st_mtime_ns
    while index.stat().st_mtime_ns <= before:
        os.utime(index)


def _close_all(leases: Iterable[Lease]) -> None:
    for lease in leases:
        lease.close()


def _read_umask() -> str:
    """Returns the umask of this process, without changing it for a moment; empty where the system does not show it."""
    with suppress(OSError):
        lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in lines if line.startswith("Umask:")), "")
    return ""


def _hash_settings(repo: Repository) -> str:
    """Returns a digest of everything besides the tree that decides what git checks out."""
    ends = repo.line_ends
    parts = (FORMAT, sorted(repo.files_config.items()), ends.on_disk, ends.stored, repo.attributes.hex())
    owner = (os.geteuid(), os.getegid(), _read_umask())
    return hashlib.sha256(msgspec.json.encode((*parts, owner))).hexdigest()
