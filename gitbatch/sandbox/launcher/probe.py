"""Probes Landlock: confines this process like a program's, checks that access is denied, and starts a program."""

# ruff: noqa: PTH116, PTH208 - pathlib takes longer to import than the launcher to do its work

import os
from collections.abc import Mapping

from gitbatch.sandbox.launcher.confine import confine_process
from gitbatch.sandbox.launcher.landlock import REQUIRED_ABI, landlock_abi
from gitbatch.sandbox.launcher.process import execute_program

_SHELL = "/bin/sh"


def probe_landlock(rules: Mapping[str, int]) -> str:
    """Replaces this process by a program that prints the ABI; returns only if Landlock cannot be used, with the reason.

    `rules`: the rights that a program needs to start.
    """
    try:
        version = landlock_abi()
        os.stat(f"/proc/{os.getpid()}/task/{os.getpid()}/children")  # the keeper lists its children there
        if version < REQUIRED_ABI:
            return f"the kernel has ABI {version}; {REQUIRED_ABI} is needed (Linux 6.7)"
        confine_process(rules, network=False)
    except OSError as error:
        return f"the kernel refuses ({error.filename or 'system call'}: {error.strerror})"
    try:
        os.listdir("/")
    except PermissionError:
        execute_program([_SHELL, "-c", f"echo {version}"], os.environ)
    return "it is enabled but not effective"
