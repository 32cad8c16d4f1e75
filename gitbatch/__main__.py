"""The entry point of `gitbatch`, `git batch` and `python -m gitbatch`."""

import atexit
import gc
import io
import os
import sys

from gitbatch.errors import ExitCode

_OBJECTS = 200_000
"""Objects allocated between two garbage collections: a few megabytes. Python's default of 700 slows imports down."""


_OUTPUT = "GITBATCH_OUTPUT_ENCODING"
"""The variable that has the encoding of the terminal over a restart."""


def main() -> None:
    """Runs the command line and exits with its code."""
    if sys.getfilesystemencoding() != "utf-8":
        _start_in_utf_8()
    _use_encoding(os.environ.pop(_OUTPUT, ""))
    gc.set_threshold(_OBJECTS)
    atexit.register(gc.freeze)  # no collection at exit: the end of the process frees all memory
    try:
        from gitbatch.cli.main import main as run
    except KeyboardInterrupt:  # the import takes a moment, and nothing has been started
        sys.exit(ExitCode.INTERRUPTED)
    run()


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
    main()
