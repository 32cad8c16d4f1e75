"""Whether Landlock works here: by confining ourselves as for a program, looking whether it holds, and starting one."""

# ruff: noqa: PTH116, PTH208 - pathlib takes longer to import than the launcher to do its work

import os
from collections.abc import Mapping

from gitbatch.sandbox.launcher.confine import confine
from gitbatch.sandbox.launcher.landlock import LEAST, abi
from gitbatch.sandbox.launcher.process import execute

_SHELL = "/bin/sh"


def probe(rules: Mapping[str, int]) -> str:
    """Become a program that prints the ABI; returns why Landlock cannot be used, if it cannot.

    `rules`: what a program needs to start.
    """
    try:
        version = abi()
        os.stat(f"/proc/{os.getpid()}/task/{os.getpid()}/children")  # by which the keeper finds what is left
        if version < LEAST:
            return f"the kernel has ABI {version}; {LEAST} is needed (Linux 6.7)"
        confine(rules, network=False)
    except OSError as error:
        return f"the kernel refuses ({error.filename or 'system call'}: {error.strerror})"
    try:
        os.listdir("/")
    except PermissionError:
        execute([_SHELL, "-c", f"echo {version}"])
    return "it is switched on and does not hold"
