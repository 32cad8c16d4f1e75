"""The environment variables and settings of every git process that gitbatch starts.

Nothing that a repository, a parent process or an agent has set can redirect these processes or make them run a program.
"""

import os

ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
CONFIGURATION = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=committed",
    "core.quotePath=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "advice.detachedHead=false",
    "advice.graftFileDeprecated=false",  # GIT_GRAFT_FILE is set above, not by the user
)


def scrub_environment() -> dict[str, str]:
    """Removes every GIT_* variable from this process's environment; returns what was there.

    A hook or an alias that starts us sets GIT_DIR, GIT_INDEX_FILE and more, which redirect even `git -C`.
    Children inherit the environment, so it is cleaned once, for all of them.
    """
    found = {name: value for name, value in os.environ.items() if name.startswith("GIT_")}
    for name in found:
        del os.environ[name]
    return found
