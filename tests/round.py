"""What makes a round on several processors cheaper: files of tests in memory, and test modules compiled once."""

import compileall
import ctypes
import getpass
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import Loader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

_NEW_MOUNTS = 0x20000
_SLAVE_OF_ALL = 0x80000 | 0x4000
_NEEDED = 3 << 30
"""Bytes of free memory: a round fills less than a sixth of it."""


def keep_files_in_memory() -> bool:
    """Mount a tmpfs where pytest makes its folders, for this process and its children; returns whether it could.

    A disk makes thousands of short-lived repositories slow. No other process sees the mount, and it ends with the last
    process of the round.
    """
    if sys.platform != "linux" or os.geteuid() != 0 or _read_free_memory() < _NEEDED:
        return False
    root = Path(os.environ.get("PYTEST_DEBUG_TEMPROOT") or tempfile.gettempdir()).resolve()
    folder = root / f"pytest-of-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    libc = ctypes.CDLL(None)
    return not (
        libc.unshare(_NEW_MOUNTS)
        or libc.mount(None, b"/", None, ctypes.c_ulong(_SLAVE_OF_ALL), None)
        or libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(0), b"mode=700")
    )


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
