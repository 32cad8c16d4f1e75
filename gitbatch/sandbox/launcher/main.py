"""The launcher: sets limits, then runs one of the modes. Only `sandbox/command_line.py` makes its command line."""

# ruff: noqa: PTH102, PTH103, PTH110, PTH115, PTH120, PTH123, PTH211 - pathlib takes longer to import than the launcher to do its work

import errno
import os
import signal
import sys
from contextlib import suppress
from functools import partial

from gitbatch.sandbox.launcher import CANNOT_RUN, CHANNEL, process
from gitbatch.sandbox.launcher.confine import confine_process
from gitbatch.sandbox.launcher.keeper import await_program, keep_namespace, run_contained
from gitbatch.sandbox.launcher.kernel import CLONE_NEWPID, join_empty_keyring
from gitbatch.sandbox.launcher.landlock import DEVICE, READ, WRITE, deny_abstract_sockets
from gitbatch.sandbox.launcher.limits import WrittenBytes, set_limits
from gitbatch.sandbox.launcher.namespaces import (
    enter_namespace,
    is_proc_mountable,
    mount_own_proc,
    scatter_process_ids,
)
from gitbatch.sandbox.launcher.overlay import OVERLAY_NAME, OverlayMount, mount_worktree
from gitbatch.sandbox.launcher.probe import probe_landlock
from gitbatch.sandbox.launcher.view import mount_view
from gitbatch.sandbox.launcher.watch import WriteLimit, watch_wrapper

_NOT_SET_UP = 1
"""The exit code of bubblewrap if it fails itself; programs use it too."""
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_KERNEL = tuple(
    f"/proc/{name}"
    for name in ("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "sys", "uptime", "version")
)
"""The files of /proc about the machine, without those about other processes."""


class LauncherOptions:
    """The command line: `--name value …`, then `--` and the program."""

    def __init__(self, arguments: list[str], environment: dict[str, str], *, is_served: bool = False) -> None:
        self.environment = environment
        """The variables of the program. Its own process takes no notice of them."""
        self.is_served = is_served
        """Whether the server has forked this process: it kills what this process leaves behind."""
        end = arguments.index("--")
        self.argv = arguments[end + 1 :]
        self._values: dict[str, list[str]] = {}
        for name, value in zip(arguments[0:end:2], arguments[1:end:2], strict=True):
            self._values.setdefault(name, []).append(value)

    @property
    def network(self) -> str:
        """The network of the program: the value of one of `sandbox.model.Network`."""
        return self.get_one("--network")

    def get_all(self, name: str) -> list[str]:
        """Returns the values of an option that may be repeated."""
        return self._values.get(name, [])

    def get_one(self, name: str) -> str:
        """Returns the value of a required option."""
        return self._values[name][0]

    def get_number(self, name: str) -> int | None:
        """Returns the value of a numeric option, None if it is absent."""
        return next((int(value) for value in self.get_all(name)), None)


def main(arguments: list[str]) -> None:
    """Runs the command line's mode, and exits with the program's exit code."""
    _undo_locale_coercion()
    options = LauncherOptions(arguments, dict(os.environ))
    sys.exit(
        probe_landlock(_landlock_rules(options))
        if options.get_one("--mode") == "probe"
        else run_launcher(arguments, options.environment)
    )


def run_launcher(arguments: list[str], environment: dict[str, str], *, is_served: bool = False) -> int:
    """Runs the command line's mode; returns the exit code. The others: see `LauncherOptions`."""
    options = LauncherOptions(arguments, environment, is_served=is_served)
    first = CHANNEL + 1 if options.network == "api" else CHANNEL
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))  # the program inherits none of gitbatch's descriptors
    try:
        _prepare_folders(options)
        return _run_mode(options)
    except OSError as error:
        process.print_error(process.describe_error(error))
        return CANNOT_RUN


def _prepare_folders(options: LauncherOptions) -> None:
    """Makes the folders and the output file that the program expects, and sets the limits."""
    scratch = options.get_one("--scratch")
    for name in ("tmp", "home"):
        try:
            os.mkdir(f"{scratch}/{name}")  # `os.makedirs` looks for its parents first
        except OSError:  # of an earlier attempt
            os.makedirs(f"{scratch}/{name}", exist_ok=True)
    options.environment["TMPDIR"] = f"{scratch}/tmp"  # noqa: S108 - its own
    for home in options.get_all("--home"):
        _make_home(home, f"{scratch}/home", options.get_all("--home-link"))
        options.environment["HOME"] = f"{scratch}/home"
    if not options.get_all("--upper"):
        _enter_worktree(options)
    set_limits(
        file_bytes=int(options.get_one("--file-bytes")),
        processes=options.get_number("--processes"),
        cpu_seconds=options.get_number("--cpu-seconds"),
    )


