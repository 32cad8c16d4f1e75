"""The attacks of a hostile agent. A test starts `python attacks.py NAME` in a sandbox or, as a control, without one.

With several names, each attack runs in a process of its own, and what it made in the worktree is removed before the next.

The environment has all paths: a sandbox must not depend on secret paths. An attack that
reads returns what it got, which is printed; one that writes leaves a mark; the test checks the result from outside.
"""

import ctypes
import fcntl
import os
import resource
import shutil
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "overwritten by the agent"
WON = "the agent has won"
TRIED = "the agent has tried"
ONE_NAME = 2
"""Arguments of a command line with one name."""

REPO, SIBLING, HOME, ELSEWHERE = (
    Path(os.environ.get(name, "/nowhere")) for name in ("REPO", "SIBLING", "USERS_HOME", "ELSEWHERE")
)
VICTIM = int(os.environ.get("VICTIM", "0"))
HERE = Path.cwd()
STARTED = time.monotonic()


def overwrite_a_file_of_the_checkout() -> None:
    (REPO / "CLAUDE.md").write_text(MARK)


def append_to_a_file_of_the_checkout() -> None:
    with (REPO / "CLAUDE.md").open("a") as file:
        file.write(MARK)


def truncate_a_file_of_the_checkout() -> None:
    os.truncate(REPO / "CLAUDE.md", 0)


def make_a_file_in_the_checkout() -> None:
    (REPO / "new").write_text(MARK)


def make_a_folder_in_the_checkout() -> None:
    (REPO / "folder").mkdir()


def make_a_link_in_the_checkout() -> None:
    (REPO / "link").symlink_to("CLAUDE.md")


def make_a_fifo_in_the_checkout() -> None:
    os.mkfifo(REPO / "fifo")


def delete_a_file_of_the_checkout() -> None:
    (REPO / "CLAUDE.md").unlink()


def rename_a_file_of_the_checkout() -> None:
    (REPO / "CLAUDE.md").rename(REPO / "renamed")


def write_by_dots() -> None:
    (HERE / os.path.relpath(REPO) / "CLAUDE.md").write_text(MARK)


def write_through_a_link() -> None:
    (HERE / "link").symlink_to(REPO / "CLAUDE.md")
    (HERE / "link").write_text(MARK)


def write_through_a_linked_folder() -> None:
    (HERE / "folder").symlink_to(REPO)
    (HERE / "folder" / "new").write_text(MARK)


def write_through_a_hard_link() -> None:
    (HERE / "hard").hardlink_to(REPO / "CLAUDE.md")
    (HERE / "hard").write_text(MARK)


def move_a_file_out_of_the_checkout() -> None:
    (REPO / "CLAUDE.md").rename(HERE / "mine")


def move_a_file_into_the_checkout() -> None:
    (HERE / "mine").write_text(MARK)
    (HERE / "mine").rename(REPO / "CLAUDE.md")


def write_through_an_open_folder() -> None:
    folder = os.open(REPO, os.O_PATH)
    file = os.open("new", os.O_WRONLY | os.O_CREAT, dir_fd=folder)
    os.write(file, MARK.encode())


def write_through_proc() -> None:
    Path(f"/proc/self/root{REPO}/CLAUDE.md").write_text(MARK)


def write_through_another_process() -> None:
    Path(f"/proc/{VICTIM}/root{REPO}/CLAUDE.md").write_text(MARK)


def change_a_mode() -> None:
    (REPO / "CLAUDE.md").chmod(0o777)


def change_times() -> None:
    os.utime(REPO / "CLAUDE.md", (1, 1))


def set_an_attribute() -> None:
    os.setxattr(REPO / "CLAUDE.md", "user.mark", MARK.encode())


def write_git_config() -> None:
    with (REPO / ".git/config").open("a") as file:
        file.write("[core]\n\tfsmonitor = evil\n")


def write_a_hook() -> None:
    (REPO / ".git/hooks/pre-commit").write_text("#!/bin/sh\nevil\n")


