"""Starts git; no other module does.

Every git process runs with a scrubbed environment and a fixed configuration, so that nothing that a repository, a
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
from gitbatch.fs.room import probe_file
from gitbatch.repo.childless import start_childless
from gitbatch.repo.environment import CONFIGURATION, ENVIRONMENT
from gitbatch.repo.limits import ProcessWatch, limit_memory
from gitbatch.repo.patience import Patience, UnansweredError, end_session, wait_for

NO_GIT = ("git was not found", "install git 2.38 or newer and put it on PATH")
"""The message and the hint when git is not installed."""
_NO_PROGRAM = (FileNotFoundError, NotADirectoryError, PermissionError)
"""The errors of `Popen` when git or its directory is missing, or git cannot be executed."""
_OPTIONS = tuple(part for setting in CONFIGURATION for part in ("-c", setting))


class GitResult(Struct, frozen=True):
    """The exit status and the output of a git process that has ended."""

    status: int
    stdout: bytes
    stderr: str


class LimitedResult(Struct, frozen=True):
    """The output of a git process within its limits."""

    status: int | None
    """The exit status; None: the process was killed because it reached a limit."""
    stdout: bytes
    complete: bool
    """Whether the process ended within the limits."""


class Git(Struct, frozen=True):
    """Starts git in one directory.

    Attributes:
        directory: the working directory of the processes.
        variables: set in addition to the usual ones, for example for another index.
        inherited_fds: descriptors that every process inherits; the lock behind them is held until the last of
            these processes has ended.
        umask: of the processes; -1: this process's own.
        memory: the bytes that a process may allocate; 0: no limit.
        childless: the processes cannot start others (`childless.py`).
    """

    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    inherited_fds: tuple[int, ...] = ()
    umask: int = -1
    memory: int = 0
    childless: bool = False

    def in_directory(self, directory: Path, **variables: str) -> "Git":
        """Returns the same git in another directory, with additional variables."""
        return replace(self, directory=directory, variables={**self.variables, **variables})

    def with_config(self, settings: Mapping[str, str]) -> "Git":
        """Returns the same git with additional settings.

        They are passed in variables: as an argument (`-c`), a name with "=" in it cannot be expressed.
        """
        variables = dict(self.variables)
        count = int(variables.get("GIT_CONFIG_COUNT", "0"))
        for number, (name, value) in enumerate(settings.items(), count):
            variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        return replace(self, variables={**variables, "GIT_CONFIG_COUNT": str(count + len(settings))})

    def with_inherited_fd(self, descriptor: int) -> "Git":
        """Returns the same git, whose processes hold the lock behind a descriptor as long as one of them runs."""
        return replace(self, inherited_fds=(descriptor,))

    def with_umask(self, umask: int) -> "Git":
        """Returns the same git with another umask."""
        return replace(self, umask=umask)

    def with_memory_limit(self, memory: int) -> "Git":
        """Returns the same git, with processes that may allocate at most `memory` bytes."""
        return replace(self, memory=memory)

    def without_children(self) -> "Git":
        """Returns the same git, whose processes cannot start a program, whatever they read."""
        return replace(self, childless=True)

    def run(
        self,
        *arguments: str,
        input: bytes | int | None = None,  # noqa: A002 - as `subprocess.run` calls it
        check: bool = True,
    ) -> GitResult:
        """Runs a command to its end.

        Args:
            arguments: the command and its arguments.
            input: bytes, or a file descriptor that git reads itself; None: no input.
            check: whether another exit status than 0 is an error.

        Raises:
            GitError: it was killed, or it failed and `check` is true.
        """
        if isinstance(input, bytes):
            process = self._open(arguments, subprocess.PIPE, subprocess.PIPE)
            return _wait_for_result(process, arguments, input, check=check)
        stdin = subprocess.DEVNULL if input is None else input
        return _wait_for_result(self._open(arguments, stdin, subprocess.PIPE), arguments, check=check)

    def run_all(self, *commands: tuple[str, ...], check: bool = True) -> list[GitResult]:
        """Runs commands without input at the same time, each to its end.

        Raises:
            GitError: one was killed, or one failed and `check` is true.
        """
        with ExitStack() as ended:
            processes = [
                ended.enter_context(self._open(command, subprocess.DEVNULL, subprocess.PIPE))
                for command in commands
            ]
            outputs = [process.communicate() for process in processes]
        together = zip(processes, commands, outputs, strict=True)
        return [_result_of(process, command, *output, check=check) for process, command, output in together]

    def run_in_session(self, stdin: bytes, *arguments: str, patience: Patience) -> GitResult:
        """Runs a command in a session of its own.

        A program that git starts then has no terminal to ask on, and cannot be stopped for reading from one.

        Raises:
            UnansweredError: it took too long, and was killed.
            GitError: it failed.
        """
        process = self._open(arguments, subprocess.PIPE, subprocess.PIPE, alone=True)
        try:
            return _result_of(process, arguments, *wait_for(process, stdin, patience), check=True)
        except subprocess.TimeoutExpired as error:
            raise UnansweredError(arguments, patience.limit) from error
        finally:
            if process.returncode is None:
                end_session(process)

    def run_to_fd(self, descriptor: int, *arguments: str, input: bytes | None = None) -> None:  # noqa: A002 - as above
        """Runs a command whose output git writes to a file descriptor itself: this process never reads the bytes.

        `input`: what the command reads; None: nothing.

        Raises:
            OSError: it failed because of the disk; git does not report why it cannot write its output.
            GitError: it failed.
        """
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        process = self._open(arguments, stdin, subprocess.PIPE, stdout=descriptor)
        try:
            _wait_for_result(process, arguments, input)
        except GitError:
            probe_file(descriptor)
            raise

    def run_limited(self, *arguments: str, seconds: float, max_bytes: int) -> LimitedResult:
        """Runs a command that may take too long or print too much, and kills it when it reaches a limit."""
        process = self._open(arguments, subprocess.DEVNULL, subprocess.DEVNULL)
        try:
            with ProcessWatch(process, seconds, self.memory) as watch:
                stdout = process.stdout.read(max_bytes + 1) if process.stdout else b""
                cut = len(stdout) > max_bytes
                if cut:
                    process.kill()
                status = process.wait()
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        complete = not cut and not watch.has_killed
        return LimitedResult(status if complete else None, stdout[:max_bytes], complete)

    def start(self, *arguments: str, buffered: bool = True) -> "subprocess.Popen[bytes]":
        """Starts a process that stays open and is asked through pipes; see `pipe.Pipe`."""
        return self._open(arguments, subprocess.PIPE, subprocess.DEVNULL, buffer=-1 if buffered else 0)

    def read_output(self, *arguments: str) -> str:
        """Returns the output of a command that must succeed, without its last newline.

        Raises:
            GitError: it failed.
        """
        return os.fsdecode(self.run(*arguments).stdout).removesuffix("\n")

    def run_as_user(self, *arguments: str, extra: Mapping[str, str]) -> GitResult:
        """Runs a command as the user would: with their configuration, hooks, programs and terminal.

        Only what the user has asked for is run like this. What it prints is all in `stdout`, in one order.
        """
        try:
            done = subprocess.run(
                ["git", *arguments],  # noqa: S607
                cwd=self.directory,
                env={**os.environ, **extra},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except _NO_PROGRAM as error:
            raise self._not_started(error) from error
        return GitResult(done.returncode, done.stdout, "")

    def run_with_user_config(self, *arguments: str, extra: Mapping[str, str]) -> str:
        """Returns the output of a command that reads the user's own configuration.

        Only commands that read settings or the user's name are run like this.

        Raises:
            GitError: it failed.
        """
        process = self._open_with_user_config(arguments, extra)
        return os.fsdecode(_wait_for_result(process, arguments).stdout)

    def fetch_with_user_config(self, stdin: bytes, *arguments: str, extra: Mapping[str, str]) -> None:
        """Runs a command as the user would run it, but without a terminal to ask on.

        It does not outlive its caller.

        Raises:
            GitError: it failed.
        """
        process = self._open_with_user_config(arguments, {**extra, "GIT_TERMINAL_PROMPT": "0"}, alone=True)
        try:
            _wait_for_result(process, arguments, stdin)
        except BaseException:
            end_session(process)
            raise

    def _open_with_user_config(
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
        argv = ("git", *_OPTIONS, *arguments)  # git is found on PATH

        def popen() -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                limit_memory(self.memory, argv) if self.memory else argv,
                cwd=self.directory,
                env={**os.environ, **ENVIRONMENT, **self.variables},
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                bufsize=buffer,
                start_new_session=alone,
                # Ctrl-C on a terminal must not interrupt git.
                process_group=None if alone else 0,
                pass_fds=()
                if alone
                else self.inherited_fds,  # a process that a signing program leaves behind holds no lock
                umask=self.umask,
            )

        try:
            return start_childless(popen) if self.childless else popen()
        except _NO_PROGRAM as error:
            raise self._not_started(error) from error

    def _not_started(self, error: OSError) -> GitbatchError:
        """Returns why git could not be started: its directory is missing, or git is missing or not executable."""
        if not self.directory.is_dir():
            advice = "if it was renamed, change into it and resume: gitbatch run (finished items are kept)"
            return GitbatchError(f"{self.directory} is gone", advice)
        if isinstance(error, FileNotFoundError):
            return GitbatchError(*NO_GIT)
        return GitbatchError(f"git cannot be started: {error.strerror}", NO_GIT[1])


def _wait_for_result(
    process: "subprocess.Popen[bytes]",
    arguments: tuple[str, ...],
    stdin: bytes | None = None,
    *,
    check: bool = True,
) -> GitResult:
    """Waits for a git process to end, and returns its result."""
    return _result_of(process, arguments, *process.communicate(stdin), check=check)


def _result_of(
    process: "subprocess.Popen[bytes]",
    arguments: tuple[str, ...],
    stdout: bytes,
    stderr: bytes,
    *,
    check: bool,
) -> GitResult:
    """Returns the result of a git process that has ended.

    Raises:
        GitError: it was killed, which is never an answer, least of all "no"; or it failed and `check` is true.
    """
    result = GitResult(process.returncode, stdout or b"", stderr.decode(errors="replace"))
    if result.status < 0 or (check and result.status != 0):
        raise GitError(arguments, result.status, result.stderr)
    return result
