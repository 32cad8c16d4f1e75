"""The entry point of `gitbatch`, `git batch` and `python -m gitbatch`."""

import atexit
import gc
import io
import os
import sys
import threading
from contextlib import suppress
from types import FrameType

from gitbatch.errors import ExitCode

_OBJECTS = 200_000
"""Objects allocated between two garbage collections: a few megabytes. Python's default of 700 slows imports down."""


_OUTPUT = "GITBATCH_OUTPUT_ENCODING"
"""The variable that has the encoding of the terminal over a restart."""


def run_process() -> None:
    """Runs the command line as all that this process does, and ends the process with its code."""
    try:
        main()
    except SystemExit as ended:
        if isinstance(ended.code, int) and _is_outermost(sys._getframe(1)):  # noqa: SLF001 - Python's own way
            _end_process(ended.code)
        raise


def _is_outermost(caller: FrameType | None) -> bool:
    """Returns whether only Python itself waits for a caller of ours: a profiler has something to do when we have ended."""
    outer = caller.f_back if caller else None
    while outer and outer.f_globals.get("__name__") == "runpy":  # `python -m`
        outer = outer.f_back
    return outer is None


def main() -> None:
    """Runs the command line and exits with its code."""
    if sys.getfilesystemencoding() != "utf-8":
        _start_in_utf_8()
    _use_encoding(os.environ.pop(_OUTPUT, ""))
    gc.set_threshold(_OBJECTS)
    try:
        from gitbatch.cli.main import main as run
    except KeyboardInterrupt:  # the import takes a moment, and nothing has been started
        sys.exit(ExitCode.INTERRUPTED)
    run()


def _end_process(code: int) -> None:
    """Ends the process as Python does, but without freeing each object before: that takes longer than a query to git.

    Returns if what was printed cannot be written: Python reports that.
    """
    with suppress(KeyboardInterrupt):  # everything is done, and what is waited for can be left
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - waits for threads, as Python does first
    atexit._run_exitfuncs()  # noqa: SLF001 - then it calls these
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):  # it is None if it was closed at the start
            stream.flush()
    except OSError:
        return
    os._exit(code)


def _start_in_utf_8() -> None:
    """Restarts in Python's UTF-8 mode: paths in git and the files of a checkout are UTF-8, whatever the terminal is."""
    environment = {**os.environ, _OUTPUT: sys.stdout.encoding if sys.stdout else ""}
    os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environment)  # noqa: S606 - ourselves


def _use_encoding(encoding: str) -> None:
    """Writes as the terminal reads."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if encoding and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding)


if __name__ == "__main__":
    run_process()
