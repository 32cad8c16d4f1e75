"""The kinds of agents that are a program, asked for a review: what they may use, and where their verdict is read."""

import asyncio
import json
from pathlib import Path

import pytest
from agents.claude_code_values import a_program, an_assignment, play_stream, read_stream
from agents.event_programs import STREAMS, a_start, play, some_programs
from msgspec.structs import replace

from gitbatch.agents.claude_code.table import ClaudeCodeAgent, Tool
from gitbatch.agents.command.table import FormatName
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.process.program import show_shortened
from gitbatch.agents.process.watch import OutputWatch
from gitbatch.agents.protocol import AgentFolders, Failure, Reply
from gitbatch.agents.review.model import Review, ReviewDecision, ReviewFinding, ReviewRequest
from gitbatch.agents.secrets import Secrets
from gitbatch.limits.causes import Cause
from gitbatch.text import CleanText

REQUEST = ReviewRequest("0f1e", lines=12)
SAID = "Wrote the page p1. It has one heading."
VERDICT = {"review": "0f1e", "verdict": "revise", "findings": [{"line": 3, "text": "key-of-a-test"}]}
EXPECTED = Review(ReviewDecision.REVISE, (ReviewFinding(CleanText("key-of-a-test"), 3),))


def with_words(stream: bytes, words: str) -> bytes:
    """A recorded stream in which the model says something else at its end."""
    piece = SAID if json.dumps(SAID).encode() in stream else SAID.partition(" It")[0]
    return stream.replace(json.dumps(piece).encode(), json.dumps(words).encode())


def reason_of(answer: Reply | Failure) -> str:
    assert isinstance(answer, Failure), answer
    assert answer.cause is Cause.UNREVIEWED
    return answer.reason


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        (("Read", "Glob", "Grep", "Edit", "Write", "Bash"), ["Read", "Glob", "Grep"]),
        (("Grep", "Write"), ["Grep"]),
        (("Edit", "Bash"), ["Read", "Glob", "Grep"]),
    ],
)
def test_claude_code_reviews_with_tools_that_only_read(tools: tuple[Tool, ...], expected: list[str]) -> None:
    table = ClaudeCodeAgent(tools=tools)
    review = an_assignment(review=REQUEST, artifacts=("docs/tool-inventory.md",))
    arguments = a_program(table, assignment=review).arguments()
    at = arguments.index("--tools")
    allowed = arguments[at + 2 : arguments.index("--setting-sources")]
    assert arguments[at + 1].split(",") == expected
    assert allowed == ["--allowedTools", *expected]
    assert "--append-system-prompt" not in arguments


def test_the_last_message_of_claude_code_has_its_verdict() -> None:
    stream = read_stream("success")
    program = a_program(assignment=an_assignment(review=REQUEST))
    answer, _ = play_stream(program, with_words(stream, f"So:\n{json.dumps(VERDICT)}"), 0)
    assert isinstance(answer, Reply)
    assert answer.review == EXPECTED
    assert answer.usage.cost == pytest.approx(0.0281714)
    program = a_program(assignment=an_assignment(review=REQUEST))
    assert "no verdict" in reason_of(play_stream(program, stream, 0)[0])
    assert answer.usage == play_stream(program, stream, 0)[0].usage, "a review that fails is paid for too"


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("claude", "claude-code/success"),
        ("codex", "codex/success"),
        ("opencode", "opencode/success"),
        ("gemini", "gemini/success"),
        ("qwen", "qwen/success"),
    ],
)
def test_the_last_message_of_every_format_has_its_verdict(
    tmp_path: Path, name: FormatName, stream: str
) -> None:
    printed = (STREAMS / f"{stream}.jsonl").read_bytes()
    start = a_start(some_programs(name), scratch=tmp_path)
    start = replace(start, command=replace(start.command, assignment=an_assignment(review=REQUEST)))
    assert "no verdict" in reason_of(play(start, printed)[0])
    start = replace(start, events=a_start(some_programs(name)).events)
    answer, _ = play(start, with_words(printed, json.dumps(VERDICT)))
    assert isinstance(answer, Reply), answer
    assert answer.review == EXPECTED
    (tmp_path / "reply.json").write_text('{"verdict": "accept"}', encoding="utf-8")
    start = replace(start, events=a_start(some_programs(name)).events)
    answer, _ = play(start, with_words(printed, json.dumps(VERDICT)))
    assert "another verdict than its reply" in reason_of(answer)
    for words in ("That is all.", json.dumps({"review": "0f1e", "verdict": "accept"})):
        start = replace(start, events=a_start(some_programs(name)).events)
        answer, _ = play(start, with_words(printed, words))
        assert isinstance(answer, Reply)
        assert answer.review == Review(ReviewDecision.ACCEPT), "the reply file counts more than the message"


def test_a_command_gives_its_verdict_in_its_reply_only(tmp_path: Path) -> None:
    assignment = an_assignment(review=REQUEST)
    files = ExchangeFiles.prepare(assignment, AgentFolders(tmp_path, tmp_path / "io"))
    secrets = Secrets.from_environment({"KEY": "key-of-a-test"}, ("KEY",))

    async def read() -> Reply | Failure:
        watch = OutputWatch(lambda _, __: None, files.progress, secrets, show_shortened, 1_000)
        watch.pipe_data_received(1, b'{"review": "0f1e", "verdict": "accept"}\n')
        watch.read_rest()
        return files.read_reply(watch, secrets, REQUEST)

    assert "wrote none to the file GITBATCH_REPLY" in reason_of(asyncio.run(read()))
    usage = {"input": 5, "cost": 0.25}
    files.reply.write_text(json.dumps({**VERDICT, "usage": usage}), encoding="utf-8")
    answer = asyncio.run(read())
    assert isinstance(answer, Reply)
    assert answer.review
    assert (answer.review.findings[0].text, answer.usage.cost) == ("[value of KEY]", 0.25)
    files.reply.write_text(json.dumps({"summary": "Fine. I accept.", "usage": usage}), encoding="utf-8")
    refused = asyncio.run(read())
    assert "it gave no verdict" in reason_of(refused)
    assert refused.usage.cost == 0.25


def test_findings_are_masked() -> None:
    secrets = Secrets.from_environment({"KEY": "key-of-a-test"}, ("KEY",))
    masked = secrets.mask_answer(Reply(CleanText(""), review=EXPECTED))
    assert isinstance(masked, Reply)
    assert masked.review
    assert masked.review.findings[0].text == "[value of KEY]"
