"""Finds the files outside the system's folders that a program needs to run, from its command line and its PATH.

Interpreters and tools are below $HOME (pyenv, nvm, virtual environments, pipx), next to keys. So of a folder on PATH
only these become readable: the folder itself; if it is called `bin` or the like, the folders next to it that hold code
(`lib`, `versions`, …); and the targets of its symlinks, by the same rule. Never `share` or a whole prefix:
~/.local/share has keyrings, ~/.cargo has a token. But `node_modules` is code as a whole, and its programs need all of it.
Of the program itself, the package is readable too (the folder that has its package.json), and the interpreter in its first line.
A checkout is never taken for a prefix: of its own `bin`, only that folder is readable. The user lists what else a tool needs.
"""

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

SYSTEM_FOLDERS = (
    *map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/snap")),
    *map(Path, ("/nix", "/gnu")),  # NixOS, Guix
    *map(Path, ("/sys/devices/system", "/sys/fs/cgroup")),  # how many processors there are, how much memory
    *map(Path, ("/System", "/System/Volumes/Preboot/Cryptexes", "/Applications/Xcode.app")),  # macOS
    *(Path("/Library", name) for name in ("Apple", "Developer", "Frameworks", "Java", "Perl")),
    *(Path("/private/var", name) for name in ("db/dyld", "db/timezone", "db/xcode_select_link", "select")),
)
"""The folders that every program may read, as far as the user may. Those of the other systems do not exist."""
HIDDEN_FOLDERS = (Path("/System/Volumes"),)
"""Folders below those that it may not read: macOS shows all files of the user there once more."""

_VIRTUAL = (Path("/proc"), Path("/dev"), Path("/sys"))
"""File systems that are not on a disk: every sandbox mounts its own."""
_BIN = frozenset({"bin", "sbin", "shims", ".bin"})
"""The names of folders of programs; the folder above one is a prefix."""
_CODE = (
    *("bin", "sbin", "include", "lib", "lib32", "lib64", "libexec"),
    *("installs", "plugins", "tools", "version", "versions"),  # pyenv, rbenv, asdf, mise, volta
    *("global", "store"),  # pnpm
    "pyvenv.cfg",
)
"""The parts of a prefix that hold code, and neither settings nor keys."""
_PACKAGES = "node_modules"
"""The folder of Node's packages; their programs are in `.bin` in it."""
_PACKAGE_FILE = "package.json"
_FIRST_LINE = 512
_MOST_LINKS = 40
"""As in the kernel: more symlinks in a row are a loop."""

_DELETED = " (deleted)"
"""What the kernel writes behind the name of a file that was deleted, or a part of its name."""

_Folders = tuple[tuple[str, str], ...]
"""Folders, each by its name and by where it is without symlinks, both with a slash at the end."""


def tool_paths(
    argv: Sequence[str],
    path: str,
    home: Path,
    worktree: tuple[Path, ...],
    checkouts: tuple[Path, ...] = (),
) -> frozenset[Path]:
    """Returns the existing paths that a program which is started by `argv` with this PATH must be able to read.

    A file that the command line names by an absolute path is among them: an agent is often a script. A path that would
    expose `home` or one of the `checkouts` as a whole is not.

    Args:
        argv: the command line.
        path: the PATH.
        home: the user's home folder.
        worktree: the folder with the files of the worktree, or its layers.
        checkouts: the user's checkouts and git directories.

    Raises:
        FileNotFoundError: the program does not exist.
    """
    program = _find_program(argv[0], path, worktree)
    files = [program, *_files_named_in(argv[1:])]
    closed = _resolve_folders((home, *checkouts))
    installed = () if _is_below(program, _resolve_folders(worktree)) else _installed_with(program, closed)
    on_path = _on_path(path, (home, *checkouts))
    return on_path | _follow_links((*map(_tool_folder, files), *installed), closed)


