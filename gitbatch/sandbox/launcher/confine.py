"""All that Landlock mode takes from a process, in one step. Afterwards nothing is opened by name, and nothing imported.

Python itself may be out of sight by then (in the user's home folder), so what the last steps need is read before: a codec
that is imported only after Landlock holds would be a file that cannot be opened.
"""

from collections.abc import Mapping

from gitbatch.sandbox.launcher.kernel import drop_capabilities, last_capability
from gitbatch.sandbox.launcher.landlock import restrict_access
from gitbatch.sandbox.launcher.seccomp import filter_calls


def confine_process(rules: Mapping[str, int], *, network: bool) -> None:
    """Give up access to files but what the rules (path → rights) allow, capabilities, and calls; for good.

    Raises:
        OSError: the kernel refuses, or a path is not there.
    """
    last = last_capability()
    restrict_access(rules, network=network)
    drop_capabilities(last)
    filter_calls(network=network)
