"""The report of `gitbatch hooks status`: the path of the hook, its state, and what the user should know about it."""

from shlex import quote

from msgspec import Struct

from gitbatch.guard.location import HookLocation, install_blocker, is_framework_hook
from gitbatch.guard.script import HOOK, MOVED, HookState, inspect_hook
from gitbatch.repo.repository import Repository


class HookReport(Struct, frozen=True):
    """The hook of a checkout."""

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
    hook: str = HOOK


def read_hook_report(repo: Repository, location: HookLocation) -> HookReport:
    """Reads the state of a checkout's hook. Changes nothing."""
    blocker = install_blocker(repo, location)
    return HookReport(
        state=inspect_hook(location.hook),
        path=str(location.hook),
        chained=str(location.chained) if location.chained else None,
        hooks_path=location.setting,
        scope=location.scope,
        in_worktrees=location.is_in_worktrees,
        problem=blocker.message if blocker else "",
        advice=blocker.advice if blocker else "",
        notes=hook_notes(repo, location),
    )


def hook_notes(repo: Repository, location: HookLocation) -> tuple[str, ...]:
    """Returns what the user should know about the hook of a folder, one line each."""
    said = []
    if not location.is_in_worktrees:
        said.append(
            "core.hooksPath is a relative path: git does not find the hook in the worktrees of items; "
            f"it would with: git config core.hooksPath {quote(str(location.folder))}"
        )
    if ".husky" in location.folder.parts:
        said.append("husky overwrites its hooks at each install: run gitbatch hooks install after it")
    if location.hook.name == MOVED:
        said.append("the pre-commit framework was installed over the hook, and runs it first")
    elif location.chained and is_framework_hook(location.chained):
        said.append("the hook of the pre-commit framework runs after gitbatch's")
    if _is_untracked(repo, location):
        said.append(f"{location.folder} is in your checkout: git shows the hook as an untracked file")
    return tuple(said)


def _is_untracked(repo: Repository, location: HookLocation) -> bool:
    """Whether git shows the installed hook as an untracked file. Below `.git` git fails."""
    if not location.hook.exists():
        return False
    asked = ("ls-files", "--others", "--exclude-standard", "--", location.hook.name)
    return bool(repo.git.in_directory(location.folder).run(*asked, check=False).stdout)
