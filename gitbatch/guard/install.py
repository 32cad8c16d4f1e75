"""Installing the hook and taking it away again: a hook that was there is kept, runs after ours, and comes back.

At each moment there is a hook in place: the old one gets a second name (a hard link) before ours takes its first,
and gets that back by a rename. So it comes back as it was: its bytes, its mode, its time.
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
    """What was done."""

    INSTALLED = "installed"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    RESTORED = "restored"
    """Ours is gone, and the hook that was there before is back."""
    NOTHING = "not installed"


def install_hook(repo: Repository, location: HookLocation) -> HookChange:
    """Put our hook in place. Does nothing if it is there.

    Raises:
        GitbatchError: it can't be done without harm to something of somebody else's.
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
            location.kept.unlink(
                missing_ok=True
            )  # it keeps this same hook, or it would have been an obstacle
            location.kept.hardlink_to(hook)
        write_script(hook)
    return HookChange.UPDATED if state is HookState.OUTDATED else HookChange.INSTALLED


def uninstall_hook(repo: Repository, location: HookLocation) -> HookChange:
    """Take our hook away, from where git looks and from where it looked before somebody set `core.hooksPath`.

    Raises:
        GitbatchError: somebody has changed it, or put another one over it.
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
        if state is HookState.FOREIGN:  # somebody has put back what we kept
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
            f"{folder} can't be written: {error.strerror}", "make the repository's hooks writable for you"
        ) from error
