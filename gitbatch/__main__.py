"""Where the program starts: `gitbatch`, `git batch`, `python -m gitbatch`."""

import atexit
import gc
import os
import sys

from gitbatch.errors import ExitCode

_OBJECTS = 200_000
"""Made and not dropped, between two looks for garbage: megabytes at the most. Python's own 700 makes imports slow."""


def main() -> None:
    """Run the command line and exit with the code that says how it went."""
    if sys.getfilesystemencoding() != "utf-8":
        _start_in_utf_8()
    gc.set_threshold(_OBJECTS)
    atexit.register(gc.freeze)  # nobody looks for garbage in what the end of the process takes anyway
    try:
        from gitbatch.cli.main import main as run
    except KeyboardInterrupt:  # it takes a moment, and nothing has begun
        sys.exit(ExitCode.INTERRUPTED)
    run()


def _start_in_utf_8() -> None:
    """Start again in Python's UTF-8 mode: paths in git are UTF-8, and so are the files of a checkout."""
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - ourselves


if __name__ == "__main__":
    main()