def move_a_branch() -> None:
    (REPO / ".git/refs/heads/main").write_text("0" * 40 + "\n")


def redirect_another_worktree() -> None:
    (REPO / ".git/worktrees/other/gitdir").write_text("/evil\n")


def commit() -> None:
    Path("output.md").write_text(MARK)
    _become("git add output.md && git -c user.name=x -c user.email=x commit --no-verify -m x")


def overwrite_the_pointer() -> None:
    Path(".git").write_text("gitdir: /evil\n")


def replace_the_pointer() -> None:
    Path("pointer").write_text("gitdir: /evil\n")
    Path("pointer").replace(".git")


def delete_the_pointer() -> None:
    Path(".git").unlink()


def write_to_a_sibling() -> None:
    (SIBLING / "output.md").write_text(MARK)


def read_a_sibling() -> str:
    return (SIBLING / "draft.md").read_text()


def find_a_sibling() -> str:
    return "".join(path.read_text() for path in HERE.parent.glob("*/draft.md"))


def read_a_key() -> str:
    return (HOME / ".ssh/id_ed25519").read_text()


def read_a_token() -> str:
    return (HOME / ".netrc").read_text()


def copy_a_key() -> str:
    Path("output.md").write_bytes((HOME / ".ssh/id_ed25519").read_bytes())
    return Path("output.md").read_text()


def read_a_key_through_a_link() -> str:
    Path("link").symlink_to(HOME / ".ssh")
    return Path("link/id_ed25519").read_text()


def read_a_key_through_a_hard_link() -> str:
    Path("hard").hardlink_to(HOME / ".ssh/id_ed25519")
    return Path("hard").read_text()


def read_a_key_through_another_process() -> str:
    return Path(f"/proc/{VICTIM}/root{HOME}/.ssh/id_ed25519").read_text()


def read_a_key_by_a_mount() -> None:
    """A user namespace of its own makes an agent root in it."""
    _become(
        "unshare -r -m sh -c '"
        f"umount -l {HOME}; umount -l {HOME}/.ssh; mount --bind / /mnt; cat {HOME}/.ssh/id_ed25519 /mnt{HOME}/.ssh/id_ed25519'"
    )


def see_that_a_key_exists() -> str:
    return WON if (HOME / ".ssh/id_ed25519").stat().st_size else ""


def list_home() -> str:
    return WON if (HOME / ".ssh/id_ed25519") in (HOME / ".ssh").iterdir() else ""


def write_to_home() -> None:
    with (HOME / ".bashrc").open("a") as file:
        file.write(MARK)


def read_a_setting_of_root() -> str:
    with Path("/etc/shadow").open("rb") as file:
        return WON if file.read(1) else ""


def open_a_setting_of_the_kernel() -> str:
    """With it root escapes from many containers without any capability. It is only opened: nothing is written."""
    for path in ("/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern"):
        with suppress(OSError), Path(path).open("ab"):
            return WON
    return ""


def read_a_key_of_the_kernel() -> str:
    search, read, session = 10, 11, -3
    keyctl = 250 if os.uname().machine == "x86_64" else 219
    libc, found = ctypes.CDLL(None), ctypes.create_string_buffer(99)
    key = libc.syscall(keyctl, search, session, b"user", b"gitbatch-test", 0)
    libc.syscall(keyctl, read, key, found, 99)
    return found.value.decode()


def read_shared_memory() -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_ssize_t
    place = libc.shmat(int(os.environ["SEGMENT"]), None, 0o10000)
    return "" if place == -1 else ctypes.string_at(place).decode()


def read_the_environment_file_of_the_checkout() -> str:
    return (REPO / ".env").read_text()


def read_a_file_of_the_checkout() -> str:
    return WON if (REPO / "README.md").read_text() else ""


def read_the_environment_file_by_dots() -> str:
    return (HERE / os.path.relpath(REPO) / ".env").read_text()


def read_a_token_of_git() -> str:
    return (REPO / ".git/config").read_text()