def tools_in_checkouts(
    argv: Sequence[str], path: str, home: Path, checkouts: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Returns the prefixes and files in the user's checkouts that a program must be able to read, in any worktree."""
    closed, ours = _resolve_folders((home, *checkouts)), _resolve_folders(checkouts)
    on_path = _on_path(path, (home, *checkouts))
    found = on_path | _follow_links(map(_tool_folder, _files_named_in(argv)), closed)
    inside = {_prefix_of(tool, closed) for tool in found if _is_below(tool, ours)}
    return tuple(sorted(tool for tool in inside if inside.isdisjoint(tool.parents)))


def _files_named_in(arguments: Sequence[str]) -> list[Path]:
    """Returns the files that arguments name by absolute paths."""
    paths = (Path(argument) for argument in arguments if argument.startswith("/"))
    return [path for path in paths if os.path.isfile(path)]  # noqa: PTH113 - see _is_program


def _installed_with(program: Path, closed: _Folders) -> Iterator[Path]:
    """Yields what a program needs that is not on PATH: its package, and the folder of its interpreter.

    Not for a program in the worktree: an item may have written it.
    """
    for file in {program, real_path(program)}:
        folders = (folder for folder in file.parents if path_exists(folder / _PACKAGE_FILE))
        package = next(folders, None)
        if package and not _is_system(package) and not _would_expose(package, closed):
            yield package
    interpreter = _read_interpreter(program)
    if interpreter and interpreter.parent.name in _BIN and _is_program(interpreter):
        yield interpreter.parent


def _read_interpreter(program: Path) -> Path | None:
    """Returns the interpreter that the first line of a script names; None: it is not a script."""
    first = b""
    with suppress(OSError), program.open("rb") as opened:  # a program that may be executed and not read
        first = opened.read(_FIRST_LINE).partition(b"\n")[0]
    words = first.removeprefix(b"#!").split() if first.startswith(b"#!/") else []
    return Path(os.fsdecode(words[0])) if words else None


def _prefix_of(path: Path, closed: _Folders) -> Path:
    """Returns the prefix that a folder of programs or code belongs to, or the folder itself."""
    is_part = path.name in (*_BIN, *_CODE) and not _would_expose(path.parent, closed)
    return path.parent if is_part else path


def _find_program(name: str, path: str, worktree: tuple[Path, ...]) -> Path:
    """Finds the program's file; a relative path starts in the worktree, as the program does."""
    for folder in [""] if "/" in name else path.split(":"):
        for layer in worktree[:1] if folder.startswith("/") else worktree:
            file = os.path.join(layer, folder, name)  # noqa: PTH118 - a Path takes longer, and most are not there
            if _is_program(file):
                return Path(file)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


@cache
def _on_path(path: str, closed: tuple[Path, ...]) -> frozenset[Path]:
    """Returns the paths that the folders on PATH need. Cached: a batch starts many programs with one PATH."""
    folders = (Path(folder) for folder in path.split(":") if folder.startswith("/"))
    return _follow_links(folders, _resolve_folders(closed))


def _follow_links(paths: Iterable[Path], closed: _Folders) -> frozenset[Path]:
    """Returns folders and files, the code that belongs to them, and the targets of their symlinks, by the same rule."""
    found: set[Path] = set()
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path in found or not path_exists(path) or _would_expose(path, closed):
            continue
        if _is_system(path) and not _is_below(path, closed):
            continue
        found.add(path)
        if path.name == ".bin" and path.parent.name == _PACKAGES:
            found.add(path.parent)
        elif path.name in _BIN and not _would_expose(path.parent, closed):
            found.update(path.parent / name for name in _CODE if path_exists(path.parent / name))
        links = _links_in(path) if path.is_dir() else [path]
        waiting += (_tool_folder(hop) for link in links for hop in _link_targets(link))
    return frozenset(found)


def _tool_folder(file: Path) -> Path:
    """Returns the folder of packages that a program is in, else its folder if that is one of programs, else the file."""
    packages = [folder for folder in file.parents if folder.name == _PACKAGES]
    if packages:
        return packages[-1]
    return file.parent if file.parent.name in _BIN else file


def real_path(path: Path) -> Path:
    """Returns a path with its symlinks resolved; `Path.resolve` raises an error for a loop."""
    return Path(_ask_kernel(path) or os.path.realpath(path))


def _ask_kernel(path: Path) -> str | None:
    """Returns where the kernel finds a path: `realpath` asks it for each folder on the way, which takes four times as long.

    None if nothing is there, if what is there has no name, or if the kernel does not tell.
    """
    if sys.platform != "linux":
        return None
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - a Path takes longer
    except OSError:  # no /proc
        return None
    finally:
        os.close(descriptor)
    return found if found.startswith("/") and not found.endswith(_DELETED) else None


def path_exists(path: Path) -> bool:
    """Returns whether a path exists and is accessible; `Path.exists` raises an error if it is not accessible."""
    return os.path.exists(path)  # noqa: PTH110


def _is_system(path: Path) -> bool:
    """Whether a path is in a system folder, which every program sees, or in a virtual file system."""
    forms = (_with_slash(path), _with_slash(real_path(path)))
    return any(form.startswith(_SYSTEM) for form in forms)


def _resolve_folders(folders: Iterable[Path]) -> _Folders:
    """Returns folders by their names and by where they are, once for all paths that are compared with them."""
    return tuple((_with_slash(folder), _with_slash(real_path(folder))) for folder in folders)


def _would_expose(path: Path, closed: _Folders) -> bool:
    """Returns whether a folder contains one of the closed folders ($HOME, the checkouts) as a whole."""
    given, real = _with_slash(path), _with_slash(real_path(path))
    return any(name.startswith(given) or place.startswith(real) for name, place in closed)


def _is_below(path: Path, closed: _Folders) -> bool:
    """Whether a path is inside a closed folder, and so is not visible even in a system folder."""
    return _with_slash(real_path(path)).startswith(tuple(place for _, place in closed))


def is_within(path: Path, folders: Iterable[Path]) -> bool:
    """Whether a path is one of the folders or below one, as `Path.is_relative_to` says of each, in a fraction of its time."""
    return _with_slash(path).startswith(tuple(map(_with_slash, folders)))


def _with_slash(path: Path) -> str:
    """Returns a path with a slash at its end: what is in a folder begins with it."""
    return f"{path}/" if path.name else str(path)


_SYSTEM = tuple(map(_with_slash, (*SYSTEM_FOLDERS, *_VIRTUAL)))


def _links_in(folder: Path) -> list[Path]:
    """Returns the symlinks to programs in a folder."""
    with os.scandir(folder) as entries:
        links = [entry.path for entry in entries if entry.is_symlink()]
    return [Path(link) for link in links if _is_program(link)]


def _is_program(file: str | Path) -> bool:
    """Whether a file exists and is executable; a loop of symlinks is not a file."""
    return os.path.isfile(file) and os.access(file, os.X_OK)  # noqa: PTH113 - Path.is_file raises for a loop


def _link_targets(link: Path) -> Iterator[Path]:
    """Yields the target of a symlink, the target of that, and so on to the end."""
    for _ in range(_MOST_LINKS):
        if not link.is_symlink():
            return
        link = Path(os.path.normpath(link.parent / link.readlink()))
        yield link
