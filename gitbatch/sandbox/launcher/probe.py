"""Whether Landlock works here: by confining ourselves and looking whether it holds."""

# ruff: noqa: PTH116, PTH208 - pathlib takes longer to import than the launcher to do its work

import os

from gitbatch.sandbox.launcher.landlock import LEAST, abi, restrict
from gitbatch.sandbox.launcher.seccomp import filter_calls


def probe() -> str | None:
    """Print the ABI; returns why Landlock can't be used, if it can't."""
    try:
        version = abi()
        os.stat(f"/proc/{os.getpid()}/task/{os.getpid()}/children")  # by which the keeper finds what is left
        if version < LEAST:
            return f"the kernel has ABI {version}; {LEAST} is needed (Linux 6.7)"
        restrict({}, network=False)
        filter_calls(network=False)
    except OSError as error:
        return f"the kernel refuses ({error.filename or 'system call'}: {error.strerror})"
    try:
        os.listdir("/")
    except PermissionError:
        print(version)  # noqa: T201 - the answer
        return None
    return "it is switched on and does not hold"
