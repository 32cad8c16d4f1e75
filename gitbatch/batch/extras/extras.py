"""The layers that all worktrees of a run have on top of a commit's files: included files, and what commands prepared."""

# ruff: noqa: PLC0415 - most runs have neither prepared nor included files: what makes their layers is imported for it

import asyncio
import errno
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from shlex import join
from time import monotonic

from msgspec import Struct, field

from gitbatch.batch.extras.include import IncludedFiles, find_included
from gitbatch.batch.extras.include_layer import make_include_layer
from gitbatch.batch.extras.prepare import PURPOSE, DetachedWorktrees, NewDetachedWorktree, PrepareRunner
from gitbatch.checks.command import CheckTools
from gitbatch.concurrency import GitThread
from gitbatch.fs.copying import copy_sources, list_sources
from gitbatch.fs.disk import DiskError
from gitbatch.project.extras_table import ExtrasTable
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot
from gitbatch.repo.templates.marker import LayerInfo
from gitbatch.repo.templates.store import LayerStore, Lease
from gitbatch.text import clean_text, list_names

Tell = Callable[[str], None]


class ExtraSources(Struct, frozen=True):
    """The sources of the layers of a run."""

    repo: Repository
    batch: str
    base: str
    """The commit where the batch began."""
    folder: Path
    """The batch's folder for worktrees."""
    table: ExtrasTable
    guarded: frozenset[str]
    """The paths, by `path_key`, that have one writer: no layer has them."""


class WorktreeExtras(Struct):
    """The layers of a run, made when they are needed first. Its owner closes the store."""

    sources: ExtraSources
    git: GitThread
    store: LayerStore
    runner: PrepareRunner
    tell: Tell
    detached: DetachedWorktrees | None = None
    """Where commands run; set before the first call."""
    include: Lease | None = None
    _prepared: dict[str, Lease] = field(default_factory=dict)
    _shown: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    """The layer of each commit that shows what the others would hide; none where they hide nothing."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def _detached(self) -> DetachedWorktrees:
        assert self.detached is not None  # noqa: S101 - see above
        return self.detached

    @property
    def has_layers(self) -> bool:
        """Returns whether there are any; known once they are ready."""
        return bool(self.include or self.sources.table.prepare)

    async def make_ready(self, *, announce: bool) -> None:
        """Makes the layers of the commit where the batch began; with `announce`, says what they have.

        Raises:
            UsageError: the files to include are too large.
            PrepareError: a command of `batch.prepare` failed.
            DiskError: they cannot be written.
        """
        included, self.include = await self.git(_include_files, self.sources, self.store)
        for line in included.describe() if announce else ():
            self.tell(line)
        await self.list_layers(self.sources.base)

    async def list_layers(self, commit: str) -> tuple[Path, ...]:
        """Returns the layers on top of a commit's files, the uppermost first.

        Raises:
            PrepareError: a command of `batch.prepare` failed.
            DiskError: they cannot be written.
        """
        layers = (self.include.tree,) if self.include else ()
        async with self._lock:
            if self.sources.table.prepare:
                layers = ((await self._prepare(commit, layers)).tree, *layers)
            if layers and commit not in self._shown:
                self._shown[commit], hidden = await self.git(
                    _show_commit, self.sources, self.store, commit, layers
                )
                if hidden:
                    self.tell(_describe_shown(hidden))
        return (*self._shown.get(commit, ()), *layers)

    async def _prepare(self, commit: str, include: tuple[Path, ...]) -> Lease:
        """Returns a lease of the layer that the commands make on a commit."""
        from gitbatch.batch.extras.prepare_key import hash_settings, name_layer

        table, repo = self.sources.table, self.sources.repo
        first = await self.git(_list_files_on, repo, self.sources.base, table)
        files = await self.git(_list_files_on, repo, commit, table) if table.prepare_on else first
        settings = hash_settings(table, self.runner.list_variables(), self._detached.seen_at)
        below = self.include.name if self.include else ""
        is_again = files != first
        name = name_layer(settings, files, below, self.sources.batch if is_again else "")
        lease = self._prepared.get(name) or await self.git(self.store.find, name)
        if lease is None:
            if is_again:
                self.tell(_describe_again(files, first))
            lease = await self._run_commands(
                commit if is_again else self.sources.base, include, name, is_again=is_again
            )
        self._prepared[name] = lease
        return lease

    async def _run_commands(
        self, commit: str, include: tuple[Path, ...], name: str, *, is_again: bool
    ) -> Lease:
        table, began = self.sources.table, monotonic()
        shown = "; ".join(map(join, table.prepare_commands))
        self.tell(clean_text(f"preparing worktrees, once for all: {shown}"))
        new = NewDetachedWorktree(
            self.sources.folder / f"{PURPOSE}-{secrets.token_hex(4)}", commit, commit, include
        )
        async with self._detached.open_worktree(new) as opened:
            await self.runner.run_in(opened.folders, network=table.prepare_network and not is_again)
            unchanged: list[str] = []
            result = _PreparedResult(opened.take, self.sources, commit, include, name, unchanged)
            lease = await self.git(self.store.make, name, partial(_fill_with_result, result))
        if unchanged:
            self.tell(_describe_unchanged(unchanged))
        self.tell(f"worktrees are prepared ({monotonic() - began:.1f} s)")
        return lease


@contextmanager
def open_extras(
    sources: ExtraSources, git: GitThread, tools: CheckTools, store: Path, tell: Tell
) -> Iterator[WorktreeExtras]:
    """Yields the layers of a run, still without worktrees, and ends their use.

    Args:
        sources: what they are made from.
        git: the thread on which files are copied.
        tools: run the commands.
        store: the folder of the repository's layers in the cache.
        tell: gets lines for the user.
    """
    with closing(LayerStore(store)) as layers:
        yield WorktreeExtras(sources, git, layers, PrepareRunner(tools, sources.table), tell)


def copy_layers(layers: tuple[Path, ...], worktree: Path) -> None:
    """Copies layers, the uppermost first, into a worktree without mounts.

    Raises:
        OSError: it cannot be written.
    """
    for layer in reversed(layers):
        for top in sorted(path.name for path in layer.iterdir()):
            copy_sources(layer, list_sources(layer, top, lambda _: False), worktree, replace=True)


def _include_files(sources: ExtraSources, store: LayerStore) -> tuple[IncludedFiles, Lease | None]:
    repo = sources.repo
    snapshot = TreeSnapshot(repo.objects, repo.objects.tree_of(sources.base))
    find = partial(find_included, repo, snapshot, sources.table, sources.guarded)
    try:
        return make_include_layer(store, repo.root, find)
    except OSError as error:
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}  # which names no file while one is written
        where = error.filename or (store.root if is_full else "")
        raise DiskError(
            f"cannot include files of the checkout: {where}: {error.strerror}".replace(": :", ":"),
            "make them readable and free disk space, or narrow .worktreeinclude or batch.include",
        ) from error


def _list_files_on(repo: Repository, commit: str, table: ExtrasTable) -> tuple[tuple[str, str], ...]:
    """Returns the files that decide whether the commands must run; without `prepare-on`, the whole tree."""
    tree = repo.objects.tree_of(commit)
    if not table.prepare_on:
        return (("", tree),)
    from gitbatch.batch.extras.prepare_key import list_deciding_files

    return list_deciding_files(TreeSnapshot(repo.objects, tree), table.prepare_on)


def _show_commit(
    sources: ExtraSources, store: LayerStore, commit: str, layers: tuple[Path, ...]
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Returns a layer with the files of a commit that layers would hide, and their paths; none if they hide nothing."""
    from gitbatch.batch.extras.shown_layer import find_hidden, make_shown_layer

    repo = sources.repo
    tree = repo.objects.tree_of(commit)
    hidden = tuple(dict.fromkeys(path for layer in layers for path in find_hidden(repo.objects, tree, layer)))
    if not hidden:
        return (), ()
    repo.objects.writer.flush()  # the other git reads the objects
    return (make_shown_layer(repo, store, sources.batch, tree, hidden).tree,), hidden


