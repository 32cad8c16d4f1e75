"""Which files a program needs to run that are not the system's: its command line and its PATH, looked at closely.

Interpreters and tools live below $HOME (pyenv, nvm, virtual environments, pipx), beside keys. So of a folder on
PATH only these become readable: the folder itself; beside it, if it is called `bin` or so, the subfolders that
hold code (`lib`, `versions`, …); and where its links lead, by the same rule. Never `share` or a whole prefix:
~/.local/share has keyrings, ~/.cargo has a token. But `node_modules` is code as a whole, and its programs need all of it.
A checkout is no prefix: of its own `bin`, no more than that folder is seen. What a tool needs beyond that, the user lists.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

SYSTEM_FOLDERS = (
    *map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/snap")),
    *map(Path, ("/nix", "/gnu")),  # NixOS, Guix
    *map(Path, ("/sys/devices/system", "/sys/fs/cgroup")),  # how many processors there are, how much memory
)
"""What every program may read, as far as the user may."""

_OTHERWISE = (Path("/proc"), Path("/dev"), Path("/sys"))
"""What is no disk: every sandbox has its own of it."""
_BIN = frozenset({"bin", "sbin", "shims", ".bin"})
"""What a folder of programs is called; the folder above it is then a prefix."""
_CODE = (
    *("bin", "sbin", "include", "lib", "lib32", "lib64", "libexec"),
    *("installs", "plugins", "tools", "version", "versions"),  # pyenv, rbenv, asdf, mise, volta
    "pyvenv.cfg",
)
"""What of a prefix holds code, and no settings or keys."""
_PACKAGES = "node_modules"
"""Where the packages of Node are, whose programs are in `.bin` there."""
_MOST_LINKS = 40
"""As the kernel: more links in a row are a loop."""


def tool_paths(
    argv: Sequence[str], path: str, home: Path, worktree: Path, checkouts: tuple[Path, ...] = ()
) -> frozenset[Path]:
    """What a program that is started by `argv` with this PATH must be able to read; what is missing is left out.

    A file that the command line names by an absolute path counts too: an agent is often a script. What would show
    `home` or one of the `checkouts` as a whole is left out.

    Raises:
        FileNotFoundError: there is no such program.
    """
    files = [_find_program(argv[0], path, worktree), *_files_named_in(argv[1:])]
    closed = (home, *checkouts)
    return _on_path(path, closed) | _follow_links(map(_tool_folder, files), closed)


def tools_in_checkouts(
    argv: Sequence[str], path: str, home: Path, checkouts: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Returns what of the user's checkouts a program must be able to read, wherever its worktree is: prefixes, files."""
    closed = (home, *checkouts)
    found = _on_path(path, closed) | _follow_links(map(_tool_folder, _files_named_in(argv)), closed)
    inside = {_prefix_of(place, closed) for place in found if _is_below(place, checkouts)}
    return tuple(sorted(place for place in inside if inside.isdisjoint(place.parents)))


def _files_named_in(arguments: Sequence[str]) -> list[Path]:
    """The files that arguments name by absolute paths."""
    paths = (Path(argument) for argument in arguments if argument.startswith("/"))
    return [path for path in paths if os.path.isfile(path)]  # noqa: PTH113 - see _is_program


def _prefix_of(place: Path, closed: tuple[Path, ...]) -> Path:
    """The installation that a folder of programs or code belongs to."""
    is_part = place.name in (*_BIN, *_CODE) and not _would_expose(place.parent, closed)
    return place.parent if is_part else place


def _find_program(name: str, path: str, worktree: Path) -> Path:
    """Where the program is; a relative path starts in the worktree, as the program will."""
    for folder in [""] if "/" in name else path.split(":"):
        file = worktree / folder / name
        if _is_program(file):
            return file
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


@cache
def _on_path(path: str, closed: tuple[Path, ...]) -> frozenset[Path]:
    """What the folders on PATH need. Remembered: a batch starts many programs with one PATH."""
    return _follow_links((Path(folder) for folder in path.split(":") if folder.startswith("/")), closed)


def _follow_links(places: Iterable[Path], closed: tuple[Path, ...]) -> frozenset[Path]:
    """Folders and files, what belongs to them, and what their links lead to."""
    found: set[Path] = set()
    waiting = list(places)
    while waiting:
        place = waiting.pop()
        if place in found or not path_exists(place) or _would_expose(place, closed):
            continue
        if _is_system(place) and not _is_below(place, closed):
            continue
        found.add(place)
        if place.name == ".bin" and place.parent.name == _PACKAGES:
            found.add(place.parent)
        elif place.name in _BIN and not _would_expose(place.parent, closed):
            found.update(place.parent / name for name in _CODE if path_exists(place.parent / name))
        links = _links_in(place) if place.is_dir() else [place]
        waiting += (_tool_folder(hop) for link in links for hop in _link_targets(link))
    return frozenset(found)


def _tool_folder(file: Path) -> Path:
    """The folder of a program, if it is one of programs; else only the file."""
    return file.parent if file.parent.name in _BIN else file


def real_path(path: Path) -> Path:
    """A path without links in it; `Path.resolve` raises if they are a loop."""
    return Path(os.path.realpath(path))


def path_exists(place: Path) -> bool:
    """Whether a place exists and we may look there; `Path.exists` raises if we may not."""
    return os.path.exists(place)  # noqa: PTH110


def _is_system(place: Path) -> bool:
    """Whether a place is seen anyway, or is no place on a disk."""
    return any(
        path.is_relative_to(folder)
        for path in (place, real_path(place))
        for folder in (*SYSTEM_FOLDERS, *_OTHERWISE)
    )


def _would_expose(place: Path, closed: tuple[Path, ...]) -> bool:
    """Whether to show a folder would show one of the closed ones, $HOME and the checkouts, as a whole."""
    return any(
        folder.is_relative_to(place) or real_path(folder).is_relative_to(real_path(place))
        for folder in closed
    )


def _is_below(place: Path, closed: tuple[Path, ...]) -> bool:
    """Whether a place is inside of a closed folder, and so not seen because the system's folders are."""
    return any(real_path(place).is_relative_to(real_path(folder)) for folder in closed)


def _links_in(folder: Path) -> list[Path]:
    """The links to programs in a folder."""
    with os.scandir(folder) as entries:
        links = [entry.path for entry in entries if entry.is_symlink()]
    return [Path(link) for link in links if _is_program(link)]


def _is_program(file: str | Path) -> bool:
    """Whether there is something to start; a loop of links is nothing."""
    return os.path.isfile(file) and os.access(file, os.X_OK)  # noqa: PTH113 - Path.is_file raises for a loop


def _link_targets(link: Path) -> Iterator[Path]:
    """Where a link leads, and where that leads, to the end."""
    for _ in range(_MOST_LINKS):
        if not link.is_symlink():
            return
        link = Path(os.path.normpath(link.parent / link.readlink()))
        yield link
