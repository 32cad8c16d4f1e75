"""Whether Landlock works here: by confining ourselves and looking whether it holds."""

# ruff: noqa: PTH116, PTH208 - pathlib takes longer to import than the launcher to do its work

import os
import sys

from gitbatch.sandbox.launcher.landlock import LEAST, abi, restrict
from gitbatch.sandbox.launcher.seccomp import filter_calls


def probe() -> None:
    """Print the ABI, or say on standard error why Landlock can't be used, and exit."""
    try:
        version = abi()
        os.stat(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
        if version < LEAST:
            sys.exit(f"the kernel has ABI {version}; {LEAST} is needed (Linux 6.7)")
        restrict({}, network=False)
        filter_calls(network=False)
    except OSError as error:
        sys.exit(f"the kernel refuses ({error.filename or 'system call'}: {error.strerror})")
    try:
        os.listdir("/")
    except PermissionError:
        print(version)  # noqa: T201 - the answer
        sys.exit()
    sys.exit("it is switched on and does not hold")