def _describe_shown(paths: tuple[str, ...]) -> str:
    text = (
        f"agents see {list_names(paths)} as the commit has it, not what was included or prepared there before"
    )
    return clean_text(text)


def _describe_again(files: tuple[tuple[str, str], ...], first: tuple[tuple[str, str], ...]) -> str:
    changed = tuple(sorted({path for path, _ in set(files) ^ set(first)}))
    text = f"{list_names(changed)} changed in this batch: batch.prepare runs again, for this batch alone and without a network"
    return clean_text(text)


def _describe_unchanged(paths: list[str]) -> str:
    text = f"batch.prepare changed {list_names(tuple(sorted(paths)))}: agents see what the commit has"
    return clean_text(text)


class _PreparedResult(Struct, frozen=True):
    """What commands have changed on a commit and the layers on top of it."""

    take: Callable[[Path], None]
    sources: ExtraSources
    commit: str
    layers: tuple[Path, ...]
    name: str
    unchanged: list[str]
    """Gets the paths of the commit that stay as they are."""


def _fill_with_result(result: _PreparedResult, folder: Path) -> LayerInfo:
    """Makes a layer of a result."""
    from gitbatch.batch.extras.result_layer import Before, uncover_guarded

    tree, objects = folder / "tree", result.sources.repo.objects
    result.take(tree)
    tree_of_commit = objects.tree_of(result.commit)

    def had_folder(path: str) -> bool:
        entry = objects.find_entry(tree_of_commit, path)
        return bool(entry and entry.is_tree) or any((layer / path).is_dir() for layer in result.layers)

    def is_tracked(path: str) -> bool:
        return objects.find_entry(tree_of_commit, path) is not None

    result.unchanged.extend(uncover_guarded(tree, result.sources.guarded, Before(had_folder, is_tracked)))
    return LayerInfo(PURPOSE, result.name)
