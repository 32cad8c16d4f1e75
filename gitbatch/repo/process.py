"""Starting git: the one place that does.

Every git runs with a scrubbed environment and a fixed configuration, so that nothing which a repository, a
parent process or an agent has set can redirect it or make it run a program: no hooks, no fsmonitor, no
replace objects, no network, no user or system configuration. Arguments are lists, output is bytes.
"""

import os
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.errors import GitbatchError, GitError
from gitbatch.repo.childless import start_childless
from gitbatch.repo.limits import Watch, limited
from gitbatch.repo.patience import Patience, UnansweredError, end_session, wait_for

ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
CONFIGURATION = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=committed",
    "core.quotePath=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "advice.detachedHead=false",
    "advice.graftFileDeprecated=false",  # GIT_GRAFT_FILE is set above, not by the user
)
NO_GIT = ("git was not found", "install git 2.38 or newer and put it on PATH")
"""What is wrong and what to do, where there is no git."""
_NO_PROGRAM = (FileNotFoundError, NotADirectoryError, PermissionError)
"""What it means that there is no git, or no directory for it."""
_OPTIONS = tuple(part for setting in CONFIGURATION for part in ("-c", setting))


class Finished(Struct, frozen=True):
    """What a git process left: its exit status, its output, its complaint."""

    status: int
    stdout: bytes
    stderr: str


class Peeked(Struct, frozen=True):
    """What a git process said within its limits."""

    status: int | None
    """None: it was ended by us."""
    stdout: bytes
    complete: bool
    """It came to its end within the limits."""


def scrub_environment() -> dict[str, str]:
    """Take every GIT_* variable out of this process's environment; returns what was there.

    A hook or an alias that starts us sets GIT_DIR, GIT_INDEX_FILE and more, which redirect even `git -C`.
    Children inherit the environment, so it is cleaned once, for all of them.
    """
    found = {name: value for name, value in os.environ.items() if name.startswith("GIT_")}
    for name in found:
        del os.environ[name]
    return found


