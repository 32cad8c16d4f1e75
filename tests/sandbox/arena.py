"""The attacked environment: a repository with two worktrees, a home with keys, another process; and how programs run in it."""

import ctypes
import enum
import fcntl
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypedDict

import pytest
from sandbox.attacks import TRIED
from sandbox.programs import Programs

from gitbatch.repo.opening import open_repository
from gitbatch.repo.worktrees.agent_git import read_agent_git
from gitbatch.repo.worktrees.worktree import NewWorktree, add_worktree
from gitbatch.sandbox.command_line import launcher_arguments
from gitbatch.sandbox.model import Confinement, Network, SandboxKind
from gitbatch.sandbox.selection import select_sandbox

ATTACKS = Path(__file__).parent / "attacks.py"
SERVED = Path(__file__).parent / "served.py"
SECRET = f"secret-{secrets.token_hex(8)}"
"""The content of every file that an agent may not read."""
NOBODY = 65534
_USERS_PYTHON = "/usr/bin/python3"
"""An interpreter that an unprivileged user can run; the tests' own may be in root's home."""
_PATIENCE = 30
_SHOP = ("other", "other.git", "item", "item.git", "item.io")


class Wall(enum.Enum):
    """The sandbox of an agent, and its user: ours, or an unprivileged one that root switches to."""

    CONTROL = enum.auto()
    BUBBLEWRAP = enum.auto()
    LANDLOCK = enum.auto()
    NONE = enum.auto()
    USERS_CONTROL = enum.auto()
    USERS_BUBBLEWRAP = enum.auto()
    USERS_LANDLOCK = enum.auto()
    USERS_NONE = enum.auto()

    @property
    def kind(self) -> SandboxKind | None:
        """The kind of sandbox; None for the control, which starts the program directly."""
        name = self.name.removeprefix("USERS_").lower()
        return None if name == "control" else SandboxKind(name)

    @property
    def user(self) -> int | None:
        """The user id that root switches to; None to stay."""
        return NOBODY if self.name.startswith("USERS_") else None

    @property
    def python(self) -> tuple[str, ...]:
        """An interpreter that starts fast."""
        return (_USERS_PYTHON if self.user else sys.executable, "-I", "-S")

    def require(self) -> None:
        """Skips the test if this is not possible here; a sandbox that does not work is an error."""
        if self.user:
            if os.getuid() != 0:
                pytest.skip("the tests run as a user already")
            problem = _no_python_for_users() or (
                _no_namespaces_for_users() if self.kind is SandboxKind.BUBBLEWRAP else ""
            )
            if problem:
                pytest.skip(problem)
        if self.kind:
            select_sandbox(self.kind)


def behind(*walls: Wall) -> pytest.MarkDecorator:
    """Runs a test once for each sandbox."""
    return pytest.mark.parametrize("arena", walls, indirect=True, ids=lambda wall: wall.name)


@cache
def _no_python_for_users() -> str:
    code = "import sys; sys.path.append(sys.argv[1]); assert sys.version_info >= (3, 11); import gitbatch.sandbox.selection"
    return _problem_of_users(_USERS_PYTHON, "-c", code, str(ATTACKS.parents[2]))


@cache
def _no_namespaces_for_users() -> str:
    return _problem_of_users("bwrap", "--ro-bind", "/", "/", "--unshare-all", "true")


def _problem_of_users(*argv: str) -> str:
    done = subprocess.run(argv, **_as_user(NOBODY), cwd="/", capture_output=True, check=False)
    return f"a user can't run {argv[0]}: {done.stderr.decode()[-200:]}" if done.returncode else ""


class _Credentials(TypedDict):
    user: int | None
    group: int | None
    extra_groups: list[int] | None


def _as_user(user: int | None) -> _Credentials:
    return {"user": user, "group": user, "extra_groups": None if user is None else []}


