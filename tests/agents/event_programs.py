"""Plays streams of events through the program of a `command` agent with a format, without a process."""

import asyncio
from pathlib import Path

from agents.claude_code_values import an_assignment

from gitbatch.agents.command.event_program import EventProgram, EventPrograms
from gitbatch.agents.command.table import CommandAgent, ExitMeaning, FormatName
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.process.program import ProgramExit
from gitbatch.agents.process.watch import OutputWatch
from gitbatch.agents.protocol import Failure, LocalPlace, Reply
from gitbatch.agents.secrets import Secrets
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.text import CleanText

STREAMS = Path(__file__).parent / "streams"


def some_programs(
    name: FormatName, rate_limit: RateLimit | None = None, exit_codes: dict[str, ExitMeaning] | None = None
) -> EventPrograms:
    table = CommandAgent(command=("agent", "--json"), format=name, exit_codes=exit_codes or {})
    return EventPrograms(table, name, rate_limit or RateLimit())


def a_start(
    programs: EventPrograms, worktree: Path = Path("/worktree"), scratch: Path = Path("/nowhere")
) -> EventProgram:
    names = ("prompt.md", "context", "progress", "reply.json")
    files = ExchangeFiles(*(scratch / name for name in names))
    return programs.make_program(an_assignment(), LocalPlace(worktree, scratch), files)


def play(
    program: EventProgram, printed: bytes, status: int = 0, errors: bytes = b"", rest: bytes = b""
) -> tuple[Reply | Failure, list[tuple[str, str]]]:
    """Returns the answer of a program that prints this and exits, judged as in `ProcessAgent`, and what was shown."""
    shown: list[tuple[str, str]] = []

    def show(stream: str, line: CleanText) -> None:
        shown.append((stream, line))

    async def run() -> Reply | Failure:
        watch = OutputWatch(show, Path("/nonexistent"), Secrets(), program.show_line, program.line_bytes)
        watch.pipe_data_received(2, errors)
        watch.pipe_data_received(1, printed)
        watch.pipe_data_received(1, rest)
        watch.read_rest()
        ended = ProgramExit(status, watch, program.command.files, Secrets())
        if status == 0:
            return program.read_reply(ended)
        failure, known = program.read_failure(ended), program.read_partial_reply(ended)
        return Failure(
            failure.reason,
            failure.details,
            failure.cause,
            known.retry_after,
            known.usage,
            failure.wait_reason,
            failure.is_guess,
        )

    return asyncio.run(run()), shown


def read_stream(name: str) -> bytes:
    return (STREAMS / f"{name}.jsonl").read_bytes()
