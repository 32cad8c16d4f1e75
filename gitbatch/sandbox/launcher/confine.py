"""Removes all permissions of a process that Landlock mode removes. Afterwards it opens no file by name, and imports nothing.

Python itself may be unreadable then (in the user's home folder), so the last steps need nothing that is not loaded: a codec
that is imported after Landlock is in force would be a file that cannot be opened.
"""

from collections.abc import Mapping

from gitbatch.sandbox.launcher.kernel import drop_capabilities, last_capability
from gitbatch.sandbox.launcher.landlock import restrict_access
from gitbatch.sandbox.launcher.seccomp import filter_calls


def confine_process(rules: Mapping[str, int], *, network: bool) -> None:
    """Drops access to all files except by the rules (path → rights), all capabilities, and some system calls; irrevocably.

    Raises:
        OSError: the kernel refuses, or a path does not exist.
    """
    last = last_capability()
    restrict_access(rules, network=network)
    drop_capabilities(last)
    filter_calls(network=network)
