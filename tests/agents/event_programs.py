"""Plays streams of events through the program of a `command` agent with a format, without a process."""

from pathlib import Path

from agents.claude_code_values import an_assignment
from agents.stream_player import judge_printed

from gitbatch.agents.command.event_program import EventProgram, EventPrograms
from gitbatch.agents.command.table import CommandAgent, ExitMeaning, FormatName
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.protocol import AgentFolders, Failure, Reply
from gitbatch.limits.rate_limit import RateLimit

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
    return programs.make_program(an_assignment(), AgentFolders(worktree, scratch), files)


def play(
    program: EventProgram, printed: bytes, status: int = 0, errors: bytes = b"", rest: bytes = b""
) -> tuple[Reply | Failure, list[tuple[str, str]]]:
    """Returns the answer of a program that prints this and exits, and what was shown."""
    return judge_printed(program, program.command.files, printed, rest, status=status, errors=errors)


def read_stream(name: str) -> bytes:
    return (STREAMS / f"{name}.jsonl").read_bytes()
