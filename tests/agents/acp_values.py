"""Assignments, agents and recorded streams of ACP, for tests without a process."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from agents.claude_code_values import an_assignment
from msgspec import Struct, field
from waiting import run_skipping

from gitbatch.agents.acp.agent import make_program
from gitbatch.agents.acp.program import AcpProgram
from gitbatch.agents.acp.table import AcpAgent
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.process.program import ProgramExit
from gitbatch.agents.process.watch import ExitWait, OutputWatch
from gitbatch.agents.protocol import AgentFolders, Failure, Reply
from gitbatch.agents.secrets import Secrets
from gitbatch.limits.budget import Budget
from gitbatch.sandbox.model import SandboxKind
from gitbatch.text import CleanText

STREAMS = Path(__file__).parent / "streams" / "acp"
FILES = ExchangeFiles(
    *(Path("/scratch") / name for name in ("prompt.md", "context", "progress", "reply.json"))
)
Message = dict[str, Any]
PROMPTED: Message = {"wait for": "session/prompt"}
"""No message: what follows it comes after the prompt."""
UNREAD: Message = {"note": "it reads nothing from now on"}
CLOSED: Message = {"note": "it has closed its standard input"}


def a_program(
    table: AcpAgent | None = None,
    worktree: Path = Path("/worktree"),
    budget: Budget | None = None,
    sandbox: SandboxKind = SandboxKind.BUBBLEWRAP,
    **more: Any,  # noqa: ANN401 - fields of an assignment
) -> AcpProgram:
    """A start of an agent that is made."""
    made = make_program(
        table or AcpAgent(preset="claude"),
        budget or Budget(),
        sandbox,
        an_assignment(**more),
        AgentFolders(worktree, Path("/scratch")),
        FILES,
    )
    assert isinstance(made, AcpProgram)
    return made


class Player(asyncio.SubprocessTransport):
    """A program that prints a recorded stream: each response when it was asked for, the rest as it comes.

    It waits for the answers to its own requests, and ends after the stream with a status, if it has one.
    """

    def __init__(self, stream: Iterable[Message | str], status: int | None) -> None:
        super().__init__()
        self.heard: list[Message] = []
        """What was written to it."""
        self._stream = list(stream)
        self._status = status
        self._own: set[Any] = set()
        """The ids of its requests that are not answered."""
        self.watch: OutputWatch | None = None
        self.unread = 0
        """Bytes that were written to it and that it does not read."""
        self.has_closed = False
        """Whether it has closed its standard input."""

    def get_pipe_transport(self, fd: int) -> asyncio.BaseTransport | None:
        assert fd == 0
        return cast("asyncio.BaseTransport", self)

    def is_closing(self) -> bool:
        return self.has_closed

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write(self, data: bytes) -> None:
        for line in data.splitlines():
            message = json.loads(line)
            self.heard.append(message)
            if "method" not in message:
                self._own.discard(message["id"])
        asyncio.get_running_loop().call_soon(self._play)

    def _play(self) -> None:
        assert self.watch
        while self._stream and not self._own and self._may_print(self._stream[0]):
            message = self._stream.pop(0)
            if message == PROMPTED:
                continue
            line = message if isinstance(message, str) else json.dumps(message)
            self.watch.pipe_data_received(1, line.encode() + b"\n")
            if message == UNREAD:
                self.unread = 2_000_000
            elif message == CLOSED:
                self.has_closed = True
            elif isinstance(message, dict) and "method" in message and "id" in message:
                self._own.add(message["id"])
        if not self._stream and self._status is not None:
            self.watch.process_exited()
            self.watch.connection_lost(None)

    def _may_print(self, message: Message | str) -> bool:
        if message == PROMPTED:
            return "session/prompt" in self.methods()
        if isinstance(message, str) or "method" in message or "id" not in message:
            return True
        return any(each.get("id") == message["id"] and "method" in each for each in self.heard)

    def answers(self) -> list[str]:
        """The option, or `cancelled`, with which each of its requests was answered."""
        outcomes = [each["result"]["outcome"] for each in self.heard if "result" in each]
        return [outcome.get("optionId", outcome["outcome"]) for outcome in outcomes]

    def methods(self) -> list[str]:
        return [each["method"] for each in self.heard if "method" in each]


class Played(Struct, frozen=True):
    """What came of a stream."""

    answer: Reply | Failure
    player: Player
    shown: list[tuple[str, str]] = field(default_factory=list)

    @property
    def failure(self) -> Failure:
        assert isinstance(self.answer, Failure), self.answer
        return self.answer

    @property
    def reply(self) -> Reply:
        assert isinstance(self.answer, Reply), self.answer
        return self.answer


def play(
    program: AcpProgram, stream: Iterable[Message | str], status: int | None = None, errors: bytes = b""
) -> Played:
    """Returns the answer to a stream, judged as in `ProcessAgent`, and what was shown.

    Args:
        program: the start.
        stream: what it prints.
        status: with which it ends by itself; None: it does not.
        errors: what it prints on standard error.
    """
    player, shown = Player(stream, status), cast("list[tuple[str, str]]", [])

    def show(stream: str, line: CleanText) -> None:
        shown.append((stream, line))

    async def run() -> Reply | Failure:
        watch = player.watch = OutputWatch(
            show, Path("/nonexistent"), Secrets(), program.show_line, program.line_bytes
        )
        watch.pipe_data_received(2, errors)
        waited = await program.work(player, watch)
        watch.read_rest()
        ended = ProgramExit(status or 0, watch, FILES, Secrets())
        if waited is ExitWait.TIMED_OUT:
            return Failure(CleanText("timed out"), usage=program.read_partial_reply(ended).usage)
        done = waited is ExitWait.FINISHED or not status
        return program.read_reply(ended) if done else program.read_failure(ended)

    return Played(run_skipping(run()), player, shown)


def read_stream(name: str, worktree: Path = Path("/worktree")) -> list[Message]:
    text = (STREAMS / f"{name}.jsonl").read_text(encoding="utf-8").replace("{cwd}", str(worktree))
    return [json.loads(line) for line in text.splitlines()]


# messages as an agent sends them


def initialized(**more: Any) -> Message:  # noqa: ANN401 - fields of a result
    return {"jsonrpc": "2.0", "id": 0, "result": {"protocolVersion": 1, **more}}


def opened(**more: Any) -> Message:  # noqa: ANN401 - as above
    return {"jsonrpc": "2.0", "id": 1, "result": {"sessionId": "s", **more}}


def ended(number: int, reason: str = "end_turn", **more: Any) -> Message:  # noqa: ANN401 - as above
    return {"jsonrpc": "2.0", "id": number, "result": {"stopReason": reason, **more}}


def failed(number: int, code: int, message: str, data: Any = None) -> Message:  # noqa: ANN401 - as above
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message, "data": data}}


def updated(name: str, /, **more: Any) -> Message:  # noqa: ANN401 - fields of a notification
    return {
        "jsonrpc": "2.0",
        "method": "session/update",
        "params": {"sessionId": "s", "update": {"sessionUpdate": name, **more}},
    }


def said(text: str) -> Message:
    return updated("agent_message_chunk", content={"type": "text", "text": text})


def asked(number: int, call: Message, options: list[Message] | None = None) -> Message:
    usual = [
        {"optionId": "always", "name": "Always", "kind": "allow_always"},
        {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
        {"optionId": "no", "name": "No", "kind": "reject_once"},
    ]
    return {
        "jsonrpc": "2.0",
        "id": number,
        "method": "session/request_permission",
        "params": {"sessionId": "s", "toolCall": call, "options": usual if options is None else options},
    }
