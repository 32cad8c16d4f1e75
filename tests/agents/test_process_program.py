"""A kind of agent that is a process defines a `Program`; the machinery that runs it is shared."""

import asyncio
import sys
from pathlib import Path

import pytest
from msgspec import Struct
from waiting import DEADLINE

from gitbatch.agents.process import watch
from gitbatch.agents.process.agent import ProcessAgent
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.process.program import ProgramExit, describe_exit, feed_and_wait
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.process.table import ProcessTable
from gitbatch.agents.process.watch import ExitWait, OutputWatch, ShownLine
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, OutputStream, Reply
from gitbatch.agents.reply import PartialReply, make_reply
from gitbatch.agents.secrets import Secrets
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.sandbox.none import NoSandbox
from gitbatch.text import clean_text


class Talker(Struct):
    """A program whose lines are events: `say X` is text, `do X` is progress, other lines are kept to itself."""

    script: str
    seen: list[str]
    assignment: Assignment
    turns: int = 0

    @property
    def line_bytes(self) -> int:
        return watch.EVENT_LINE

    def arguments(self) -> list[str]:
        return [sys.executable, "-c", self.script]

    def environment(self) -> dict[str, str]:
        return {"WORD": "hello"}

    def show_line(self, stream: OutputStream, line: str) -> ShownLine | None:
        self.seen.append(line)
        self.turns += 1
        verb, _, rest = line.partition(" ")
        return {
            "say": ShownLine(stream, rest),
            "do": ShownLine(OutputStream.PROGRESS, rest),
            "end": ShownLine(OutputStream.PROGRESS, rest, said_before="a text that came in pieces"),
        }.get(verb)

    async def work(self, transport: asyncio.SubprocessTransport, watch: OutputWatch) -> ExitWait:
        return await feed_and_wait(transport, watch, self.assignment, self.has_finished)

    def has_finished(self) -> bool:
        return self.seen[-1:] == ["raw END"]

    def read_reply(self, ended: ProgramExit) -> Reply | Failure:
        return (
            make_reply(f"It took {self.turns} turns. It is done.") if self.turns else self.read_failure(ended)
        )

    def read_failure(self, ended: ProgramExit) -> Failure:
        reason = clean_text(describe_exit(ended.status, clean_text("")))
        return Failure(reason, ended.watch.last_lines(), Cause.LIMIT)

    def read_partial_reply(self, ended: ProgramExit) -> PartialReply:
        return PartialReply(Usage(requests=self.turns + ended.status), retry_after=7.0)


def play(
    folder: Path, script: str, timeout: float = 60.0
) -> tuple[Reply | Failure, list[tuple[str, str]], list[str]]:
    shown: list[tuple[str, str]] = []
    seen: list[str] = []

    def make(assignment: Assignment, _place: AgentFolders, _files: ExchangeFiles) -> Talker:
        return Talker(script, seen, assignment)

    place = AgentFolders(folder, folder.parent / "scratch")
    agent = ProcessAgent("t", ProcessTable(), {}, NoSandbox(), Starter(), (sys.executable,), make)
    assignment = Assignment(item=ItemKey("a"), output="a", prompt="", context=(), timeout=timeout, attempt=1)
    answer = asyncio.run(agent.run(assignment, place, lambda stream, line: shown.append((stream, line))))
    return answer, shown, seen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    made.mkdir()
    return made


def test_lines_are_shown_by_kind(folder: Path) -> None:
    answer, shown, seen = play(
        folder, "import os\nprint('say', os.environ['WORD'])\nprint('raw {}')\nprint('do work')"
    )
    assert answer == make_reply("It took 3 turns. It is done.")
    assert shown == [("output", "hello"), ("progress", "work")]
    assert seen == ["say hello", "raw {}", "do work"]


def test_text_that_ends_with_a_line_is_shown_before_it(folder: Path) -> None:
    _, shown, _ = play(folder, "print('end work')")
    assert shown == [("output", "a text that came in pieces"), ("progress", "work")]


def test_exit_is_judged_by_kind(folder: Path) -> None:
    answer, _, _ = play(folder, "print('say no')\nprint('raw x')\nraise SystemExit(3)")
    assert answer == Failure(
        clean_text("exit code 3"), (clean_text("no"),), Cause.LIMIT, retry_after=7.0, usage=Usage(requests=5)
    )
    answer, _, _ = play(folder, "")
    assert isinstance(answer, Failure)


def test_program_that_hangs_after_its_last_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_LINGER", 0.01)
    script = "import time\nprint('say x\\nraw END', flush=True)\ntime.sleep(300)"
    answer, _, _ = play(folder, script)
    assert answer == make_reply("It took 2 turns. It is done.")
    monkeypatch.setattr(watch, "_LINGER", DEADLINE)
    answer, _, _ = play(folder, "print('raw END')\nraise SystemExit(3)")
    assert isinstance(answer, Failure)


@pytest.mark.parametrize("length", [200_000, 9_000_000])
def test_long_line(folder: Path, length: int) -> None:
    """A line of usual length is read whole, of a longer one the end."""
    _, shown, seen = play(folder, f"print('say', 'a' * {length} + 'z')\nprint('do b')")
    assert shown[-1] == ("progress", "b")
    assert len(seen) == 2
    assert seen[0].startswith("say a") == (length == 200_000)
    assert seen[0].endswith("az")
    assert len(shown) == 1 + (length == 200_000)


@pytest.mark.parametrize(("line_bytes", "kept"), [(watch.TEXT_LINE, "say x\n"), (watch.EVENT_LINE, "")])
def test_end_of_output_is_kept_of_text_only(line_bytes: int, kept: str) -> None:
    made = watch.OutputWatch(lambda *_: None, Path("/nonexistent"), Secrets(), lambda *_: None, line_bytes)
    made.pipe_data_received(1, b"say x\n")
    assert made.last_output() == kept


def test_long_line_that_begins_behind_another_is_read_whole() -> None:
    seen: list[int] = []
    made = watch.OutputWatch(
        lambda *_: None,
        Path("/nonexistent"),
        Secrets(),
        lambda _, line: seen.append(len(line)),
        watch.EVENT_LINE,
    )
    for piece in (b"one\n" + b"x" * 200_000, b"x" * 200_000, b"\n"):
        made.pipe_data_received(1, piece)
    assert seen == [3, 400_000]


def test_time_out_keeps_usage(folder: Path) -> None:
    answer, _, _ = play(folder, "import time\ntime.sleep(300)", timeout=0.01)
    assert isinstance(answer, Failure)
    assert (answer.cause, answer.retry_after) == (Cause.TIMEOUT, 7.0)
