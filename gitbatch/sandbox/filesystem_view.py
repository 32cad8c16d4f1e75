"""The part of the disk that a program sees, as access rules for paths; the deepest wins. The same for every sandbox."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from pathlib import Path

from gitbatch.sandbox.model import Confinement
from gitbatch.sandbox.tools import (
    HIDDEN_FOLDERS,
    SYSTEM_FOLDERS,
    is_within,
    path_exists,
    real_path,
    tool_paths,
)

_LINK_TARGETS = (Path("/etc/resolv.conf"),)
"""Files that the system's folders link to and programs need, outside of those folders."""


class Access(Enum):
    """The access of a program to a path and everything below it."""

    HIDDEN = "hidden"
    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class FilesystemView:
    """The visible part of the disk. A path that is below no rule does not exist for the program."""

    rules: tuple[tuple[Path, Access], ...]
    """Existing paths without symlinks in them, a folder before its contents, and the access to each."""
    links: tuple[tuple[Path, Path], ...]
    """Symlinks and their targets, by which the program finds the paths under the names that it was given."""


def build_view(argv: Sequence[str], confinement: Confinement) -> FilesystemView:
    """Builds the view of the program that `argv` starts.

    Raises:
        OSError: the program does not exist, or the strict output is not in the worktree.
    """
    at = confinement
    tools = tool_paths(argv, at.path, at.home, at.program_folders, at.checkouts)
    inside = (at.worktree, at.scratch, *at.program_folders)
    standing = _common_view(frozenset(tool for tool in tools if not is_within(tool, inside)))
    own = _resolve_rules(_item_rules(at))
    rules = dict((*standing.rules, *own.rules))
    if at.overlay:
        rules = _with_overlay(rules, at)
    links = {link: to for link, to in (*standing.links, *own.links) if not _is_shown(link, rules)}
    ruled = tuple((path, rules[path]) for path in sort_paths(rules))
    return FilesystemView(ruled, tuple((link, links[link]) for link in sort_paths(links)))


def sort_paths(paths: Iterable[Path]) -> list[Path]:
    """Returns paths in the order of `sorted`, a folder before its contents, in a fraction of its time."""
    return sorted(paths, key=_order_of)


def _order_of(path: Path) -> str:
    return str(path).replace("/", "\0")


def _with_overlay(rules: dict[Path, Access], confinement: Confinement) -> dict[Path, Access]:
    """Returns rules of which none is for what the worktree hides at its path: nothing but the worktree is there."""
    worktree = real_path(confinement.worktree)
    outside = {path: access for path, access in rules.items() if not is_within(path, (worktree,))}
    own = Access.READ if confinement.strict_output or confinement.reads_only else Access.WRITE
    layer = confinement.overlay.git if confinement.overlay else None
    git = {real_path(layer.upper): own} if layer else {}
    return {**outside, **git, worktree: own, worktree / ".git": Access.READ}


def access_at(path: Path, rules: Mapping[Path, Access]) -> Access | None:
    """Returns the access to a path, by the deepest rule around it; None if it does not exist for the program."""
    if path in rules:
        return rules[path]
    return next((rules[folder] for folder in parents_of(path) if folder in rules), None)


@lru_cache(4096)
def parents_of(path: Path) -> tuple[Path, ...]:
    """Returns the folders around a path, the innermost first. Cached: most paths are the same for all items."""
    return tuple(path.parents)


def names_in_home(seen: FilesystemView, confinement: Confinement) -> tuple[str, ...] | None:
    """Returns the names below the user's home folder that a program sees; None if it may write all of it."""
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
    """Returns the real path of the only writable file of the worktree; None if the confinement has none.

    Raises:
        OSError: it is not in the worktree.
    """
    output = confinement.strict_output
    if output is None:
        return None
    if confinement.overlay:  # only the launcher sees what is in the worktree, and refuses links
        return real_path(confinement.worktree) / output.relative_to(confinement.worktree)
    real = real_path(output.parent) / output.name
    if not real.is_relative_to(real_path(confinement.worktree)) or real.is_symlink():
        raise OSError(errno.ELOOP, "the output is outside the worktree", str(output))
    return real


@cache
def _common_view(tools: frozenset[Path]) -> FilesystemView:
    """Builds the part of the view that all items share. Cached: it takes longer than the rest."""
    readable = ((path, Access.READ) for path in (*SYSTEM_FOLDERS, *_LINK_TARGETS, *tools))
    closed = _root_only_paths(Path("/etc")) if os.geteuid() == 0 else ()
    return _resolve_rules((*readable, *((path, Access.HIDDEN) for path in (*closed, *HIDDEN_FOLDERS))))


def _item_rules(confinement: Confinement) -> Iterator[tuple[Path, Access]]:
    """Yields the rules of one item; a later rule replaces an earlier one for the same path."""
    at = confinement
    yield from ((path, Access.HIDDEN) for path in at.checkouts if path != Path("/"))
    yield from ((path, Access.READ) for path in (*at.needs, *at.git))
    yield from ((path, Access.HIDDEN) for path in (at.home, *at.hidden))
    yield from ((path, Access.WRITE) for path in at.writable)
    yield at.worktree, Access.READ if at.strict_output or at.reads_only else Access.WRITE
    yield at.worktree / ".git", Access.READ
    yield at.scratch, Access.WRITE


def _resolve_rules(wanted: Iterable[tuple[Path, Access]]) -> FilesystemView:
    """Resolves symlinks in the paths of rules, and drops the paths that do not exist."""
    rules: dict[Path, Access] = {}
    links: dict[Path, Path] = {}
    for path, access in wanted:
        real = real_path(path)
        if path_exists(real):
            rules[real] = access
            if real != path:
                links |= _links_along(path)
    return FilesystemView(tuple(rules.items()), tuple(links.items()))


def _is_shown(link: Path, rules: Mapping[Path, Access]) -> bool:
    """Whether a symlink is visible already, because its folder is."""
    return access_at(link, rules) not in {None, Access.HIDDEN}


@cache
def _root_only_paths(folder: Path) -> tuple[Path, ...]:
    """Returns the paths that only root may read. They are hidden, so root's agents see no more of /etc than others."""
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
    """Returns the symlinks on the way to an existing path, with their targets."""
    links: dict[Path, Path] = {}
    waiting, here = list(reversed(path.parts)), Path("/")
    while waiting:
        here = Path(os.path.normpath(here / waiting.pop()))
        if here.is_symlink():
            links[here] = here.readlink()
            waiting += reversed(links[here].parts)
            here = here.parent
    return links