def _enter_worktree(options: LauncherOptions) -> None:
    """Makes the output file, if the program may write nothing else in its worktree, which becomes the current folder."""
    worktree = options.get_one("--worktree")
    for output in options.get_all("--output"):
        folder = os.path.dirname(output)
        if not f"{os.path.realpath(folder)}/".startswith(f"{os.path.realpath(worktree)}/"):
            raise OSError(errno.ELOOP, "the output is outside the worktree", output)
        os.makedirs(folder, exist_ok=True)
        os.close(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644))
    os.chdir(worktree)


def _mount_layers(options: LauncherOptions, on_parent_death: signal.Signals) -> None:
    """Mounts the worktree, if it is made of layers, for this process and its children."""
    uppers, works = options.get_all("--upper"), options.get_all("--work")
    if not uppers:
        return
    lower = options.get_all("--git-lower")
    git = zip(uppers[1:], works[1:], strict=True)
    overlays = [OverlayMount(lower, upper, work, upper, index=False) for upper, work in git]
    overlays.append(
        OverlayMount(options.get_all("--lower"), uppers[0], works[0], options.get_one("--worktree"))
    )
    binds = zip(options.get_all("--bind-source"), options.get_all("--bind-target"), strict=True)
    mount_worktree(overlays, binds, on_parent_death)
    _enter_worktree(options)
    for root in options.get_all("--view"):
        mount_view(root, zip(*map(options.get_all, ("--make", "--source", "--at")), strict=True))


def _make_home(home: str, own: str, shown: list[str]) -> None:
    """Makes the program's own $HOME, with symlinks to the visible parts of the user's."""
    for name in shown:
        os.makedirs(os.path.dirname(f"{own}/{name}"), exist_ok=True)
        with suppress(FileExistsError):  # of an earlier attempt
            os.symlink(f"{home}/{name}", f"{own}/{name}")


def _undo_locale_coercion() -> None:
    """Removes the LC_CTYPE that Python sets for itself in the C locale (PEP 538); `-I` does not prevent that."""
    with suppress(FileNotFoundError), open("/proc/self/environ", "rb") as given:  # only Linux has it
        if b"\0LC_CTYPE=" not in b"\0" + given.read():
            os.environ.pop("LC_CTYPE", None)


def _run_mode(options: LauncherOptions) -> int:
    mode = options.get_one("--mode")
    folders = [*(options.get_all("--upper") or options.get_all("--worktree")), options.get_one("--scratch")]
    written = WrittenBytes(folders, int(options.get_one("--scratch-bytes")))
    if mode != "bubblewrap":
        if options.is_served and os.getpid() == 1:
            return keep_namespace(
                _start_in_namespace(options, has_own_proc=_mount_all(options)),
                WriteLimit(written),
                is_confined=mode == "landlock",
            )
        if options.network == "api":
            _enter_network_with_listener()
        if options.get_all("--upper") and is_proc_mountable():
            return _run_in_namespace(options, written)
        start = partial(process.fork_process, partial(_keep_program, options), on_our_death=signal.SIGTERM)
        return watch_wrapper(start, written, on_parent_death=signal.SIGKILL)
    join_empty_keyring()
    if options.network == "all":
        deny_abstract_sockets()
    return _run_bubblewrap(options, written)


def _keep_program(options: LauncherOptions) -> None:
    """Runs the program until it ends, as the wrapper of it, and ends this process.

    A namespace of processes whose /proc is that of another is of no use: `ps` and others look for themselves there.
    """
    _mount_layers(options, signal.SIGTERM)
    is_confined = options.get_one("--mode") == "landlock"
    execute = (
        partial(_execute_confined, options)
        if is_confined
        else partial(process.execute_program, options.argv, options.environment)
    )
    os._exit(run_contained(execute))


def _run_in_namespace(options: LauncherOptions, written: WrittenBytes) -> int:
    """Runs the program in namespaces of mounts and of processes until it ends; bubblewrap makes the latter itself."""
    try:
        enter_namespace(CLONE_NEWPID, signal.SIGKILL)
    except OSError as error:
        raise OSError(error.errno, error.strerror, OVERLAY_NAME) from error
    ours = os.pipe()  # the writing end is open as long as this process lives
    keep = partial(_keep_namespace, options, *ours)
    start = partial(process.fork_process, keep, on_our_death=signal.SIGKILL)
    return watch_wrapper(start, written, on_parent_death=signal.SIGKILL)


def _keep_namespace(options: LauncherOptions, reading: int, writing: int) -> None:
    """Runs the program until it ends, as the first process of its namespace, and ends this process."""
    os.close(writing)
    has_own_proc = _mount_all(options)
    os.set_blocking(reading, False)
    with suppress(BlockingIOError):
        os.read(reading, 1)
        return  # our parent died before we asked for a signal at its death
    os.close(reading)
    os._exit(await_program(_start_in_namespace(options, has_own_proc=has_own_proc)))