@dataclass
class Arena:
    """The attacked environment. `base` and the folders above it are readable for every user."""

    base: Path
    wall: Wall
    programs: Programs
    environment: dict[str, str] = field(default_factory=dict)
    victim: "subprocess.Popen[bytes] | None" = None

    @property
    def repo(self) -> Path:
        return self.base / "repo"

    @property
    def home(self) -> Path:
        return self.base / "home"

    @property
    def worktree(self) -> Path:
        return self.base / "shop" / "item"

    @property
    def sibling(self) -> Path:
        return self.base / "shop" / "other"

    @property
    def scratch(self) -> Path:
        return self.base / "shop" / "item.io"

    @property
    def elsewhere(self) -> Path:
        return self.base / "elsewhere"

    @property
    def git(self) -> tuple[Path, ...]:
        """The folders that git reads in the worktree."""
        shared = (self.base / "shop").glob("*.common")
        return (self.base / "shop/item.git", *shared, self.repo / ".git/objects")

    @property
    def usual(self) -> Confinement:
        """The default confinement of these tests."""
        return Confinement(
            worktree=self.worktree,
            scratch=self.scratch,
            git=self.git,
            checkouts=(self.repo, self.repo / ".git"),
            hidden=(self.base / "shop",),
            home=self.home,
            path=self.environment["PATH"],
        )

    def command(self, *argv: str, confinement: Confinement | None = None) -> list[str]:
        """Returns the command that starts a program in the sandbox."""
        if not self.wall.kind:
            return list(argv)
        made = select_sandbox(self.wall.kind).wrap_command(argv, confinement or self.usual)
        return [self.wall.python[0] if made[0] == sys.executable else made[0], *made[1:]]

    def start(
        self, *argv: str, stdin: int = subprocess.DEVNULL, confinement: Confinement | None = None
    ) -> "subprocess.Popen[str]":
        """Starts a program in the sandbox."""
        return self._start(self.command(*argv, confinement=confinement), stdin)

    def _start(self, command: list[str], stdin: int) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command,
            **_as_user(self.wall.user),
            cwd=self.worktree,
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def run(
        self, *argv: str, stdin: str | None = None, confinement: Confinement | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a program in the sandbox until it ends, started like the orchestrator does."""
        command = self.command(*argv, confinement=confinement)
        if self.wall.kind in {SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK}:
            network = (confinement or self.usual).network
            if not self.wall.user and network is not Network.API:
                asked = launcher_arguments(command) or ()
                return self.programs.run(asked, self.worktree, self.environment, stdin)
            command = [*self.wall.python, str(SERVED), str(SERVED.parents[2]), *command]
        source = subprocess.DEVNULL if stdin is None else subprocess.PIPE
        with self._start(command, source) as process:
            output, errors = process.communicate(stdin, timeout=_PATIENCE)
        return subprocess.CompletedProcess(argv, process.returncode, output, errors)

    def attack(
        self, *names: str, confinement: Confinement | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Runs attacks in a row; each must have begun."""
        done = self.run(*self.wall.python, str(ATTACKS), *names, confinement=confinement)
        for name in names:
            assert f"{TRIED}: {name}\n" in done.stderr, done
        return done

    def python(self, code: str, confinement: Confinement | None = None) -> "subprocess.CompletedProcess[str]":
        """Runs a few lines of Python."""
        return self.run(*self.wall.python, "-c", code, confinement=confinement)

    def state(self) -> dict[str, object]:
        """Returns the present state of everything that an agent may not change."""
        places = (self.repo, self.home, self.sibling, self.elsewhere, *self.git[:-1])
        return {
            f"{place.name}/{path}": seen for place in places for path, seen in _contents(place).items()
        } | {".git": _seen(self.worktree / ".git")}


def _contents(folder: Path) -> dict[str, object]:
    return {str(file.relative_to(folder)): _seen(file) for file in (folder, *folder.rglob("*"))}


_kept = cache(_contents)


def _seen(file: Path) -> object:
    try:
        status = file.lstat()
        if stat.S_ISLNK(status.st_mode):
            return file.readlink()
        if stat.S_ISREG(status.st_mode):
            return (status.st_mode, status.st_mtime, file.read_bytes(), os.listxattr(file))
    except FileNotFoundError:
        return None
    return status.st_mode


def build(base: Path) -> None:
    """Builds the environment with real git."""

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=base / "repo", check=True, capture_output=True)

    for file, text in {
        "home/.ssh/id_ed25519": SECRET,
        "home/.netrc": f"password {SECRET}",
        "home/.bashrc": "",
        "elsewhere/secret": SECRET,
        "repo/CLAUDE.md": "# Rules\n",
        "repo/README.md": "# Project\n",
        "repo/.gitignore": ".env\n",
        "repo/.env": f"KEY={SECRET}\n",
        "shop/item.io/prompt.md": "Do it.\n",
    }.items():
        (base / file).parent.mkdir(parents=True, exist_ok=True)
        (base / file).write_text(text)
    for folder in ("tmp", "home"):  # as the launcher makes them
        (base / "shop/item.io" / folder).mkdir()
    git("init", "--quiet", "--template=", "--initial-branch=main")
    (base / "repo/.git/hooks").mkdir()
    for key, value in {
        "user.name": "Test",
        "user.email": "test@example.org",
        "remote.origin.url": f"https://me:{SECRET}@example.org/x.git",
        "http.https://example.org/.extraHeader": f"Authorization: {SECRET}",
    }.items():
        git("config", key, value)
    git("add", ".")
    git("commit", "--quiet", "--message", "The plan")
    with closing(open_repository(base / "repo")) as repo:
        agents = read_agent_git(repo, base / "shop", "refs/heads/main")
        commit = repo.refs.commit("HEAD") or ""
        for name in ("item", "other"):
            branch = f"refs/heads/gitbatch/b/{name}"
            add_worktree(repo, agents, NewWorktree(base / "shop" / name, branch, commit, "output.md", None))
    (base / "shop/other/draft.md").write_text(SECRET)


