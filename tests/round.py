"""What makes a round on several processors cheaper: files in memory, modules compiled once, samples of costly cases."""

import compileall
import ctypes
import getpass
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import Loader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

_NEW_MOUNTS = 0x20000
_SLAVE_OF_ALL = 0x80000 | 0x4000
_NEEDED = 3 << 30
"""Bytes of free memory: a round fills less than a sixth of it."""
OPEN_FOLDER = Path(f"/var/tmp/gitbatch-tests-of-{os.getuid()}")  # noqa: S108 - only what is mounted there counts
"""Where other users can read what tests write, unlike in the folder of pytest; a tmpfs where files are in memory."""


def choose_memory(fallback: Path) -> Path:
    """A folder in memory, if there is one: that of the round, which ends with it, or else that of the system."""
    shared = Path("/dev/shm")  # noqa: S108 - for folders of our own below it
    return OPEN_FOLDER if OPEN_FOLDER.is_mount() else shared if os.access(shared, os.W_OK) else fallback


def keep_files_in_memory() -> bool:
    """Mount a tmpfs at each of the two folders of tests, for this process and its children; returns whether it could.

    A disk makes thousands of short-lived repositories slow. No other process sees the mount, and it ends with the last
    process of the round.
    """
    if sys.platform != "linux" or os.geteuid() != 0 or _read_free_memory() < _NEEDED:
        return False
    root = Path(os.environ.get("PYTEST_DEBUG_TEMPROOT") or tempfile.gettempdir()).resolve()
    libc = ctypes.CDLL(None)
    return not (
        libc.unshare(_NEW_MOUNTS)
        or libc.mount(None, b"/", None, ctypes.c_ulong(_SLAVE_OF_ALL), None)
        or _mount_memory(libc, root / f"pytest-of-{getpass.getuser()}", 0o700)
        or _mount_memory(libc, OPEN_FOLDER, 0o755)
    )


def _mount_memory(libc: ctypes.CDLL, folder: Path, mode: int) -> int:
    with suppress(OSError):  # without the folder, nothing is mounted
        folder.mkdir(mode=mode, exist_ok=True)
    options = f"mode={mode:o}".encode()
    return int(libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(0), options))


def _read_free_memory() -> int:
    with Path("/proc/meminfo").open() as lines:
        found = {line.split(":")[0]: line.split()[1] for line in lines}
    return int(found.get("MemAvailable", "0")) << 10


def compile_modules() -> None:
    """Compile the package and the tests once: in a fresh clone, all workers would do that at the same time."""
    known = find_spec("conftest")
    if not (known and known.loader and hasattr(os, "fork")):
        return
    tests = Path(__file__).parent
    files = [*(tests.parent / "gitbatch").rglob("*.py"), *tests.rglob("*.py")]
    files.sort(key=lambda file: file.stat().st_size)
    parts = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    processes = [_compile_in_fork(known.loader, files[part::parts]) for part in range(parts)]
    for process in processes:
        os.waitpid(process, 0)


def _compile_in_fork(loader: Loader, files: Sequence[Path]) -> int:
    process = os.fork()
    if process:
        return process
    try:
        sys.dont_write_bytecode = False
        for file in files:
            if file.match("test_*.py") or file.name == "conftest.py":
                _compile_test(loader, file)
            else:
                compileall.compile_file(file, quiet=2)
    finally:
        os._exit(0)


def _compile_test(loader: Loader, file: Path) -> None:
    """Let the loader of pytest rewrite the assertions of a module, and store what it has compiled."""
    spec = spec_from_file_location(file.stem, file, loader=loader)
    assert spec
    module = module_from_spec(spec)
    vars(module)["__builtins__"] = {}  # so it ends at its first import
    with suppress(ImportError):
        loader.exec_module(module)


def choose_left_out(config: pytest.Config, items: list[pytest.Item]) -> set[pytest.Item]:
    """The cases to leave out of tests with the mark `sample`: the same ones everywhere, and in each process."""
    cases: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("sample"):
            cases.setdefault((str(item.path), item.originalname), []).append(item)
    left_out: set[pytest.Item] = set()
    for (_, name), found in cases.items():
        marker = found[0].get_closest_marker("sample")
        kept = min(marker.args[0], len(found)) if marker and not _is_chosen(config, found) else len(found)
        left_out.update(found)
        left_out.difference_update(random.Random(name).sample(found, kept))  # noqa: S311 - a fixed sample
    return left_out


def _is_chosen(config: pytest.Config, cases: list[pytest.Item]) -> bool:
    """Whether a case was asked for by its name, or its module."""
    asked = [argument for argument in config.args if argument.split("::")[0].endswith(".py")]
    return any(str(cases[0].path).endswith(argument.split("::")[0].removeprefix("./")) for argument in asked)