class Git(Struct, frozen=True):
    """Starts git in one directory.

    `variables`: what is set beside the usual, for a git with another index. `held`: descriptors that every git
    started by it inherits; the lock behind them is held until the last of those gits has ended. `umask`: of the
    processes; -1: ours. `memory`: the bytes that a process may allocate; 0: as many as it likes. `childless`: its
    processes cannot start others (`childless.py`).
    """

    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    held: tuple[int, ...] = ()
    umask: int = -1
    memory: int = 0
    childless: bool = False

    def at(self, directory: Path, **variables: str) -> "Git":
        """The same git in another directory, with further variables."""
        return replace(self, directory=directory, variables={**self.variables, **variables})

    def told(self, settings: Mapping[str, str]) -> "Git":
        """The same git with further settings; not as arguments, where a name with "=" in it can't be told."""
        variables = dict(self.variables)
        count = int(variables.get("GIT_CONFIG_COUNT", "0"))
        for number, (name, value) in enumerate(settings.items(), count):
            variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        return replace(self, variables={**variables, "GIT_CONFIG_COUNT": str(count + len(settings))})

    def holding(self, descriptor: int) -> "Git":
        """The same git, which holds the lock behind a descriptor as long as one of its processes runs."""
        return replace(self, held=(descriptor,))

    def masked(self, umask: int) -> "Git":
        """The same git with another umask."""
        return replace(self, umask=umask)

    def with_memory_limit(self, memory: int) -> "Git":
        """Returns the same git, with processes that may allocate at most `memory` bytes."""
        return replace(self, memory=memory)

    def without_children(self) -> "Git":
        """Returns the same git, whose processes cannot start a program, whatever they read; but for `show`."""
        return replace(self, childless=True)

    def run(self, *arguments: str, check: bool = True) -> Finished:
        """Run a command without input to its end.

        Raises:
            GitError: it was killed, or it failed, unless `check` is false.
        """
        process = self._open(arguments, subprocess.DEVNULL, subprocess.PIPE)
        return _ended(process, arguments, check=check)

    def run_all(self, *commands: tuple[str, ...], check: bool = True) -> list[Finished]:
        """Run commands without input side by side, each to its end.

        Raises:
            GitError: one was killed, or failed, unless `check` is false.
        """
        with ExitStack() as ended:
            processes = [
                ended.enter_context(self._open(command, subprocess.DEVNULL, subprocess.PIPE))
                for command in commands
            ]
            said = [process.communicate() for process in processes]
        together = zip(processes, commands, said, strict=True)
        return [_judged(process, command, *output, check=check) for process, command, output in together]

    def feed(self, stdin: bytes | int, *arguments: str, check: bool = True) -> Finished:
        """Run a command with input: bytes, or a file descriptor that git reads itself.

        Raises:
            GitError: it was killed, or it failed, unless `check` is false.
        """
        if isinstance(stdin, int):
            return _ended(self._open(arguments, stdin, subprocess.PIPE), arguments, check=check)
        process = self._open(arguments, subprocess.PIPE, subprocess.PIPE)
        return _ended(process, arguments, stdin, check=check)

    def feed_alone(self, stdin: bytes, *arguments: str, patience: Patience) -> Finished:
        """As `feed`, in a session of its own: what git starts has no terminal to ask on, and can't stop for one.

        Raises:
            UnansweredError: it took too long, and was ended.
            GitError: it failed.
        """
        process = self._open(arguments, subprocess.PIPE, subprocess.PIPE, alone=True)
        try:
            return _judged(process, arguments, *wait_for(process, stdin, patience), check=True)
        except subprocess.TimeoutExpired as error:
            raise UnansweredError(arguments, patience.limit) from error
        finally:
            if process.returncode is None:
                end_session(process)

    def pour(self, descriptor: int, *arguments: str) -> None:
        """Run a command whose output git writes to a file descriptor itself: the bytes never come through us.

        Raises:
            GitError: it failed.
        """
        _ended(self._open(arguments, subprocess.DEVNULL, subprocess.PIPE, stdout=descriptor), arguments)

    def peek(self, *arguments: str, seconds: float, most: int) -> Peeked:
        """Run a command that may take too long or say too much: at most `seconds`, at most `most` bytes."""
        process = self._open(arguments, subprocess.DEVNULL, subprocess.DEVNULL)
        try:
            with Watch(process, seconds, self.memory) as watch:
                stdout = process.stdout.read(most + 1) if process.stdout else b""
                cut = len(stdout) > most
                if cut:
                    process.kill()
                status = process.wait()
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        complete = not cut and not watch.has_killed
        return Peeked(status if complete else None, stdout[:most], complete)

    def start(self, *arguments: str, buffered: bool = True) -> "subprocess.Popen[bytes]":
        """Start a process that goes on, talked to by pipes; see `pipe.Pipe`."""
        return self._open(arguments, subprocess.PIPE, subprocess.DEVNULL, buffer=-1 if buffered else 0)

    def text(self, *arguments: str) -> str:
        """The output of a command that must succeed, without its last newline.

        Raises:
            GitError: it failed.
        """
        return os.fsdecode(self.run(*arguments).stdout).removesuffix("\n")

    def show(self, *arguments: str) -> None:
        """Run a command that writes to the user's terminal itself, through their pager."""
        subprocess.run(
            ["git", *_OPTIONS, "--paginate", *arguments],  # noqa: S607
            cwd=self.directory,
            env={**os.environ, **ENVIRONMENT, **self.variables, "LC_ALL": os.environ.get("LC_ALL", "")},
            check=False,
        )

    def as_user(self, *arguments: str, extra: Mapping[str, str]) -> str:
        """The output of a command that reads the user's own configuration: for who they are, nothing else.

        Raises:
            GitError: it failed.
        """
        process = self._open_as_user(arguments, extra)
        return os.fsdecode(_ended(process, arguments).stdout)

    def fetch_as_user(self, stdin: bytes, *arguments: str, extra: Mapping[str, str]) -> None:
        """Run a command as the user would run it, without a terminal to ask on; it does not outlive its caller.

        Raises:
            GitError: it failed.
        """
        process = self._open_as_user(arguments, {**extra, "GIT_TERMINAL_PROMPT": "0"}, alone=True)
        try:
            _ended(process, arguments, stdin)
        except BaseException:
            end_session(process)
            raise

    def _open_as_user(
        self, arguments: tuple[str, ...], extra: Mapping[str, str], *, alone: bool = False
    ) -> "subprocess.Popen[bytes]":
        try:
            return subprocess.Popen(
                ["git", *arguments],  # noqa: S607
                cwd=self.directory,
                env={**os.environ, **extra, "LC_ALL": "C"},
                stdin=subprocess.PIPE if alone else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=alone,
                process_group=None if alone else 0,
            )
        except _NO_PROGRAM as error:
            raise self._not_started(error) from error

    def _open(
        self,
        arguments: tuple[str, ...],
        stdin: int,
        stderr: int,
        stdout: int = subprocess.PIPE,
        buffer: int = -1,
        *,
        alone: bool = False,
    ) -> "subprocess.Popen[bytes]":
        argv = ("git", *_OPTIONS, *arguments)  # git is found on PATH, as everywhere

        def popen() -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                limited(self.memory, argv) if self.memory else argv,
                cwd=self.directory,
                env={**os.environ, **ENVIRONMENT, **self.variables},
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                bufsize=buffer,
                start_new_session=alone,
                # A terminal's Ctrl-C must not cut git.
                process_group=None if alone else 0,
                pass_fds=() if alone else self.held,  # what a program that signs leaves behind holds no lock
                umask=self.umask,
            )

        try:
            return start_childless(popen) if self.childless else popen()
        except _NO_PROGRAM as error:
            raise self._not_started(error) from error

    def _not_started(self, error: OSError) -> GitbatchError:
        """Why git could not be started: the directory is not there, or git is not, or it is no program."""
        if not self.directory.is_dir():
            advice = "was it renamed? Every finished item is in git: gitbatch run goes on, where it is now"
            return GitbatchError(f"{self.directory} is gone", advice)
        if isinstance(error, FileNotFoundError):
            return GitbatchError(*NO_GIT)
        return GitbatchError(f"git can't be started: {error.strerror}", NO_GIT[1])


def _ended(
    process: "subprocess.Popen[bytes]",
    arguments: tuple[str, ...],
    stdin: bytes | None = None,
    *,
    check: bool = True,
) -> Finished:
    """Wait for a git."""
    return _judged(process, arguments, *process.communicate(stdin), check=check)


def _judged(
    process: "subprocess.Popen[bytes]",
    arguments: tuple[str, ...],
    stdout: bytes,
    stderr: bytes,
    *,
    check: bool,
) -> Finished:
    """What a git has left; one that was killed has given no answer, and least of all "no"."""
    finished = Finished(process.returncode, stdout or b"", stderr.decode(errors="replace"))
    if finished.status < 0 or (check and finished.status != 0):
        raise GitError(arguments, finished.status, finished.stderr)
    return finished
