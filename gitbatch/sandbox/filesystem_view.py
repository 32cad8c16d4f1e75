"""What of the disk a program sees: a few rules, the deepest of which wins. The same for every kind of sandbox."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

from gitbatch.sandbox.model import Confinement
from gitbatch.sandbox.tools import SYSTEM_FOLDERS, path_exists, real_path, tool_paths

_LINK_TARGETS = (Path("/etc/resolv.conf"),)
"""What the system's folders have links to that are needed, elsewhere."""


class Access(Enum):
    """What a program may do in a place."""

    HIDDEN = "hidden"
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class FilesystemView:
    """What is seen. A path that is in none of the rules does not exist for the program."""

    rules: tuple[tuple[Path, Access], ...]
    """Existing paths without links in them, a folder before what is below it."""
    links: tuple[tuple[Path, Path], ...]
    """Links, and what is in them, that lead to the rules from names that the program may know them by."""


def build_view(argv: Sequence[str], confinement: Confinement) -> FilesystemView:
    """What the program that `argv` starts sees.

    Raises:
        OSError: there is no such program, or the strict output is not in the worktree.
    """
    at = confinement
    tools = tool_paths(argv, at.path, at.home, at.worktree, at.checkouts)
    standing = _common_view(
        frozenset(tool for tool in tools if not _is_within(tool, (at.worktree, at.scratch)))
    )
    own = _resolve_rules(_item_rules(at))
    rules = dict((*standing.rules, *own.rules))
    links = {link: to for link, to in (*standing.links, *own.links) if not _is_shown(link, rules)}
    return FilesystemView(tuple(sorted(rules.items())), tuple(sorted(links.items())))


def access_at(path: Path, rules: Mapping[Path, Access]) -> Access | None:
    """What may be done at a path: what the deepest place says that it is in. None: it does not exist."""
    return next((rules[folder] for folder in (path, *path.parents) if folder in rules), None)


def names_in_home(seen: FilesystemView, confinement: Confinement) -> tuple[str, ...] | None:
    """Returns what a program sees of the user's home folder, by names below it; None: it may write all of it."""
    rules = dict(seen.rules)
    home = real_path(confinement.home)
    if rules.get(home) is Access.WRITE:
        return None
    at = confinement
    own = {real_path(path) for path in (at.worktree, at.worktree / ".git", at.scratch, *at.git)}
    known = [path for path, access in rules.items() if access is not Access.HIDDEN and path not in own]
    below = {path for path in known if path.is_relative_to(home) and path != home}
    names = {path.relative_to(home) for path in below if below.isdisjoint(path.parents)}
    links = (link for link, _ in seen.links if link.is_relative_to(confinement.home))
    names |= {link.relative_to(confinement.home) for link in links if link != confinement.home}
    return tuple(sorted(str(name) for name in names if names.isdisjoint(name.parents)))


def strict_output(confinement: Confinement) -> Path | None:
    """Where the one writable file of the worktree really is.

    Raises:
        OSError: it is not in the worktree.
    """
    output = confinement.strict_output
    if output is None:
        return None
    real = real_path(output.parent) / output.name
    if not real.is_relative_to(real_path(confinement.worktree)) or real.is_symlink():
        raise OSError(errno.ELOOP, "the output leads out of the worktree", str(output))
    return real


def _is_within(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


@cache
def _common_view(tools: frozenset[Path]) -> FilesystemView:
    """What every item's program sees. Remembered: it takes longer to find out than the rest."""
    readable = ((path, Access.READ) for path in (*SYSTEM_FOLDERS, *_LINK_TARGETS, *tools))
    closed = _root_only_paths(Path("/etc")) if os.geteuid() == 0 else ()
    return _resolve_rules((*readable, *((path, Access.HIDDEN) for path in closed)))


def _item_rules(confinement: Confinement) -> Iterator[tuple[Path, Access]]:
    """The item's own rules; a later one takes precedence over the same path before."""
    at = confinement
    yield from ((path, Access.HIDDEN) for path in at.checkouts if path != Path("/"))
    yield from ((path, Access.READ) for path in (*at.needs, *at.git))
    yield from ((path, Access.HIDDEN) for path in (at.home, *at.hidden))
    yield from ((path, Access.WRITE) for path in at.writable)
    yield at.worktree, Access.READ if at.strict_output else Access.WRITE
    yield at.worktree / ".git", Access.READ
    yield at.scratch, Access.WRITE


def _resolve_rules(wanted: Iterable[tuple[Path, Access]]) -> FilesystemView:
    """Where the wanted rules really are, as far as they exist."""
    rules: dict[Path, Access] = {}
    links: dict[Path, Path] = {}
    for path, access in wanted:
        real = real_path(path)
        if path_exists(real):
            rules[real] = access
            links |= _links_along(path)
    return FilesystemView(tuple(rules.items()), tuple(links.items()))


def _is_shown(link: Path, rules: Mapping[Path, Access]) -> bool:
    """Whether a link is there anyway, because the folder that it is in is."""
    return access_at(link, rules) not in {None, Access.HIDDEN}


@cache
def _root_only_paths(folder: Path) -> tuple[Path, ...]:
    """What is closed to everybody but root: an agent of root's sees no more of the system's settings than others."""
    found, waiting = [], [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if not entry.is_symlink() and not entry.stat().st_mode & stat.S_IROTH:
                    found.append(Path(entry.path))
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
    return tuple(found)


def _links_along(path: Path) -> dict[Path, Path]:
    """The links that a walk to a path, which exists, passes, and what they hold."""
    links: dict[Path, Path] = {}
    waiting, here = list(reversed(path.parts)), Path("/")
    while waiting:
        here = Path(os.path.normpath(here / waiting.pop()))
        if here.is_symlink():
            links[here] = here.readlink()
            waiting += reversed(links[here].parts)
            here = here.parent
    return links
