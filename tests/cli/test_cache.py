"""`gitbatch cache`, and what `gitbatch gc` removes of it."""

import json
import os
from pathlib import Path

from conftest import Here, Workspace

from gitbatch.repo.templates.expiry import CachedLayer
from gitbatch.repo.templates.marker import LayerInfo
from gitbatch.repo.templates.store import LayerStore
from gitbatch.view.cache_text import render_cache
from gitbatch.view.outputs.cache import CacheOutput


def fill(folder: Path) -> LayerInfo:
    (folder / "tree/file").write_text("text")
    return LayerInfo("template", "key")


def test_layers_are_listed_and_removed(here: Here, workspace: Workspace) -> None:
    folder = Path(workspace.environment["XDG_CACHE_HOME"]) / "gitbatch/layers"
    assert here("cache") == (0, f"0 layers, 0 bytes, in {folder}\n", "")
    store = LayerStore(folder / "repo-1")
    store.make("old", fill).close()
    store.make("new", fill)
    os.utime(store.root / "old/lock", (1, 1))
    code, said, _ = here("cache", "--json")
    listed = json.loads(said)
    assert (code, listed["size"], [each["name"] for each in listed["layers"]]) == (0, 8192, ["old", "new"])
    workspace.write("gitbatch.toml", "[batch]\ncache-max-days = 100\n")
    workspace.commit()
    assert here("gc", "--dry-run")[1] == f"would be removed: layer {folder}/repo-1/old\n"
    assert here("gc")[1] == f"removed: layer {folder}/repo-1/old\n"
    assert "1 layer, 4.0 KiB" in here("cache", "--clear")[1]
    store.close()
    assert here("cache", "--clear")[1].startswith("removed 1 layer, 4.0 KiB\n0 layers, 0 bytes")


def test_the_environment_names_the_folder(here: Here, workspace: Workspace, tmp_path: Path) -> None:
    workspace.environment["GITBATCH_CACHE"] = str(tmp_path / "elsewhere")
    assert here("cache")[1] == f"0 layers, 0 bytes, in {tmp_path}/elsewhere/layers\n"


def test_ages() -> None:
    layers = tuple(
        CachedLayer("r", name, purpose, 0, used)
        for name, purpose, used in (("a", "", 0), ("b", "delta", 1000), ("c", "delta", 86400 * 3 - 5))
    )
    lines = list(render_cache(CacheOutput("folder", layers, 0), 86400.0 * 3))
    assert ["incomplete" in lines[0], "used 2 days ago" in lines[1], "used a moment ago" in lines[2]] == [
        True
    ] * 3
