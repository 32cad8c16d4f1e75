"""Installing the hook and taking it away again: a hook that was there is kept, runs after ours, and comes back.

At each moment there is a hook in place: the old one gets a second name (a hard link) before ours takes its first,
and gets that back by a rename. So it comes back as it was: its bytes, its mode, its time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from gitbatch.errors import GitbatchError
from gitbatch.guard.place import HookLocation, find_conflict, install_blocker, is_inside, own_place
from gitbatch.guard.script import HookState, inspect, write_script
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


def install(repo: Repository, place: HookLocation) -> HookChange:
    """Put our hook in place. Does nothing if it is there.

    Raises:
        GitbatchError: it can't be done without harm to something of somebody else's.
    """
    blocker = install_blocker(repo, place)
    if blocker:
        raise GitbatchError(blocker.message, blocker.advice)
    hook = place.hook
    state = inspect(hook)
    if state is HookState.INSTALLED:
        return HookChange.UNCHANGED
    with _writing(place.folder):
        if state is HookState.FOREIGN:
            place.kept.unlink(missing_ok=True)  # it keeps this same hook, or it would have been an obstacle
            place.kept.hardlink_to(hook)
        write_script(hook)
    return HookChange.UPDATED if state is HookState.OUTDATED else HookChange.INSTALLED


def uninstall(repo: Repository, place: HookLocation) -> HookChange:
    """Take our hook away, from where git looks and from where it looked before somebody set `core.hooksPath`.

    Raises:
        GitbatchError: somebody has changed it, or put another one over it.
    """
    places = {each.folder: each for each in (place, own_place(repo)) if is_inside(repo, each.folder)}
    done = [_remove(repo, each) for each in places.values()]
    return next((change for change in done if change is not HookChange.NOTHING), HookChange.NOTHING)


def _remove(repo: Repository, place: HookLocation) -> HookChange:
    hook = place.hook
    state = inspect(hook)
    if not (state.is_ours or state is HookState.EDITED or place.kept.exists()):
        return HookChange.NOTHING
    conflict = find_conflict(repo, place)
    if conflict:
        raise GitbatchError(conflict.message, conflict.advice)
    with _writing(place.folder):
        if state is HookState.FOREIGN:  # somebody has put back what we kept
            place.kept.unlink()
            return HookChange.RESTORED
        if place.chained:
            place.chained.replace(hook)
            return HookChange.RESTORED
        place.kept.unlink(missing_ok=True)
        hook.unlink()
    return HookChange.REMOVED


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GitbatchError(
            f"{folder} can't be written: {error.strerror}", "make the repository's hooks writable for you"
        ) from error
