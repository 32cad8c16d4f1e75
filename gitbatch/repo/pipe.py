"""A git process that stays open and answers on a pipe: a query costs a tenth of starting a process.

It is started for the first query, and again if it has ended: some commands of git end at a query that they cannot answer.
Not thread-safe: a run has one thread for git.
"""

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.errors import GitError
from gitbatch.repo.process import Git

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from typing import IO

AT_ONCE = 40
"""The most queries whose answers fit into the smallest pipe, so that git and this process never wait for each other."""
_WORDS = 3
"""Of a first line that a content follows: id, kind, size."""


class Pipe(Struct):
    """One such process. Close it when done."""

    git: Git
    arguments: tuple[str, ...]
    buffered: bool = True
    """False: nothing is read ahead, so that an answer can be spliced to a file (`copy_to_fd`)."""
    shortest: int = 1
    """The bytes that the first line of each answer has at least: where nothing is read ahead, they are read by one call."""
    _process: "subprocess.Popen[bytes] | None" = None

    def ask(self, query: bytes) -> bytes:
        """Sends a query, and returns the first line of the answer without its newline.

        Raises:
            GitError: git has ended instead.
        """
        try:
            self.send(query)
            return self.read_line()
        except BaseException:
            self.close()  # a later answer would be taken for that to another query
            raise

    def send(self, query: bytes) -> None:
        """Sends a query whose answer is read later; at most `AT_ONCE` may be open.

        Raises:
            GitError: git has ended.
        """
        self.start()
        stdin, _ = self._open_pipes()
        try:
            stdin.write(query)
            stdin.flush()
        except BrokenPipeError as error:
            raise self._end_error() from error

    def start(self) -> None:
        """Starts the process, if it does not run: until the first query it starts while this process does something else.

        Raises:
            GitError: git cannot be started.
        """
        if self._process is None:
            self._process = self.git.start(*self.arguments, buffered=self.buffered)

    def move_to(self, git: Git) -> "Pipe":
        """Returns the same pipe with its process, which another git starts again; this one starts one of its own if asked."""
        process, self._process = self._process, None
        return replace(self, git=git, _process=process)

    def ask_all(self, queries: "Sequence[bytes]") -> list[bytes]:
        """Sends queries whose answers are one short line each, many at once, and returns the lines.

        Raises:
            GitError: git has ended instead.
        """
        answers = []
        for start in range(0, len(queries), AT_ONCE):
            some = queries[start : start + AT_ONCE]
            answers.append(self.ask(b"".join(some)))
            answers += [self.read_line() for _ in some[1:]]
        return answers

    def ask_contents(self, queries: "Sequence[bytes]") -> list[tuple[list[bytes], bytes]]:
        """Sends at most `AT_ONCE` queries for contents at once, and returns the words of each first line with the content.

        The content is empty where the words do not end in its size: the object is missing; or where only they are asked for.

        Raises:
            GitError: git has ended instead.
        """
        answers = []
        try:
            self.send(b"".join(queries))
            for query in queries:
                head = self.read_line().split(b" ")
                has_content = len(head) == _WORDS and not query.startswith(b"info ")
                answers.append((head, self.read(int(head[2])) if has_content else b""))
        except BaseException:
            self.close()  # a later answer would be taken for that to another query
            raise
        return answers

    def ask_few_contents(
        self, queries: "Sequence[bytes]", most: int
    ) -> list[tuple[list[bytes], bytes]] | None:
        """Returns what `ask_contents` does; None: a content is missing, or they have more bytes than `most` together.

        Then no more of them is read, and the process is ended.

        Raises:
            GitError: git has ended instead.
        """
        answers = []
        try:
            self.send(b"".join(queries))
            for _ in queries:
                head = self.read_line().split(b" ")
                most -= int(head[2]) if len(head) == _WORDS else most + 1
                if most < 0:
                    self.close()
                    return None
                answers.append((head, self.read(int(head[2]))))
        except BaseException:
            self.close()  # as above
            raise
        return answers

    def read_line(self) -> bytes:
        """Returns the next line of the answer without its newline.

        Raises:
            GitError: git has ended instead.
        """
        line = self._open_pipes()[1].readline() if self.buffered else self._read_unbuffered()
        if not line.endswith(b"\n"):
            raise self._end_error()
        return line[:-1]

    def _read_unbuffered(self) -> bytes:
        source, line = self._open_pipes()[1].fileno(), b""
        while not line.endswith(b"\n"):
            part = os.read(source, max(1, self.shortest - len(line)))
            if not part:
                break
            line += part
        return line

    def read(self, size: int) -> bytes:
        """Returns the next `size` bytes of the answer; the newline after them is dropped.

        Raises:
            GitError: git has ended instead.
        """
        data = self._open_pipes()[1].read(size + 1)
        if len(data) != size + 1:
            raise self._end_error()
        return data[:-1]

    def copy_to_fd(self, size: int, descriptor: int) -> None:
        """Writes the next `size` bytes of the answer to a file; this process never reads them.

        Raises:
            OSError: they cannot be written; the process is closed.
            GitError: git has ended instead.
        """
        source = self._open_pipes()[1].fileno()
        while size:
            try:
                moved = os.splice(source, descriptor, size)
            except OSError:
                self.close()
                raise
            if not moved:
                raise self._end_error()
            size -= moved
        self.read(0)

    def close(self) -> None:
        """Ends the process and waits for it."""
        self.hang_up()
        process, self._process = self._process, None
        if process is not None:
            process.wait()

    def hang_up(self) -> None:
        """Closes the pipes, so that the process ends, without waiting for it. Call `close` afterwards."""
        process = self._process
        for stream in (process.stdin, process.stdout) if process else ():
            with suppress(BrokenPipeError):
                if stream:
                    stream.close()

    def _open_pipes(self) -> "tuple[IO[bytes], IO[bytes]]":
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise self._end_error()
        return process.stdin, process.stdout

    def _end_error(self) -> GitError:
        process = self._process
        self.close()
        return GitError(self.arguments, process.returncode if process else 0, "git ended before it answered")
