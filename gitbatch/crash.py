"""Writing down the traceback of an internal error, where a report of it can be made from."""

import itertools
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from gitbatch import __version__

_numbers = itertools.count(1)


def write_traceback(error: BaseException, mask: Callable[[str], str] = str) -> Path:
    """Writes the traceback of an error into a file of its own in the user's log folder; returns its path.

    Args:
        error: what was raised.
        mask: takes out of the text what may not be kept.

    Raises:
        OSError: no file can be written, in the folder for temporary files neither.
    """
    from platformdirs import user_log_path  # noqa: PLC0415 - used when something has gone wrong

    trace = "".join(traceback.format_exception(error))
    text = f"gitbatch {__version__}, Python {sys.version}\n{mask(trace)}"
    name = f"bug-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{next(_numbers)}.log"
    content = text.encode(errors="backslashreplace")
    try:
        path = user_log_path("gitbatch", ensure_exists=True) / name
        path.write_bytes(content)
    except OSError:
        path = Path(tempfile.gettempdir()) / f"gitbatch-{name}"
        path.write_bytes(content)
    return path
