"""Judging the paths that an agent changed in its workplace. Pure: the list comes from the workplace."""

from msgspec import Struct

from gitbatch.batch.workplace.protocol import WorkplaceChanges
from gitbatch.plan.outputs import is_shared
from gitbatch.text import CleanText, clean_text

_NAMED_STRAYS = 20


class Strays(Struct, frozen=True):
    """The paths that an agent changed besides its output, as harmless lines."""

    forbidden: tuple[CleanText, ...] = ()
    """Shared files and outputs of other items."""
    others: tuple[CleanText, ...] = ()


def find_strays(changes: WorkplaceChanges, output: str, guarded: frozenset[str]) -> Strays:
    """Returns the changed paths that are not the output, those that the agent may not change apart.

    Args:
        changes: the list that the workplace made.
        output: the item's own output.
        guarded: the paths, by `path_key`, of shared files and of all items' outputs.
    """
    forbidden = {path for path in changes.written if path != output and is_shared(path, guarded)}
    forbidden.update(changes.removed)
    others = [path for path in changes.written if path not in forbidden and path != output]
    others += [f"{path} (deleted)" for path in changes.deleted if path not in forbidden and path != output]
    others += [f"{path} (replaced)" for path in changes.replaced]
    named = [clean_text(path) for path in others[:_NAMED_STRAYS]]
    more = [clean_text(f"and {len(others) - _NAMED_STRAYS} more")] if len(others) > _NAMED_STRAYS else []
    return Strays(tuple(sorted(map(clean_text, forbidden))), tuple(named + more))