def _mount_all(options: LauncherOptions) -> bool:
    """Mounts the worktree and, if that is allowed, a /proc for the namespace of processes that this process is in; see `mount_own_proc`."""
    _mount_layers(options, signal.SIGKILL)
    return mount_own_proc()


def _start_in_namespace(options: LauncherOptions, *, has_own_proc: bool) -> int:
    """Starts the program, as the first process of its namespace; returns its process id."""
    scatter_process_ids()
    if options.get_one("--mode") == "landlock":
        execute = partial(_execute_confined, options, has_own_proc=has_own_proc)
        return process.fork_process(execute, on_our_death=signal.SIGKILL)
    return process.spawn_program(options.argv, options.environment)


def _run_bubblewrap(options: LauncherOptions, written: WrittenBytes) -> int:
    """Runs bubblewrap until it ends. If it reports no exit code of the program, it did not start it: that is an error."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_inheritable(writing, True)  # bubblewrap has it closed before the program starts
    more = _wait_for_listener() if options.network == "api" else ()
    command = [options.argv[0], "--json-status-fd", str(writing), *more, *options.argv[1:]]
    code = _watch_bubblewrap(options, command, written)
    if code == _NOT_SET_UP and b'"exit-code"' not in _read_available(reading):
        process.print_error("the sandbox: bubblewrap cannot set it up")
        return CANNOT_RUN
    return code


def _watch_bubblewrap(options: LauncherOptions, argv: list[str], written: WrittenBytes) -> int:
    """Runs bubblewrap, which sees the worktree that is mounted for it; returns its exit code.

    Only a fork of this process can ask for a death signal for itself. It copies the page tables of a Python, and then many
    of its pages; so where the server kills what is left behind, bubblewrap is spawned.
    """
    if options.is_served:
        spawn = partial(_spawn_in_layers, options, argv)
        return watch_wrapper(spawn, written, on_parent_death=signal.SIGTERM)
    execute = partial(_execute_in_layers, options, argv)
    start = partial(process.fork_process, execute, on_our_death=signal.SIGKILL)
    return watch_wrapper(start, written, on_parent_death=signal.SIGKILL)


def _spawn_in_layers(options: LauncherOptions, argv: list[str]) -> int:
    _mount_layers(options, signal.SIGTERM)
    return process.spawn_program(argv, options.environment)


def _execute_in_layers(options: LauncherOptions, argv: list[str]) -> None:
    _mount_layers(options, signal.SIGKILL)
    process.execute_program(argv, options.environment)


def _enter_network_with_listener() -> None:
    """Moves this process to a network of its own, of which gitbatch gets the listener."""
    from gitbatch.sandbox.launcher.network import enter_new_network, lend_listener  # noqa: PLC0415 - takes long

    enter_new_network()
    lend_listener()


def _wait_for_listener() -> tuple[str, ...]:
    """Starts a process that makes the listener of the program; returns the options by which bubblewrap waits for it.

    If that process fails, bubblewrap waits until it is ended: its program must not run without the listener.
    """
    from gitbatch.sandbox.launcher.network import lend_listener_of_bubblewrap as lend  # noqa: PLC0415 - takes long

    reading, info = os.pipe()
    waiting, block = os.pipe()
    for descriptor in (info, waiting):
        os.set_inheritable(descriptor, True)
    process.fork_process(partial(lend, reading, block), on_our_death=signal.SIGKILL)
    os.close(CHANNEL)
    return ("--info-fd", str(info), "--block-fd", str(waiting))


def _read_available(reading: int) -> bytes:
    """Reads what a pipe holds, without waiting."""
    try:
        return os.read(reading, 4096)
    except BlockingIOError:
        return b""


def _execute_confined(options: LauncherOptions, *, has_own_proc: bool = False) -> None:
    """Confines this process with Landlock, and replaces it by the program."""
    rules = _landlock_rules(options)
    if has_own_proc:  # it shows the program's processes, and our keeper
        rules["/proc"] = READ
    confine_process(rules, network=options.network != "none")
    process.execute_program(options.argv, options.environment)


def _landlock_rules(options: LauncherOptions) -> dict[str, int]:
    """Returns the program's rights by path."""
    rules = dict.fromkeys((*options.get_all("--read"), *_KERNEL, f"/proc/{os.readlink('/proc/self')}"), READ)
    rules |= dict.fromkeys(_DEVICES, DEVICE)
    rules |= dict.fromkeys(options.get_all("--write"), WRITE)
    return {path: rights for path, rights in rules.items() if os.path.exists(path)}