@contextmanager
def victim(arena: Arena) -> Iterator[None]:
    """Another process of the same user, with a key in its environment, its command line, in shared memory, and in the kernel."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", "while read line; do echo $line; done", SECRET],
        **_as_user(arena.wall.user),
        env={"KEY": SECRET},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    arena.victim = process
    arena.environment["VICTIM"] = str(process.pid)
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    segment = libc.shmget(0, 4096, 0o1666)
    ctypes.memmove(libc.shmat(segment, None, 0), SECRET.encode(), len(SECRET))
    arena.environment["SEGMENT"] = str(segment)
    add_key = 248 if os.uname().machine == "x86_64" else 217
    libc.syscall(add_key, b"user", b"gitbatch-test", SECRET.encode(), len(SECRET), -3)
    try:
        yield
    finally:
        libc.shmctl(segment, 0, None)
        process.kill()
        process.communicate()


def answers(process: "subprocess.Popen[bytes]") -> bool:
    """Returns whether the victim answers; one that was just killed may still look alive in /proc."""
    assert process.stdin
    assert process.stdout
    process.send_signal(signal.SIGCONT)  # who traces it may have left it stopped
    with suppress(BrokenPipeError):
        process.stdin.write(b"still there\n")
        process.stdin.flush()
    return bool(process.stdout.readline())


class Listeners:
    """Servers on this machine that send a secret to each client."""

    def __init__(self, arena: Arena, stack: ExitStack) -> None:
        run = arena.base / "run"
        run.mkdir()
        abstract = f"gitbatch-{secrets.token_hex(8)}"
        tcp = socket.create_server(("127.0.0.1", 0))
        servers = [tcp, *(socket.socket(socket.AF_UNIX) for _ in range(3))]
        for server, name in zip(
            servers[1:], (f"{run}/s", f"{arena.repo}/daemon.sock", f"\0{abstract}"), strict=True
        ):
            server.bind(name)
            server.listen()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.datagrams.bind(f"{run}/d")
        for path in (run / "s", run / "d", arena.repo / "daemon.sock"):
            path.chmod(0o777)
        for server in servers:
            stack.enter_context(server)
            threading.Thread(target=_tell, args=(server,), daemon=True).start()
        for receiver in (self.udp, self.datagrams):
            stack.enter_context(receiver)
            receiver.setblocking(False)
        arena.environment |= {
            "PORT": str(tcp.getsockname()[1]),
            "UDP_PORT": str(self.udp.getsockname()[1]),
            "SOCKET": f"{run}/s",
            "DATAGRAM": f"{run}/d",
            "ABSTRACT": abstract,
        }

    def reached(self) -> bool:
        """Returns whether a datagram was received."""
        for receiver in (self.udp, self.datagrams):
            with suppress(BlockingIOError):
                return bool(receiver.recv(999))
        return False


def _tell(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            with server.accept()[0] as connection:
                connection.sendall(SECRET.encode())


def has_daemons(arena: Arena) -> bool:
    """Whether a process of an ended attack is alive: it holds a lock, which the kernel releases when it ends."""
    with (arena.worktree / "held").open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def prepare(base: Path, template: Path, wall: Wall, programs: Programs) -> Arena:
    """Returns a restored arena. Unchanged folders are kept: removing folders takes most of the time."""
    wall.require()
    shutil.rmtree(base / "run", ignore_errors=True)
    shared = (str(path.relative_to(template)) for path in template.glob("shop/*.common"))
    for part in ("repo", "home", "elsewhere", *("shop/" + name for name in _SHOP), *shared):
        if not (base / part).exists() or _contents(base / part) != _kept(template / part):
            shutil.rmtree(base / part, ignore_errors=True)
            shutil.copytree(template / part, base / part, symlinks=True)
    owner = os.getuid() if wall.user is None else wall.user
    if wall.user or base.stat().st_uid != owner:
        for file in (base, *base.rglob("*")):
            os.chown(file, owner, owner, follow_symlinks=False)
    arena = Arena(base, wall, programs)
    places = {"REPO": arena.repo, "SIBLING": arena.sibling, "HOME": arena.home, "ELSEWHERE": arena.elsewhere}
    path = "/usr/bin:/bin" if wall.user else os.environ["PATH"]
    places["USERS_HOME"] = arena.home  # the wall may show another as $HOME
    arena.environment = {"PATH": path, **{name: str(place) for name, place in places.items()}}
    return arena
