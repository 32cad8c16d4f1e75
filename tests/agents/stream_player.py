"""Plays what a program prints through the reader of its kind, without a process."""

import asyncio
from pathlib import Path

from msgspec.structs import replace

from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.process.program import Program, ProgramExit
from gitbatch.agents.process.watch import OutputWatch
from gitbatch.agents.protocol import Failure, Reply
from gitbatch.agents.secrets import Secrets
from gitbatch.text import CleanText


def judge_printed(
    program: Program, files: ExchangeFiles, *printed: bytes, status: int = 0, errors: bytes = b""
) -> tuple[Reply | Failure, list[tuple[str, str]]]:
    """Returns the answer of a program that prints this and exits, judged as in `ProcessAgent`, and what was shown.

    Args:
        program: a start of it.
        files: those that it exchanges.
        printed: what it prints, in the pieces in which that is read.
        status: its exit status.
        errors: what it prints on standard error.
    """
    shown: list[tuple[str, str]] = []

    def show(stream: str, line: CleanText) -> None:
        shown.append((stream, line))

    async def run() -> Reply | Failure:
        watch = OutputWatch(show, Path("/nonexistent"), Secrets(), program.show_line, program.line_bytes)
        watch.pipe_data_received(2, errors)
        for piece in printed:
            watch.pipe_data_received(1, piece)
        watch.read_rest()
        ended = ProgramExit(status, watch, files, Secrets())
        if status == 0:
            return program.read_reply(ended)
        known = program.read_partial_reply(ended)
        return replace(program.read_failure(ended), retry_after=known.retry_after, usage=known.usage)

    return asyncio.run(run()), shown
