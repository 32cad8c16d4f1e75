"""The launcher: limits, then one of the modes. Its command line is made by `sandbox/launch.py`, and by nothing else."""

# ruff: noqa: PTH103, PTH110, PTH120, PTH123, PTH211 - pathlib takes longer to import than the launcher to do its work

import os
import signal
import sys
from contextlib import suppress
from functools import partial

from gitbatch.sandbox.launcher import CANNOT_RUN, process
from gitbatch.sandbox.launcher.confine import confine
from gitbatch.sandbox.launcher.keeper import keep
from gitbatch.sandbox.launcher.kernel import leave_keyring
from gitbatch.sandbox.launcher.landlock import DEVICE, READ, WRITE, leave_abstract_sockets
from gitbatch.sandbox.launcher.limits import Written, set_limits
from gitbatch.sandbox.launcher.probe import probe
from gitbatch.sandbox.launcher.watch import watch

_NOT_SET_UP = 1
"""How bubblewrap ends where it fails itself; and how many programs do."""
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_KERNEL = tuple(
    f"/proc/{name}"
    for name in ("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "sys", "uptime", "version")
)
"""What /proc says of the machine; what it says of other processes is not among it."""


class LauncherOptions:
    """The command line: `--name value …`, then `--` and the program."""

    def __init__(self, arguments: list[str]) -> None:
        end = arguments.index("--")
        self.argv = arguments[end + 1 :]
        self._pairs = list(zip(arguments[0:end:2], arguments[1:end:2], strict=True))

    @property
    def network(self) -> bool:
        """Whether the program may use the network."""
        return self.one("--network") == "yes"

    def every(self, name: str) -> list[str]:
        """The values of an option that may come often."""
        return [value for key, value in self._pairs if key == name]

    def one(self, name: str) -> str:
        """The value of an option that is always there."""
        return self.every(name)[0]

    def number(self, name: str) -> int | None:
        """The value of an option that is a number, if it is there."""
        return next((int(value) for value in self.every(name)), None)


def main(arguments: list[str]) -> None:
    """Do what the command line says, and exit as the program does."""
    _undo_coercion()
    options = LauncherOptions(arguments)
    sys.exit(probe(_rules(options)) if options.one("--mode") == "probe" else launch(arguments))


def launch(arguments: list[str]) -> int:
    """Do what the command line says; returns how the program ended."""
    options = LauncherOptions(arguments)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # nothing that gitbatch has open is for the program
    try:
        _prepare(options)
        return _run(options)
    except OSError as error:
        process.complain(process.explain(error))
        return CANNOT_RUN


def _prepare(options: LauncherOptions) -> None:
    """Make the folders and the file that the program is to find, and set the limits."""
    scratch = options.one("--scratch")
    for name in ("tmp", "home"):
        os.makedirs(f"{scratch}/{name}", exist_ok=True)
    os.environ["TMPDIR"] = f"{scratch}/tmp"  # noqa: S108 - its own
    for home in options.every("--home"):
        _make_home(home, f"{scratch}/home", options.every("--home-link"))
    for output in options.every("--output"):
        os.makedirs(os.path.dirname(output), exist_ok=True)
        os.close(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644))
    os.chdir(options.one("--worktree"))
    set_limits(
        file_bytes=int(options.one("--file-bytes")),
        processes=options.number("--processes"),
        cpu_seconds=options.number("--cpu-seconds"),
    )


def _make_home(home: str, own: str, shown: list[str]) -> None:
    """Let the program find its own folder as $HOME, with links to what it may see of the user's."""
    for name in shown:
        os.makedirs(os.path.dirname(f"{own}/{name}"), exist_ok=True)
        with suppress(FileExistsError):  # of an attempt before
            os.symlink(f"{home}/{name}", f"{own}/{name}")
    os.environ["HOME"] = own


def _undo_coercion() -> None:
    """Take back the LC_CTYPE that Python sets for itself in the C locale (PEP 538), which `-I` does not prevent."""
    with suppress(FileNotFoundError), open("/proc/self/environ", "rb") as given:  # only Linux has it
        if b"\0LC_CTYPE=" not in b"\0" + given.read():
            os.environ.pop("LC_CTYPE", None)


def _run(options: LauncherOptions) -> int:
    mode = options.one("--mode")
    folders = [options.one("--worktree"), options.one("--scratch")]
    written = Written(folders, int(options.one("--scratch-bytes")))
    if mode == "landlock":
        program = partial(_confined, options)
        return watch(lambda: os._exit(keep(program)), written, on_our_death=signal.SIGTERM)
    leave_keyring()
    if options.network:
        leave_abstract_sockets()
    if options.every("--status"):
        return _bubblewrap(options.argv, written)
    return watch(lambda: process.execute(options.argv), written, on_our_death=signal.SIGKILL)


def _bubblewrap(argv: list[str], written: Written) -> int:
    """Run bubblewrap to its end. Where it could not start the program, it does not say how that ended; we say so then."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_inheritable(writing, True)  # bubblewrap has it closed before the program starts
    told = [argv[0], "--json-status-fd", str(writing), *argv[1:]]
    code = watch(lambda: process.execute(told), written, on_our_death=signal.SIGKILL)
    if code == _NOT_SET_UP and b'"exit-code"' not in _rest(reading):
        process.complain("the sandbox: bubblewrap cannot set it up")
        return CANNOT_RUN
    return code


def _rest(reading: int) -> bytes:
    """What is left in a pipe."""
    try:
        return os.read(reading, 4096)
    except BlockingIOError:
        return b""


def _confined(options: LauncherOptions) -> None:
    """Become the program, under Landlock."""
    confine(_rules(options), network=options.network)
    process.execute(options.argv)


def _rules(options: LauncherOptions) -> dict[str, int]:
    """What the program may do with which files."""
    rules = dict.fromkeys((*options.every("--read"), *_KERNEL, f"/proc/{os.getpid()}"), READ)
    rules |= dict.fromkeys(_DEVICES, DEVICE)
    rules |= dict.fromkeys(options.every("--write"), WRITE)
    return {path: rights for path, rights in rules.items() if os.path.exists(path)}
