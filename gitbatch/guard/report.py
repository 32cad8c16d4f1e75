"""Where the hook is and what it does there: what `gitbatch hooks status` tells."""

from shlex import quote

from msgspec import Struct

from gitbatch.guard.place import HookLocation, install_blocker, is_of_framework
from gitbatch.guard.script import HOOK, MOVED, HookState, inspect
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


def report(repo: Repository, place: HookLocation) -> HookReport:
    """Look at the hook of a checkout. Changes nothing."""
    blocker = install_blocker(repo, place)
    return HookReport(
        state=inspect(place.hook),
        path=str(place.hook),
        chained=str(place.chained) if place.chained else None,
        hooks_path=place.setting,
        scope=place.scope,
        in_worktrees=place.in_worktrees,
        problem=blocker.message if blocker else "",
        advice=blocker.advice if blocker else "",
        notes=notes(repo, place),
    )


def notes(repo: Repository, place: HookLocation) -> tuple[str, ...]:
    """What the user should know of a hook at a place, one line each."""
    said = []
    if not place.in_worktrees:
        said.append(
            "core.hooksPath is a relative path: git does not find the hook in the worktrees of items; "
            f"it would with: git config core.hooksPath {quote(str(place.folder))}"
        )
    if ".husky" in place.folder.parts:
        said.append("husky writes its hooks anew at each install: run gitbatch hooks install after it")
    if place.hook.name == MOVED:
        said.append("the pre-commit framework was installed over it, and runs it first")
    elif place.chained and is_of_framework(place.chained):
        said.append("the hook of the pre-commit framework runs after it")
    if _is_untracked(repo, place):
        said.append(f"{place.folder} is in your checkout: git shows the hook as an untracked file")
    return tuple(said)


def _is_untracked(repo: Repository, place: HookLocation) -> bool:
    """Whether git shows what is installed there as a new file. Below `.git` it answers with an error."""
    if not place.hook.exists():
        return False
    asked = ("ls-files", "--others", "--exclude-standard", "--", place.hook.name)
    return bool(repo.git.in_directory(place.folder).run(*asked, check=False).stdout)
