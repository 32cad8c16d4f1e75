"""The preferred sandbox: bubblewrap runs a program in namespaces of its own.

Enforced: only the paths of its view exist, and only its own are writable (its `.git` pointer is not); no other
process is visible; no capability is left; without `network` there is only an empty loopback interface; all its
processes end with it. $HOME and /tmp are empty folders of its own, on disk in its scratch folder.

Not enforced: with `network`, servers that listen on this machine can be reached, abstract Unix sockets only if the
kernel lacks Landlock ABI 6. Memory is not limited, nor is the number of root's processes.
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from gitbatch.sandbox.command_line import launcher_command
from gitbatch.sandbox.filesystem_view import (
    Access,
    FilesystemView,
    access_at,
    build_view,
    parents_of,
    sort_paths,
    strict_output,
)
from gitbatch.sandbox.launcher import view
from gitbatch.sandbox.model import Confinement, Network, SandboxKind, Unavailable
from gitbatch.sandbox.tools import is_within, real_path

SEARCH_PATH = "/usr/bin:/bin:/usr/local/bin:/run/wrappers/bin:/run/current-system/sw/bin"
"""The folders that are searched for bwrap. Not the user's PATH: a project could put its own bwrap in `node_modules/.bin`."""

_NAMESPACES = ("--unshare-all", "--new-session", "--cap-drop", "ALL")
_TMP = Path("/tmp")  # noqa: S108 - the program's own folder is mounted there
_OPTIONS = {view.READ: "--ro-bind", view.WRITE: "--bind", view.EMPTY: "--tmpfs", view.LINK: "--symlink"}
_TIMEOUT = 20.0


class _ViewStep(NamedTuple):
    """One step of making the view of a program; see `launcher.view`."""

    kind: str
    source: str
    path: str


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """Bubblewrap, installed and able to make a sandbox on this machine."""

    program: str
    sized: bool
    """Whether it can limit the size of a file system in memory (since version 0.7)."""
    kind: SandboxKind = SandboxKind.BUBBLEWRAP

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        """Returns the command to start instead of `argv`; see `Sandbox.wrap_command`."""
        steps = list(_list_steps(build_view(argv, confinement), confinement))
        options: tuple[str, ...] = ()
        if confinement.overlay:  # then the launcher has mounts of its own anyway
            root = confinement.overlay.work  # it is free: only the kernel works there
            options = tuple(_launcher_options(root, steps))
            mounts = ("--dev-bind", str(root), "/", *_fresh_processes())
        else:
            mounts = (*_fresh_mounts(sized=self.sized), *_own_options(steps))
        network = ("--share-net",) if confinement.network is Network.ALL else ()
        folder = ("--chdir", str(real_path(confinement.worktree)))
        whole = [self.program, "--die-with-parent", *_NAMESPACES, *network, *mounts, *folder, "--", *argv]
        return launcher_command(whole, confinement, "bubblewrap", *options)


@cache
def find_bubblewrap(path: str = SEARCH_PATH) -> Bubblewrap | Unavailable:
    """Finds bubblewrap in some folders and tries it. The answer is cached for the process."""
    program = shutil.which("bwrap", path=path)
    if program is None:
        return Unavailable("it is not installed")
    problem = _find_problem(program, sized=True)
    sized = "--size" not in problem
    if not sized:
        problem = _find_problem(program, sized=False)
    return Unavailable(problem) if problem else Bubblewrap(program, sized)


def _find_problem(program: str, *, sized: bool) -> str:
    """Tries to make a sandbox; returns why that failed, or an empty text.

    Neither our end nor Ctrl-C ends the trial: bubblewrap's child waits forever for a bubblewrap that was killed too early.
    """
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
            trial,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return f"{program} took longer than {_TIMEOUT:g} seconds"
    except OSError as error:
        return f"{program} cannot be started ({error})"
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return f"{program} does not work here ({lines[0]})" if done.returncode else ""


