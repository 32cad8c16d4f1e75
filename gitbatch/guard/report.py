"""Where the hook is and what it does there: what `gitbatch hooks status` tells."""

from shlex import quote

from msgspec import Struct

from gitbatch.guard.location import HookLocation, install_blocker, is_framework_hook
from gitbatch.guard.script import HOOK, MOVED, HookState, inspect_hook
from gitbatch.repo.repository import Repository


class HookReport(Struct, frozen=True):
    """The hook of a checkout; for programs, one JSON object."""

    state: HookState
    path: str
    """Where it is or belongs."""
    chained: str | None
    """The hook that runs after it."""
    hooks_path: str | None
    """`core.hooksPath` as it is written."""
    scope: str | None
    """Where that is set: `local`, `global` and so on."""
    in_worktrees: bool
    """Whether git finds it in the worktrees of items."""
    problem: str
    """Why `install` would refuse; empty if it would not."""
    advice: str
    notes: tuple[str, ...]
    hook: str = HOOK
    schema: int = 1


def read_hook_report(repo: Repository, location: HookLocation) -> HookReport:
    """Look at the hook of a checkout. Changes nothing."""
    blocker = install_blocker(repo, location)
    return HookReport(
        state=inspect_hook(location.hook),
        path=str(location.hook),
        chained=str(location.chained) if location.chained else None,
        hooks_path=location.setting,
        scope=location.scope,
        in_worktrees=location.in_worktrees,
        problem=blocker.message if blocker else "",
        advice=blocker.advice if blocker else "",
        notes=hook_notes(repo, location),
    )


def hook_notes(repo: Repository, location: HookLocation) -> tuple[str, ...]:
    """What the user should know of a hook at a place, one line each."""
    said = []
    if not location.in_worktrees:
        said.append(
            "core.hooksPath is a relative path: git does not find the hook in the worktrees of items; "
            f"it would with: git config core.hooksPath {quote(str(location.folder))}"
        )
    if ".husky" in location.folder.parts:
        said.append("husky writes its hooks anew at each install: run gitbatch hooks install after it")
    if location.hook.name == MOVED:
        said.append("the pre-commit framework was installed over it, and runs it first")
    elif location.chained and is_framework_hook(location.chained):
        said.append("the hook of the pre-commit framework runs after it")
    if _is_untracked(repo, location):
        said.append(f"{location.folder} is in your checkout: git shows the hook as an untracked file")
    return tuple(said)


def _is_untracked(repo: Repository, location: HookLocation) -> bool:
    """Whether git shows what is installed there as a new file. Below `.git` it answers with an error."""
    if not location.hook.exists():
        return False
    asked = ("ls-files", "--others", "--exclude-standard", "--", location.hook.name)
    return bool(repo.git.in_directory(location.folder).run(*asked, check=False).stdout)
