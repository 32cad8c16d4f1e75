"""Removes layers from the cache folder: the ones that were used last longest ago, beyond a size and an age.

The cache is one for all repositories of a user. A layer that another one needs was used when that was, and is removed
after it. What a process uses is not removed, whatever the limits are.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitbatch.repo.templates.store import list_remains, read_layers, remove_layer

LAYERS = "layers"
"""The folder of all repositories' layers in the cache folder."""


class CacheLimits(Struct, frozen=True):
    """The size and the age that the cache may keep; None: no limit."""

    size: int | None
    """Bytes."""
    age: float | None
    """Seconds since the last use."""


UNLIMITED = CacheLimits(None, None)


class CachedLayer(Struct, frozen=True):
    """A layer of the cache."""

    repository: str
    """The name of the repository's folder in the cache: its own name and a mark of its path."""
    name: str
    purpose: str
    """Empty: it is incomplete, or of another version of gitbatch."""
    size: int
    """Bytes on the disk, about."""
    used: float
    """The last use, seconds since the epoch."""
    below: tuple[str, ...] = ()
    """The names of the layers that it needs."""


def list_cache(cache: Path) -> tuple[CachedLayer, ...]:
    """Returns the layers of all repositories in a cache folder, the ones that were used last longest ago first.

    Of two that were used at the same time, the one that needs the other is first.
    """
    found = [layer for folder in _repository_folders(cache) for layer in _list_layers(folder)]
    return tuple(sorted(found, key=lambda layer: (layer.used, -len(layer.below))))


def choose_expired(layers: Iterable[CachedLayer], limits: CacheLimits, now: float) -> tuple[CachedLayer, ...]:
    """Returns the layers beyond the limits, in the order of `list_cache`, in which they are to be removed."""
    ordered = tuple(layers)
    left = sum(layer.size for layer in ordered)
    expired = []
    for layer in ordered:
        is_old = limits.age is not None and now - layer.used > limits.age
        if is_old or (limits.size is not None and left > limits.size):
            expired.append(layer)
            left -= layer.size
    return tuple(expired)


def remove_layers(cache: Path, layers: Iterable[CachedLayer]) -> tuple[CachedLayer, ...]:
    """Removes layers, and what killed processes have left next to them; returns those that are gone, not in use."""
    gone = [layer for layer in layers if remove_layer(cache / LAYERS / layer.repository, layer.name)]
    for folder in _repository_folders(cache):
        for name in list_remains(folder):
            remove_layer(folder, name)
        with suppress(OSError):  # others are in it
            folder.rmdir()
    return tuple(gone)


def remove_expired(cache: Path, limits: CacheLimits) -> tuple[CachedLayer, ...]:
    """Removes the layers beyond the limits, and returns them."""
    return remove_layers(cache, choose_expired(list_cache(cache), limits, time.time()))


def find_layer(cache: Path, layer: CachedLayer) -> Path:
    """Returns the folder of a layer."""
    return cache / LAYERS / layer.repository / layer.name


def _repository_folders(cache: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from sorted((cache / LAYERS).iterdir())


def _list_layers(folder: Path) -> Iterator[CachedLayer]:
    markers = read_layers(folder)
    needed = dict.fromkeys(markers, 0.0)
    for marker, used in markers.values():
        for name in marker.below if marker else ():
            needed[name] = max(needed.get(name, 0.0), used)
    for name, (marker, used) in markers.items():
        last = max(used, needed[name])
        if marker is None:
            yield CachedLayer(folder.name, name, "", 0, 0.0)
        else:
            yield CachedLayer(folder.name, name, marker.purpose, marker.disk, last, marker.below)
