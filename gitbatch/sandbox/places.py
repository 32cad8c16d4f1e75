"""What of the disk a program sees: a few places, the deepest of which wins. The same for every kind of sandbox."""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from gitbatch.sandbox.model import Confinement
from gitbatch.sandbox.tools import SYSTEM, tool_paths

_NAMES = (Path("/etc/resolv.conf"),)
"""What the system's folders have links to that are needed, elsewhere."""


class Access(Enum):
    """What a program may do in a place."""

    HIDDEN = "hidden"
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class View:
    """What is seen. A path that is in none of the places does not exist for the program."""

    places: tuple[tuple[Path, Access], ...]
    """Existing paths without links in them, a folder before what is below it."""
    links: tuple[tuple[Path, Path], ...]
    """Links, and what is in them, that lead to the places from names that the program may know them by."""


def view(argv: Sequence[str], confinement: Confinement) -> View:
    """What the program that `argv` starts sees.

    Raises:
        OSError: there is no such program, or the strict output is not in the worktree.
    """
    places: dict[Path, Access] = {}
    links: dict[Path, Path] = {}
    for path, access in _wanted(argv, confinement):
        real = path.resolve()
        if real.exists():
            places[real] = access  # of two for one path, the later
            links |= _links_on_the_way(path)
    there = {path for path in links if (access_of(path, places) or Access.HIDDEN) is not Access.HIDDEN}
    return View(
        tuple(sorted(places.items())),
        tuple(sorted((link, to) for link, to in links.items() if link not in there)),
    )


def access_of(path: Path, places: Mapping[Path, Access]) -> Access | None:
    """What may be done at a path: what the deepest place says that it is in. None: it does not exist."""
    return next((places[place] for place in (path, *path.parents) if place in places), None)


def strict_output(confinement: Confinement) -> Path | None:
    """Where the one writable file of the worktree really is.

    Raises:
        OSError: it is not in the worktree.
    """
    output = confinement.strict_output
    if output is None:
        return None
    real = output.parent.resolve() / output.name
    if not real.is_relative_to(confinement.worktree.resolve()) or real.is_symlink():
        raise OSError(errno.ELOOP, "the output leads out of the worktree", str(output))
    return real


def _wanted(argv: Sequence[str], confinement: Confinement) -> Iterator[tuple[Path, Access]]:
    """Every place that matters; a later one takes precedence over the same path before."""
    at = confinement
    readable = (*SYSTEM, *_NAMES, *tool_paths(argv, at.path, at.home, at.worktree), *at.needs, *at.repository)
    yield from ((path, Access.READ) for path in readable)
    yield from ((path, Access.HIDDEN) for path in (at.home, *at.hidden))
    yield from ((path, Access.WRITE) for path in at.writable)
    yield at.worktree, Access.READ if at.strict_output else Access.WRITE
    yield at.worktree / ".git", Access.READ
    yield at.scratch, Access.WRITE


def _links_on_the_way(path: Path) -> dict[Path, Path]:
    """The links that a walk to a path passes, and what they hold."""
    links: dict[Path, Path] = {}
    waiting, here = list(reversed(path.parts)), Path("/")
    while waiting:
        here = Path(os.path.normpath(here / waiting.pop()))
        if here.is_symlink() and here not in links:
            links[here] = here.readlink()
            waiting += reversed(links[here].parts)
            here = here.parent
    return links