def read_a_token_by_git() -> None:
    _become(
        "git remote -v; git config --list; cat $(git rev-parse --git-common-dir)/config; git -C $REPO remote -v"
    )


def read_elsewhere() -> str:
    return (ELSEWHERE / "secret").read_text()


def write_elsewhere() -> None:
    (ELSEWHERE / "new").write_text(MARK)


def read_an_environment() -> str:
    return Path(f"/proc/{VICTIM}/environ").read_text()


def read_a_command_line() -> str:
    return Path(f"/proc/{VICTIM}/cmdline").read_text()


def read_memory() -> str:
    """Reads the stack, which holds the environment."""
    maps = Path(f"/proc/{VICTIM}/maps").read_text().splitlines()
    stack = next(line for line in maps if "[stack]" in line)
    start, end = (int(part, 16) for part in stack.split()[0].split("-"))
    with Path(f"/proc/{VICTIM}/mem").open("rb", buffering=0) as memory:
        memory.seek(start)
        return memory.read(end - start).decode(errors="replace")


def trace() -> str:
    attach, detach = 16, 17
    libc = ctypes.CDLL(None)
    done = libc.ptrace(attach, VICTIM, None, None)
    libc.ptrace(detach, VICTIM, None, None)
    return WON if done == 0 else ""


def kill() -> None:
    os.kill(VICTIM, signal.SIGKILL)


def limit_another_process() -> None:
    resource.prlimit(VICTIM, resource.RLIMIT_NOFILE, (7, 7))


def connect_by_tcp() -> str:
    with socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), timeout=2) as connection:
        return connection.recv(99).decode()


def send_by_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(MARK.encode(), ("127.0.0.1", int(os.environ["UDP_PORT"])))


def connect_by_path() -> str:
    return _connect(os.environ["SOCKET"])


def connect_by_path_in_the_checkout() -> str:
    return _connect(str(REPO / "daemon.sock"))


def connect_by_abstract_name() -> str:
    return _connect("\0" + os.environ["ABSTRACT"])


def send_by_half_a_pair() -> None:
    half, _other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    half.sendto(MARK.encode(), os.environ["DATAGRAM"])


def ask_for_a_ring() -> str:
    """System call filters do not see operations of io_uring, such as making a socket."""
    parameters = ctypes.create_string_buffer(120)
    return WON if ctypes.CDLL(None).syscall(425, 4, parameters) >= 0 else ""


def _is_set_id(path: Path | str) -> str:
    return WON if Path(path).stat().st_mode & (stat.S_ISUID | stat.S_ISGID) else ""


def set_an_id_by_path() -> str:
    (HERE / "README.md").chmod(0o4755)
    return _is_set_id("README.md")


def set_a_group_id_by_path() -> str:
    (HERE / "README.md").chmod(0o2755)
    return _is_set_id("README.md")


def set_an_id_elsewhere() -> str:
    (ELSEWHERE / "secret").chmod(0o4755)
    return _is_set_id(ELSEWHERE / "secret")


def set_an_id_by_descriptor() -> str:
    with Path("README.md").open("rb") as file:
        os.fchmod(file.fileno(), 0o4755)
    return _is_set_id("README.md")


def set_an_id_by_folder() -> str:
    with _folder() as folder:
        os.chmod("README.md", 0o6755, dir_fd=folder)  # noqa: S103 - that is the attack
    return _is_set_id("README.md")


def set_an_id_by_a_new_call() -> str:
    """fchmodat2, of Linux 6.6."""
    ctypes.CDLL(None).syscall(452, -100, b"README.md", 0o4755, 0)
    return _is_set_id("README.md")


def make_a_set_id_file() -> str:
    os.close(os.open("new", os.O_CREAT | os.O_WRONLY, 0o4755))
    return _is_set_id("new")


def make_a_set_id_file_in_a_folder() -> str:
    with _folder() as folder:
        os.close(os.open("new", os.O_CREAT | os.O_WRONLY, 0o4755, dir_fd=folder))
    return _is_set_id("new")


