"""A git process that stays open and answers on a pipe: a question costs a tenth of what starting a git costs.

Started when it is first asked, and again if it has ended: some gits end when they are asked for what they can't do.
Not safe for use by two threads at once: a run has one thread for git.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitbatch.errors import GitError
from gitbatch.repo.process import Git

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from typing import IO

AT_ONCE = 40
"""Questions whose answers fit into the smallest pipe: git must never wait for us to read while we wait to write."""


@dataclass(slots=True)
class Pipe:
    """One such process. Close it when done."""

    git: Git
    arguments: tuple[str, ...]
    buffered: bool = True
    """Without buffers nothing of an answer is read before it is asked for, so that it can go past us (`copy_to_fd`)."""
    _process: "subprocess.Popen[bytes] | None" = None

    def ask(self, question: bytes) -> bytes:
        """Send a question, return the first line of the answer without its newline.

        Raises:
            GitError: git has ended instead.
        """
        try:
            self.send(question)
            return self.line()
        except BaseException:
            self.close()  # what it answers later is nobody's
            raise

    def send(self, question: bytes) -> None:
        """Send a question whose answer is asked for later; never more than `AT_ONCE`.

        Raises:
            GitError: git has ended.
        """
        if self._process is None:
            self._process = self.git.start(*self.arguments, buffered=self.buffered)
        stdin, _ = self._ends()
        try:
            stdin.write(question)
            stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error

    def ask_all(self, questions: "Sequence[bytes]") -> list[bytes]:
        """Send questions whose answers are one short line each, many at once; return the lines.

        Raises:
            GitError: git has ended instead.
        """
        answers = []
        for start in range(0, len(questions), AT_ONCE):
            some = questions[start : start + AT_ONCE]
            answers.append(self.ask(b"".join(some)))
            answers += [self.line() for _ in some[1:]]
        return answers

    def line(self) -> bytes:
        """The next line of the answer without its newline.

        Raises:
            GitError: git has ended instead.
        """
        line = self._ends()[1].readline()
        if not line.endswith(b"\n"):
            raise self._ended()
        return line[:-1]

    def read(self, size: int) -> bytes:
        """The next `size` bytes of the answer, and its closing newline dropped.

        Raises:
            GitError: git has ended instead.
        """
        data = self._ends()[1].read(size + 1)
        if len(data) != size + 1:
            raise self._ended()
        return data[:-1]

    def copy_to_fd(self, size: int, descriptor: int) -> None:
        """Let the next `size` bytes of the answer flow into a file; the bytes never come through us.

        Raises:
            OSError: the file does not take them; the process is closed.
            GitError: git has ended instead.
        """
        source = self._ends()[1].fileno()
        while size:
            try:
                moved = os.splice(source, descriptor, size)
            except OSError:
                self.close()
                raise
            if not moved:
                raise self._ended()
            size -= moved
        self.line()

    def close(self) -> None:
        """End the process and wait for it."""
        self.hang_up()
        process, self._process = self._process, None
        if process is not None:
            process.wait()

    def hang_up(self) -> None:
        """Let the process end without waiting for it; all that can be done then is to `close`."""
        process = self._process
        for stream in (process.stdin, process.stdout) if process else ():
            with suppress(BrokenPipeError):
                if stream:
                    stream.close()

    def _ends(self) -> "tuple[IO[bytes], IO[bytes]]":
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise self._ended()
        return process.stdin, process.stdout

    def _ended(self) -> GitError:
        process = self._process
        self.close()
        return GitError(self.arguments, process.returncode if process else 0, "git ended before it answered")
