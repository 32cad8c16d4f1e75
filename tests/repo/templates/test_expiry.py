"""What the cache keeps: by size and age, never what is used or needed by what is kept."""

import os
from pathlib import Path

import pytest

from gitbatch.repo.templates import store
from gitbatch.repo.templates.expiry import (
    LAYERS,
    CachedLayer,
    CacheLimits,
    choose_expired,
    list_cache,
    remove_expired,
    remove_layers,
)
from gitbatch.repo.templates.marker import LayerInfo
from gitbatch.repo.templates.store import LayerStore


def layer(name: str, used: float, size: int = 10) -> CachedLayer:
    return CachedLayer("repo", name, "template", size, used)


def names(layers: tuple[CachedLayer, ...]) -> list[str]:
    return [each.name for each in layers]


def test_the_oldest_layers_expire_first() -> None:
    layers = (layer("a", 10), layer("b", 20), layer("c", 30))
    assert choose_expired(layers, CacheLimits(None, None), 100) == ()
    assert names(choose_expired(layers, CacheLimits(20, None), 100)) == ["a"]
    assert names(choose_expired(layers, CacheLimits(19, None), 100)) == ["a", "b"]
    assert names(choose_expired(layers, CacheLimits(None, 75), 100)) == ["a", "b"]
    assert names(choose_expired(layers, CacheLimits(0, 1), 100)) == ["a", "b", "c"]


def put(store: LayerStore, name: str, *below: str) -> None:
    def fill(folder: Path) -> LayerInfo:
        (folder / "tree/file").write_text(name)
        return LayerInfo("test", name, below)

    store.make(name, fill)


def test_a_layer_lives_as_long_as_those_that_need_it(tmp_path: Path) -> None:
    store = LayerStore(tmp_path / LAYERS / "repo")
    put(store, "template")
    put(store, "alone")
    put(store, "thin", "template")
    for name, used in (("template", 100), ("alone", 200), ("thin", 300)):
        os.utime(store.root / name / "lock", (used, used))
    assert names(list_cache(tmp_path)) == ["alone", "thin", "template"]
    (store.root / ".new-killed").mkdir()
    (store.root / "broken").mkdir()
    assert remove_expired(tmp_path, CacheLimits(0, None)) == (CachedLayer("repo", "broken", "", 0, 0.0),)
    assert sorted(path.name for path in store.root.iterdir()) == ["alone", "template", "thin"], "all are used"
    store.close()
    assert names(remove_layers(tmp_path, list_cache(tmp_path))) == ["alone", "thin", "template"]
    assert list((tmp_path / LAYERS).iterdir()) == []
    assert list_cache(tmp_path / "none") == ()


def test_a_folder_of_layers_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run ends with it, and the cache of a user has hundreds of layers."""
    layers = LayerStore(tmp_path / LAYERS / "repo")
    for number in range(3):
        put(layers, str(number))
    read: list[str] = []
    read_last_use = store._read_last_use

    def read_and_count(folder: str) -> float:
        read.append(folder)
        return read_last_use(folder)

    monkeypatch.setattr(store, "_read_last_use", read_and_count)
    assert len(list_cache(tmp_path)) == 3
    assert [Path(folder).name for folder in read] == ["0", "1", "2"]