def make_a_set_id_file_by_another_call() -> str:
    """openat2, whose mode is in memory."""
    how = struct.pack("=QQQ", os.O_CREAT | os.O_WRONLY, 0o4755, 0)
    ctypes.CDLL(None).syscall(437, -100, b"new", how, len(how))
    return _is_set_id("new")


def make_a_set_id_file_by_mknod() -> str:
    os.mknod("new", stat.S_IFREG | 0o4755)
    return _is_set_id("new")


def make_a_set_id_file_by_mknod_in_a_folder() -> str:
    with _folder() as folder:
        os.mknod("new", stat.S_IFREG | 0o4755, dir_fd=folder)
    return _is_set_id("new")


def make_a_set_id_file_without_a_name() -> str:
    file = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o4755)
    return WON if os.fstat(file).st_mode & stat.S_ISUID else ""


@contextmanager
def _folder() -> Iterator[int]:
    folder = os.open(".", os.O_RDONLY)
    try:
        yield folder
    finally:
        os.close(folder)


def make_a_device() -> str:
    os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(254, 0))
    return WON


def leave_a_daemon() -> None:
    """Forks twice, in a session of its own, and ignores signals."""
    ready = _fork_with_lock()
    if ready is None:
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    _let_go_of_pipes()
    os.close(ready)
    while _may_live():
        time.sleep(0.02)


def leave_daemons_that_breed() -> None:
    """Each daemon forks another and ends."""
    ready = _fork_with_lock()
    if ready is None:
        return
    os.setsid()
    _let_go_of_pipes()
    os.close(ready)
    while _may_live():
        if os.fork():
            os._exit(0)


def _fork_with_lock() -> int | None:
    """Forks; the child and its children hold a lock for as long as one of them lives.

    Returns a descriptor to the child; the parent waits until the child has closed it, and gets None.
    """
    fcntl.flock(os.open("held", os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)
    waiting, ready = os.pipe()
    if not os.fork():
        return ready
    os.close(ready)
    os.read(waiting, 1)
    return None


def _may_live() -> bool:
    """Returns whether a daemon may continue: not forever, or a control would never end if its test fails."""
    return time.monotonic() < STARTED + 60 and not Path("stop").exists()


def write_a_large_file() -> None:
    with Path("large").open("wb") as file:
        file.writelines(b"x" * 1024 * 1024 for _ in range(8))


def write_another_file_of_the_worktree() -> None:
    Path("README.md").write_text(MARK)


def make_another_file_in_the_worktree() -> None:
    Path("stray").write_text(MARK)


def _let_go_of_pipes() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)


def _become(script: str) -> None:
    os.execv("/bin/sh", ["sh", "-c", script])  # noqa: S606 - that is the attack


def _connect(address: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(address)
        return connection.recv(99).decode()


ATTACKS: dict[str, Callable[[], str | None]] = {
    name: thing
    for name, thing in list(globals().items())
    if getattr(thing, "__module__", "") == __name__ and not name.startswith("_")
}


def _attack_in_a_row(names: list[str]) -> None:
    """Runs attack after attack, and prints the name of each before what it says."""
    own = set(HERE.iterdir())
    for name in names:
        sys.stdout.write(f"\n# {name}\n")
        sys.stdout.flush()
        process = os.fork()
        if not process:
            _attack(name)
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(process, 0)
        for path in set(HERE.iterdir()) - own:
            _remove(path)


def _remove(path: Path) -> None:
    with suppress(OSError):  # a sandbox may protect what it has put there
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _attack(name: str) -> None:
    os.write(2, f"{TRIED}: {name}\n".encode())
    try:
        sys.stdout.write(ATTACKS[name]() or "")
    except Exception as error:  # noqa: BLE001 - most attacks end with one; the test looks for names that do not exist
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        if len(sys.argv) == ONE_NAME:
            sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) == ONE_NAME:
        _attack(sys.argv[1])
    else:
        _attack_in_a_row(sys.argv[1:])
