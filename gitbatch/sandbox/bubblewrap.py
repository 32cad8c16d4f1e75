"""The sandbox of choice: bubblewrap gives a program namespaces of its own.

It holds: only the rules of its view exist, none but its own are writable (its `.git` pointer is not), no other
process is to be seen, no capability is left, without `network` there is no network but an empty loopback of its
own, and all its processes end with it. $HOME and /tmp are empty folders of its own, on disk in its scratch folder.

It does not hold: with `network`, what listens on this machine is in reach, abstract Unix sockets only where the
kernel has no Landlock ABI 6. The memory and the number of root's processes are not limited.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gitbatch.sandbox.command_line import launcher_command
from gitbatch.sandbox.filesystem_view import Access, FilesystemView, access_at, build_view, strict_output
from gitbatch.sandbox.model import Confinement, SandboxKind, Unavailable
from gitbatch.sandbox.tools import real_path

SEARCH_PATH = "/usr/bin:/bin:/usr/local/bin:/run/wrappers/bin:/run/current-system/sw/bin"
"""Not the user's PATH: a wall that comes out of a project's `node_modules/.bin` would be none."""

_NAMESPACES = ("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
_TMP = Path("/tmp")  # noqa: S108 - the program's own folder is mounted there
_SHARED_MEMORY = str(256 * 1024 * 1024)
_EMPTY = ("--tmpfs",)
_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """Bubblewrap, installed and at work here."""

    program: str
    sized: bool
    """It can limit the size of a file system in memory (version 0.7 on)."""
    kind: SandboxKind = SandboxKind.BUBBLEWRAP

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        """What to start instead of `argv`; see `Sandbox.wrap_command`."""
        mounts = (*_fresh_mounts(sized=self.sized), *_view_mounts(build_view(argv, confinement), confinement))
        network = ("--share-net",) if confinement.network else ()
        place = ("--chdir", str(real_path(confinement.worktree)))
        whole = [self.program, *_NAMESPACES, *network, *mounts, *place, "--", *argv]
        return launcher_command(whole, confinement, "bubblewrap", "--status", "yes")


@cache
def find_bubblewrap(path: str = SEARCH_PATH) -> Bubblewrap | Unavailable:
    """Bubblewrap, if it is in one of the folders and can make a sandbox. Asked once for each process."""
    program = shutil.which("bwrap", path=path)
    if program is None:
        return Unavailable("it is not installed")
    problem = _find_problem(program, sized=True)
    sized = "--size" not in problem
    if not sized:
        problem = _find_problem(program, sized=False)
    return Unavailable(problem) if problem else Bubblewrap(program, sized)


def _find_problem(program: str, *, sized: bool) -> str:
    """Make a sandbox; returns what is wrong, if anything is."""
    trial = [
        program,
        *_NAMESPACES,
        "--ro-bind",
        "/",
        "/",
        *_fresh_mounts(sized=sized),
        "--",
        program,
        "--version",
    ]
    try:
        done = subprocess.run(
            trial, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program} can't be started ({error})"
    said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return f"{program} does not work here ({said[0]})" if done.returncode else ""


def _fresh_mounts(*, sized: bool) -> Iterator[str]:
    """What every program gets anew."""
    yield from ("--proc", "/proc", "--dev", "/dev")
    if os.geteuid() == 0:
        # Root needs no capability to write /proc/sys/kernel/core_pattern, and what is in there runs outside.
        yield from ("--remount-ro", "/proc")
    yield from ("--size", _SHARED_MEMORY) if sized else ()
    yield from ("--tmpfs", "/dev/shm", "--remount-ro", "/dev")  # noqa: S108 - its own


def _view_mounts(seen: FilesystemView, confinement: Confinement) -> Iterator[str]:
    """The mounts, in their order: of two, the later is on top, so a folder comes before what is below it."""
    scratch = real_path(confinement.scratch)
    own = {_TMP: scratch / "tmp", real_path(confinement.home): scratch / "home"}
    rules = {_TMP: Access.HIDDEN, **dict(seen.rules)}
    output = strict_output(confinement)
    if output:
        rules[output] = Access.WRITE
    for socket in _listening_sockets():
        if socket not in rules and access_at(socket, rules) is Access.READ:
            rules[socket] = Access.HIDDEN
    steps: dict[Path, tuple[str, ...]] = {link: ("--symlink", str(target)) for link, target in seen.links}
    for path, access in rules.items():
        around = next((rules[folder] for folder in path.parents if folder in rules), Access.HIDDEN)
        if path in own or access is not around:  # else the mount of the folder shows it, or nothing does
            steps[path] = _mount_options(path, access, own.get(path))
    masks = [path for path in steps if rules.get(path) is Access.HIDDEN]
    for path in sorted(steps):
        yield from (*steps[path], str(path))
    for path in (Path("/"), *(mask for mask in masks if steps.get(mask) == _EMPTY)):
        yield from ("--remount-ro", str(path))


def _listening_sockets() -> Iterator[Path]:
    """The Unix sockets that somebody listens on: that a mount is read-only keeps nobody from connecting to one."""
    with suppress(OSError):
        table = Path("/proc/net/unix").read_text(encoding="utf-8", errors="surrogateescape")
        for row in table.splitlines()[1:]:
            _, _, name = row.partition(" /")
            path = Path(f"/{name}")
            if name and path.is_socket():
                yield real_path(path)


def _mount_options(path: Path, access: Access, own: Path | None) -> tuple[str, ...]:
    """The mount for a place, without the path where it goes; `own` is the program's own folder for it."""
    match access:
        case Access.READ:
            return ("--ro-bind", str(path))
        case Access.WRITE:
            return ("--bind", str(path))
        case Access.HIDDEN:
            if own:
                return ("--bind", str(own))
            return _EMPTY if path.is_dir() else ("--ro-bind", os.devnull)