def _fresh_mounts(*, sized: bool) -> Iterator[str]:
    """Yields the options for the file systems that each program gets new: /proc, /dev and shared memory."""
    yield from (*_fresh_processes(), "--dev", "/dev")
    yield from ("--size", str(view.SHARED_MEMORY)) if sized else ()
    yield from ("--tmpfs", "/dev/shm", "--remount-ro", "/dev")  # noqa: S108 - its own


def _fresh_processes() -> Iterator[str]:
    yield from ("--proc", "/proc")
    if os.geteuid() == 0:
        # Root needs no capability to write /proc/sys/kernel/core_pattern, and the kernel runs that outside the sandbox.
        yield from ("--remount-ro", "/proc")


def _list_steps(seen: FilesystemView, confinement: Confinement) -> Iterator[_ViewStep]:
    """Yields the steps in order: a later mount is on top of an earlier one, so a folder precedes its contents."""
    scratch = real_path(confinement.scratch)
    own = {_TMP: scratch / "tmp", real_path(confinement.home): scratch / "home"}
    rules = {_TMP: Access.HIDDEN, **dict(seen.rules)}
    output = strict_output(confinement)
    if output:
        rules[output] = Access.WRITE
    rules |= dict.fromkeys(_readable_sockets(rules, confinement), Access.HIDDEN)
    steps = {link: _ViewStep(view.LINK, str(target), str(link)) for link, target in seen.links}
    for path, access in rules.items():
        around = next((rules[folder] for folder in parents_of(path) if folder in rules), Access.HIDDEN)
        if path in own or access is not around:  # else the mount of the folder shows it, or hides it
            steps[path] = _make_step(path, access, own.get(path))
    yield from (steps[path] for path in sort_paths(steps))


def _make_step(path: Path, access: Access, own: Path | None) -> _ViewStep:
    """Returns the step for a path; `own` is the program's own folder for it."""
    if access is Access.HIDDEN and not own:
        return (
            _ViewStep(view.EMPTY, "", str(path))
            if path.is_dir()
            else _ViewStep(view.READ, os.devnull, str(path))
        )
    kind = view.READ if access is Access.READ else view.WRITE
    return _ViewStep(kind, str(own if own and access is Access.HIDDEN else path), str(path))


def _own_options(steps: Sequence[_ViewStep]) -> Iterator[str]:
    """Yields the options by which bubblewrap makes a view."""
    for kind, source, path in steps:
        yield from (_OPTIONS[kind], *((source,) if source else ()), path)
    for path in ("/", *(step.path for step in steps if step.kind == view.EMPTY)):
        yield from ("--remount-ro", path)


def _launcher_options(root: Path, steps: Sequence[_ViewStep]) -> Iterator[str]:
    """Yields the options by which the launcher mounts a view at a folder."""
    yield from ("--view", str(root))
    for kind, source, path in steps:
        yield from ("--make", kind, "--source", source, "--at", path)


def _readable_sockets(rules: Mapping[Path, Access], confinement: Confinement) -> list[Path]:
    """Returns the sockets with a listener that a program sees and may not write; a mounted worktree hides those below it."""
    mounted = (real_path(confinement.worktree),) if confinement.overlay else ()
    return [
        socket
        for socket in _listening_sockets()
        if socket not in rules and access_at(socket, rules) is Access.READ and not is_within(socket, mounted)
    ]


def _listening_sockets() -> Iterator[Path]:
    """Yields the Unix sockets that have a listener. They are masked: a read-only mount does not prevent `connect`."""
    with suppress(OSError):
        table = Path("/proc/net/unix").read_text(encoding="utf-8", errors="surrogateescape")
        names = {row.partition(" /")[2] for row in table.splitlines()[1:]} - {""}
        yield from (real_path(Path(f"/{name}")) for name in sorted(names) if _is_socket(f"/{name}"))


def _is_socket(path: str) -> bool:
    with suppress(OSError, ValueError):
        return stat.S_ISSOCK(os.stat(path).st_mode)  # noqa: PTH116 - many, for each program
    return False
