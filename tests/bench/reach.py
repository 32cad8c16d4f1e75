"""Everything that worktrees have to reach, as ratios that were measured in turn in one run."""

import shutil
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from bench.reach_batches import measure_batches, measure_on_disk, measure_width
from bench.reach_extras import measure_gates, measure_prepared, measure_room
from bench.reach_layers import measure_peers, measure_status, measure_templates
from bench.reach_setup import Setup
from bench.rows import Row

SECTIONS: dict[str, Callable[[Setup], Iterator[Row]]] = {
    "batches": measure_batches,
    "disk": measure_on_disk,
    "templates": measure_templates,
    "width": measure_width,
    "room": measure_room,
    "status": measure_status,
    "prepared": measure_prepared,
    "gates": measure_gates,
    "peers": measure_peers,
}


def measure_reach(setup: Setup, sections: tuple[str, ...]) -> Iterator[tuple[str, list[Row], float]]:
    """Yields the rows of each section as soon as they are known, and the seconds that it took."""
    for name in sections:
        began = time.monotonic()
        rows = list(SECTIONS[name](setup))
        yield name, rows, time.monotonic() - began


def find_claude(named: str) -> Path | None:
    """Returns Claude Code: the program that is named, the one on PATH, or that of the package `claude-agent-sdk`."""
    if named:
        return Path(named)
    package = find_spec("claude_agent_sdk")
    folders = package.submodule_search_locations if package else None
    bundled = [Path(folder) / "_bundled" / "claude" for folder in folders or ()]
    on_path = shutil.which("claude")
    return next((path for path in bundled if path.is_file()), Path(on_path) if on_path else None)
