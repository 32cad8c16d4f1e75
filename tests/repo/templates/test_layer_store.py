"""Layers in the cache: complete or not there, held while they are used, checked after another boot."""

import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gitbatch.repo.templates import marker as marker_module
from gitbatch.repo.templates import store as store_module
from gitbatch.repo.templates.expiry import LAYERS, UNLIMITED, CacheLimits, list_cache, remove_expired
from gitbatch.repo.templates.marker import LayerInfo, LayerMarker, read_marker
from gitbatch.repo.templates.store import (
    LayerStore,
    list_remains,
    prepare_folder,
    read_layers,
    remove_layer,
)


def fill(folder: Path) -> LayerInfo:
    (folder / "tree/a").mkdir()
    (folder / "tree/a/b.md").write_text("text")
    return LayerInfo("test", "key")


def test_a_layer_is_made_once(tmp_path: Path) -> None:
    store = LayerStore(tmp_path / "layers")
    with pytest.raises(ZeroDivisionError):
        store.make("one", lambda _: LayerInfo("test", str(1 // 0)))
    assert list_remains(store.root) == ()
    made = store.make("one", fill)
    assert (made.tree / "a/b.md").read_text() == "text"
    assert (made.marker.files, made.marker.size, made.marker.disk, made.marker.key) == (1, 4, 4096, "key")
    assert not remove_layer(store.root, "one")
    again = store.make("one", lambda _: LayerInfo("never", str(1 // 0)))
    assert again.marker == made.marker
    assert store.list_names() == ("one",)


def test_a_layer_in_use_is_not_removed(tmp_path: Path) -> None:
    store, other = LayerStore(tmp_path), LayerStore(tmp_path)
    leases = [store.make("one", fill), store.make("one", fill), other.make("one", fill)]
    for lease in leases:
        assert not remove_layer(tmp_path, "one")
        lease.close()
        lease.close()
    assert remove_layer(tmp_path, "one")
    assert list(tmp_path.iterdir()) == []
    assert store.find("one") is None


def test_the_marker_of_a_layer_in_use_is_read_again_only_where_it_was_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LayerStore(tmp_path)
    read: list[Path] = []

    def note_read(folder: Path) -> LayerMarker | None:
        read.append(folder)
        return read_marker(folder)

    monkeypatch.setattr("gitbatch.repo.templates.store.read_marker", note_read)
    store.make("one", fill)
    leases = [store.find("one") for _ in range(3)]
    assert len(read) == 1
    shutil.rmtree(tmp_path / "one")  # by the user
    assert store.find("one") is None
    other = LayerStore(tmp_path).make("one", lambda folder: replace(fill(folder), key="other"))
    found = store.find("one")
    assert found
    assert leases[0]
    assert (found.marker, leases[0].marker.key) == (other.marker, "key")


def test_a_killed_maker_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    store = LayerStore(tmp_path)
    made, descriptor = store._make_folder()
    fill(made)
    (name,) = list_remains(tmp_path)
    assert not remove_layer(tmp_path, name), "its maker lives"
    os.close(descriptor)
    made.rename(tmp_path / "one")
    assert store.find("one") is None, "it has no marker"
    assert store.make("one", fill).marker.purpose == "test"
    assert remove_layer(tmp_path, name)


def test_two_makers_at_once_share_one_layer(tmp_path: Path) -> None:
    store, other = LayerStore(tmp_path), LayerStore(tmp_path)

    def fill_slowly(folder: Path) -> LayerInfo:
        other.make("one", fill)
        return fill(folder)

    made = store.make("one", fill_slowly)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    other.close()
    assert not remove_layer(tmp_path, "one")
    made.close()
    assert remove_layer(tmp_path, "one")


def boot_again(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for module in (marker_module, store_module):
        monkeypatch.setattr(module, "boot_id", lambda: name)


def test_a_layer_that_lost_bytes_in_a_power_cut_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LayerStore(tmp_path)
    store.make("one", fill).close()
    (tmp_path / "one/tree/a/b.md").write_text("")
    found = store.find("one")
    assert found, "within one boot, files are not looked at"
    found.close()
    boot_again(monkeypatch, "another")
    assert store.find("one") is None
    store.make("one", fill).close()
    boot_again(monkeypatch, "a third")
    found = store.find("one")
    assert found
    assert read_layers(tmp_path)["one"][0] == found.marker


def test_a_layer_until_a_restart_is_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut it may have lost anything, so it is never used again, even if it looks complete."""
    monkeypatch.setattr("os.fsync", lambda _: pytest.fail("it is synced"))
    monkeypatch.setattr("os.fdatasync", lambda _: pytest.fail("it is synced"))

    def fill_thin(folder: Path) -> LayerInfo:
        return replace(fill(folder), until_restart=True)

    store = LayerStore(tmp_path)
    store.make("one", fill_thin).close()
    found = store.find("one")
    assert found
    found.close()
    boot_again(monkeypatch, "another")
    assert store.find("one") is None
    store.make("one", fill_thin).close()
    assert store.find("one")


def test_files_of_the_cache_have_the_group_of_the_runner(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a folder to another group")
    root = tmp_path / "layers"
    root.mkdir()
    os.chown(root, -1, 12345)
    root.chmod(0o2775)
    (root / "naive").touch()
    assert (root / "naive").stat().st_gid == 12345
    prepare_folder(root)
    (root / "new").mkdir()
    assert (root / "new").stat().st_gid == os.getegid()
    assert not (root / "new").stat().st_mode & 0o2000


def test_a_new_folder_that_another_process_takes_for_remains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its making and its lock, it looks like what a killed process has left."""
    real = Path.mkdir
    taken: list[Path] = []

    def mkdir(path: Path, *given: Any, **more: Any) -> None:  # noqa: ANN401 - as the real one
        real(path, *given, **more)
        if path.name.startswith(".new-") and not taken:
            taken.append(path)
            remove_expired(tmp_path, UNLIMITED)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    root = tmp_path / LAYERS / "repo"
    with closing(LayerStore(root)) as store:
        assert store.make("a", lambda _: LayerInfo("template", "")).tree.is_dir()
    assert taken
    assert not taken[0].exists()


def test_a_trial_of_an_overlay_is_no_layer(tmp_path: Path) -> None:
    """That of another run is left alone; what a killed one has left goes after an hour."""
    for name in ("now", "old"):
        (tmp_path / LAYERS / "repo" / f".probe-{name}").mkdir(parents=True)
    os.utime(tmp_path / LAYERS / "repo/.probe-old", (0, 0))
    assert list_cache(tmp_path) == ()
    remove_expired(tmp_path, CacheLimits(0, 0))
    assert [path.name for path in (tmp_path / LAYERS / "repo").iterdir()] == [".probe-now"]
