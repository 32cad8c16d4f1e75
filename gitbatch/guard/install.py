"""Installs and removes the pre-commit hook. An existing hook is kept, runs after ours, and is restored by `uninstall`.

A hook exists at every moment of both: the existing one gets a second name (a hard link) before ours replaces it, and
its first name back by a rename. So its content, mode and times are the same after it is restored.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from gitbatch.errors import GitbatchError
from gitbatch.guard.location import (
    HookLocation,
    default_hook_location,
    find_hook_conflict,
    install_blocker,
    is_in_repository,
)
from gitbatch.guard.script import HookState, inspect_hook, write_script
from gitbatch.repo.repository import Repository


class HookChange(StrEnum):
    """The result of installing or removing the hook."""

    INSTALLED = "installed"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    RESTORED = "restored"
    """Ours is removed, and the earlier hook is back under its name."""
    NOTHING = "not installed"


def install_hook(repo: Repository, location: HookLocation) -> HookChange:
    """Installs the hook, or updates it. Does nothing if the current version is installed.

    Raises:
        GitbatchError: a file that is not ours would be overwritten, moved or shared with other repositories.
    """
    blocker = install_blocker(repo, location)
    if blocker:
        raise GitbatchError(blocker.message, blocker.advice)
    hook = location.hook
    state = inspect_hook(hook)
    if state is HookState.INSTALLED:
        return HookChange.UNCHANGED
    with _writing_hooks(location.folder):
        if state is HookState.FOREIGN:
            location.kept.unlink(missing_ok=True)  # a copy of this hook: any other file blocks the install
            location.kept.hardlink_to(hook)
        write_script(hook)
    return HookChange.UPDATED if state is HookState.OUTDATED else HookChange.INSTALLED


def uninstall_hook(repo: Repository, location: HookLocation) -> HookChange:
    """Removes the hook from where git looks for it, and from `.git/hooks`, where git looked before `core.hooksPath` was set.

    Raises:
        GitbatchError: the hook was edited, or another one was installed over it.
    """
    locations = {
        each.folder: each
        for each in (location, default_hook_location(repo))
        if is_in_repository(repo, each.folder)
    }
    done = [_remove_hook(repo, each) for each in locations.values()]
    return next((change for change in done if change is not HookChange.NOTHING), HookChange.NOTHING)


def _remove_hook(repo: Repository, location: HookLocation) -> HookChange:
    hook = location.hook
    state = inspect_hook(hook)
    if not (state.is_ours or state is HookState.EDITED or location.kept.exists()):
        return HookChange.NOTHING
    conflict = find_hook_conflict(repo, location)
    if conflict:
        raise GitbatchError(conflict.message, conflict.advice)
    with _writing_hooks(location.folder):
        if state is HookState.FOREIGN:  # the user has restored the kept hook by hand
            location.kept.unlink()
            return HookChange.RESTORED
        if location.chained:
            location.chained.replace(hook)
            return HookChange.RESTORED
        location.kept.unlink(missing_ok=True)
        hook.unlink()
    return HookChange.REMOVED


@contextmanager
def _writing_hooks(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GitbatchError(
            f"cannot write {folder}: {error.strerror}", "make the repository's hooks folder writable"
        ) from error
