"""The output of `gitbatch hooks status|install|uninstall --json`."""

import msgspec

from gitbatch.guard.report import HookReport
from gitbatch.guard.script import HookState
from gitbatch.view.envelope import Envelope


class HookOutput(Envelope, frozen=True):
    """The hook of a checkout, as it is after the command."""

    state: HookState
    path: str
    """The path of the script, or the one that it would be installed at."""
    chained: str | None
    """The path of the hook that runs after it."""
    hooks_path: str | None
    """`core.hooksPath` as it is written."""
    scope: str | None
    """The scope of that setting: `local`, `global` and so on."""
    in_worktrees: bool
    """Git runs it in the worktrees of items too."""
    problem: str
    """Why `install` would fail; empty if it would not."""
    advice: str
    notes: tuple[str, ...]
    hook: str
    change: str | None = None
    """What `install` or `uninstall` has done; null for `status`."""


def hook_output(report: HookReport, change: str | None = None) -> HookOutput:
    """Returns the output of a command about the hook."""
    made = msgspec.convert(report, HookOutput, from_attributes=True)
    return msgspec.structs.replace(made, change=change)
