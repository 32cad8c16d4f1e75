"""The formats of events of `command` agents: what is shown, the reply, the usage, and how each failure is judged."""

import json
from pathlib import Path

import pytest
from agents.event_programs import STREAMS, a_start, play, read_stream, some_programs
from msgspec.structs import replace

from gitbatch.agents.command.agent import make_command_agent
from gitbatch.agents.command.table import CommandAgent, FormatName
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import Failure, OutputStream, Reply
from gitbatch.agents.services import AgentServices
from gitbatch.errors import GitbatchError, PlanError
from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.limits.usage import Usage
from gitbatch.project.config import parse_config
from gitbatch.sandbox.model import SandboxKind
from gitbatch.text import CleanText

OUTPUT = OutputStream.OUTPUT
SAID = "Wrote the page p1. It has one heading."
SUCCESSES: list[tuple[FormatName, str, Usage]] = [
    ("claude", "claude-code/success", Usage(CleanText("claude-opus-5-5"), 1738, 32, 7622, 3811, 3, 0.0281714)),
    ("codex", "codex/success", Usage(input=315, output=122, cache_read=24448, requests=1)),
    ("codex", "codex/shell", Usage(input=1200, output=40, cache_read=800, requests=1)),
    ("opencode", "opencode/success", Usage(CleanText(""), 1550, 65, 2900, 100, 3, 0.0061)),
    ("gemini", "gemini/success", Usage(CleanText("gemini-2.5-pro"), 5000, 100, 4000, requests=1)),
    ("qwen", "qwen/success", Usage(CleanText("qwen3-coder"), 1100, 35, 800, requests=2)),
]  # fmt: skip
SHOWN: list[tuple[FormatName, list[tuple[str, str]]]] = [
    (
        "codex",
        [
            ("output", "I read the rules first."),
            ("progress", "shell: bash -lc 'cat a.md'"),
            ("progress", "add: docs/p1.md"),
            ("progress", "shell: bash -lc 'ls missing'"),
            ("progress", "shell: bash -lc 'ls missing' failed: exit code 2"),
            ("output", SAID),
        ],
    ),
    (
        "opencode",
        [
            ("output", "Reading."),
            ("progress", "read: a.md"),
            ("progress", "write: docs/p1.md"),
            (
                "progress",
                "edit: docs/other.md failed: The user has specified a rule which prevents you from using this specific tool call.",
            ),
            ("output", SAID),
        ],
    ),
    (
        "gemini",
        [
            ("output", "I read first."),
            ("progress", "Then I write., write_file: docs/p1.md"),
            ("progress", "read_file: missing.md"),
            ("progress", "read_file: missing.md failed: File not found."),
            ("output", SAID),
        ],
    ),
    ("qwen", [("output", "Writing"), ("progress", "write_file: docs/p1.md"), ("output", SAID)]),
]
FAILURES: list[tuple[FormatName, str, int, Cause, float | None, str]] = [
    ("claude", "claude-code/status-429", 1, Cause.BUSY, 0.596, "Request rejected (429)"),
    ("claude", "claude-code/prompt-too-long", 1, Cause.CONTEXT, None, "Prompt is too long"),
    ("claude", "claude-code/refusal", 1, Cause.DECLINED, None, "safeguards flagged"),
    ("claude", "claude-code/budget", 1, Cause.LIMIT, None, "maximum budget"),
    ("codex", "codex/status-401", 1, Cause.FATAL, None, "unexpected status 401 Unauthorized"),
    ("codex", "codex/status-429", 1, Cause.BUSY, None, "last status: 429"),
    ("codex", "codex/stream-disconnected", 1, Cause.BUSY, None, "stream disconnected"),
    (
        "codex",
        "codex/no-network",
        -15,
        Cause.BUSY,
        None,
        "no connection: Reconnecting... waiting for network",
    ),
    ("opencode", "opencode/status-401", 1, Cause.FATAL, None, "Unauthorized"),
    ("opencode", "opencode/status-429", 1, Cause.BUSY, None, "Too Many Requests"),
    ("opencode", "opencode/status-429-retry-after", 0, Cause.BUSY, 7.0, "Rate limited"),
    ("opencode", "opencode/status-529", 1, Cause.BUSY, None, "Overloaded"),
    ("opencode", "opencode/no-connection", 1, Cause.BUSY, None, "no connection: Unable to connect"),
    ("gemini", "gemini/status-429", 1, Cause.BUSY, None, "got status: 429"),
    ("gemini", "gemini/status-401", 145, Cause.FATAL, None, "invalid_api_key"),
    ("gemini", "gemini/max-turns", 53, Cause.FAILED, None, "number of turns"),
    ("qwen", "qwen/status-401", 1, Cause.FATAL, None, "401 Incorrect API key"),
    ("qwen", "qwen/status-401-as-success", 0, Cause.FATAL, None, "401 no such key"),
    ("qwen", "qwen/status-429", 1, Cause.BUSY, None, "429 You exceeded"),
    ("qwen", "qwen/no-key", 1, Cause.FATAL, None, "Missing API key"),
    ("qwen", "qwen/denied", 0, Cause.NO_OUTPUT, None, "not allowed: write_file docs/other.md"),
]


@pytest.mark.parametrize(("name", "stream", "usage"), SUCCESSES)
def test_reply_and_usage(name: FormatName, stream: str, usage: Usage) -> None:
    reply, _ = play(a_start(some_programs(name)), read_stream(stream))
    assert isinstance(reply, Reply), reply
    assert (reply.summary, reply.flags) == (SAID, ())
    assert reply.usage.cost == pytest.approx(usage.cost)
    assert replace(reply.usage, cost=None) == replace(usage, cost=None)


@pytest.mark.parametrize(("name", "lines"), SHOWN)
def test_shown_lines(name: FormatName, lines: list[tuple[str, str]]) -> None:
    _, shown = play(a_start(some_programs(name)), read_stream(f"{name}/success"))
    assert shown == lines


@pytest.mark.parametrize(("name", "stream", "status", "cause", "retry_after", "reason"), FAILURES)
def test_failure_of_each_stream(
    name: FormatName, stream: str, status: int, cause: Cause, retry_after: float | None, reason: str
) -> None:
    failure, _ = play(a_start(some_programs(name)), read_stream(stream), status)
    assert isinstance(failure, Failure), failure
    assert (failure.cause, failure.retry_after, failure.is_guess) == (cause, retry_after, False)
    assert reason in failure.reason


def test_every_stream_is_tested() -> None:
    tested = {row[1] for row in (*SUCCESSES, *FAILURES)} | {"codex/recovered", "opencode/no-price"}
    kept = {f"{path.parent.name}/{path.stem}" for path in STREAMS.glob("*/*.jsonl")}
    assert {each for each in kept if not each.startswith(("claude-code/", "acp/"))} <= tested


def test_error_that_was_overcome_is_not_a_failure() -> None:
    reply, _ = play(a_start(some_programs("codex")), read_stream("codex/recovered"))
    assert isinstance(reply, Reply)
    failure, _ = play(a_start(some_programs("codex")), read_stream("codex/recovered"), 1)
    assert isinstance(failure, Failure)
    assert (failure.cause, failure.reason) == (Cause.FAILED, "exit code 1")


def test_error_of_opencode_that_a_step_follows_is_not_a_failure() -> None:
    printed = read_stream("opencode/status-529") + read_stream("opencode/success")
    reply, _ = play(a_start(some_programs("opencode")), printed)
    assert isinstance(reply, Reply)


def test_cost_of_a_model_without_a_price_is_unknown() -> None:
    reply, _ = play(a_start(some_programs("opencode")), read_stream("opencode/no-price"))
    assert isinstance(reply, Reply)
    assert (reply.usage.cost, reply.usage.input) == (None, 50)


# what decides where the events do not


def test_reply_file_counts_more_than_events(tmp_path: Path) -> None:
    program = a_start(some_programs("codex"), scratch=tmp_path)
    written = {"summary": "From the file. Twice.", "contributions": [{"artifact": "a.md", "text": "x"}]}
    (tmp_path / "reply.json").write_text(json.dumps(written), encoding="utf-8")
    reply, _ = play(program, read_stream("codex/success"))
    assert isinstance(reply, Reply)
    assert (reply.summary, len(reply.contributions)) == ("From the file. Twice.", 1)
    assert reply.usage.cache_read == 24448
    (tmp_path / "reply.json").write_text('{"usage": {"input": 3}, "retry_after": 9}', encoding="utf-8")
    failure, _ = play(program, read_stream("codex/status-429"), 1)
    assert isinstance(failure, Failure)
    assert (failure.usage.input, failure.retry_after) == (3, 9.0)


def test_words_of_a_model_about_an_error_of_the_api_are_a_success() -> None:
    printed = read_stream("qwen/success").replace(SAID.encode(), b"[API Error: 401 as it is documented]")
    reply, _ = play(a_start(some_programs("qwen")), printed)
    assert isinstance(reply, Reply)


def test_usage_of_a_failed_attempt_counts() -> None:
    *events, _ = read_stream("qwen/success").splitlines()
    failure, _ = play(a_start(some_programs("qwen")), b"\n".join(events), -15)
    assert isinstance(failure, Failure)
    assert failure.usage == Usage(CleanText("qwen3-coder"), 1100, 35, 800, requests=2)


@pytest.mark.parametrize(
    ("printed", "reason", "cause"),
    [
        ("I am text.\n", "agent does not print events in the format codex: check its command", Cause.FATAL),
        ("", "agent does not print events in the format codex: check its command", Cause.FATAL),
        ('{"type": "turn.started"}\n', "agent ended without a result", Cause.FAILED),
    ],
)
def test_end_without_a_result(printed: str, reason: str, cause: Cause) -> None:
    failure, _ = play(a_start(some_programs("codex")), printed.encode(), errors=b"a warning")
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.cause) == (reason, cause)
    assert failure.details[0] == "a warning"


def test_words_of_the_model_are_not_taken_for_a_busy_server() -> None:
    said = {"type": "item.completed", "item": {"type": "agent_message", "text": "rate limit 429"}}
    program = a_start(some_programs("codex"))
    failure, _ = play(program, json.dumps(said).encode(), 1)
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.cause, failure.details) == (
        "exit code 1",
        Cause.FAILED,
        ("rate limit 429",),
    )
    failure, _ = play(program, json.dumps(said).encode(), 1, b"overloaded")
    assert isinstance(failure, Failure)
    assert (failure.cause, failure.is_guess) == (Cause.BUSY, True)
    failure, _ = play(program, b"", 75)
    assert isinstance(failure, Failure)
    assert failure.cause is Cause.BUSY


def test_event_behind_a_flood_of_lines_counts() -> None:
    said = json.dumps({"type": "item.completed", "item": {"type": "agent_message", "text": "Flood. Again."}})
    ended = json.dumps({"type": "turn.completed", "usage": {"input_tokens": 7}})
    program = a_start(some_programs("codex"))
    chunks = ["\n".join([said] * 10_001), "", ended, *[said] * 30]
    reply, shown = play(program, "\n".join(chunks[:2]).encode(), rest="\n".join(chunks[2:]).encode())
    assert isinstance(reply, Reply)
    assert (reply.usage.input, len(shown)) == (7, 10_001)


def test_meaning_of_an_exit_code_counts_more_than_events() -> None:
    programs = some_programs("codex", exit_codes={"1": "declined"})
    for stream, reason in (("codex/status-429", "exceeded retry limit"), ("codex/recovered", "exit code 1")):
        failure, _ = play(a_start(programs), read_stream(stream), 1)
        assert isinstance(failure, Failure)
        assert failure.cause is Cause.DECLINED
        assert failure.reason.startswith(reason)


def test_cut_answer_is_waited_for_once() -> None:
    programs = some_programs("claude")
    answers = [play(a_start(programs), read_stream("claude-code/answer-cut"), 1)[0] for _ in range(2)]
    assert [a.cause for a in answers if isinstance(a, Failure)] == [Cause.BUSY, Cause.FAILED]


def test_retry_of_claude_makes_all_items_wait() -> None:
    rate_limit, seen = RateLimit(), []
    rate_limit.listener = lambda seconds, reason: seen.append((seconds, reason))
    play(a_start(some_programs("claude", rate_limit)), read_stream("claude-code/status-529"), 1)
    assert seen == [(0.622, WaitReason.SERVER_BUSY)]


def test_no_network_ends_codex_at_the_third_message() -> None:
    program = a_start(some_programs("codex"))
    offline = json.dumps({"type": "error", "message": "Reconnecting... waiting for network"})
    other = json.dumps({"type": "item.completed", "item": {"type": "reasoning"}})
    seen = []
    for line in (offline, offline, other, *[offline] * 3):
        program.show_line(OUTPUT, line)
        seen.append(program.has_finished())
    assert seen == [False, False, False, False, False, True]


def test_program_that_may_be_ended() -> None:
    ends: dict[FormatName, bool] = {"codex": True, "gemini": True, "qwen": True, "opencode": False}
    for name, can_end in ends.items():
        program = a_start(some_programs(name))
        play(program, read_stream(f"{name}/success"))
        assert program.has_finished() is can_end


GEMINI_EXITS = [
    (41, "", Cause.FATAL, "set GEMINI_API_KEY"),
    (41, "When using Gemini API, you must specify the GEMINI_API_KEY", Cause.FATAL, "you must specify"),
    (52, "", Cause.FATAL, "invalid settings"),
    (1, "an error\nstatus: 503 Service Unavailable\nat x.js:500:1", Cause.BUSY, "status: 503"),
    (1, "API key not valid. Please pass a valid API key.", Cause.FATAL, "API key not valid"),
    (1, "at file.js:429:17", Cause.FAILED, "file.js"),
    (1, "cannot use localhost:503 for this", Cause.FAILED, "localhost"),
]


@pytest.mark.parametrize(("status", "errors", "cause", "reason"), GEMINI_EXITS)
def test_exit_of_gemini_without_a_result(status: int, errors: str, cause: Cause, reason: str) -> None:
    failure, _ = play(a_start(some_programs("gemini")), b"", status, errors.encode())
    assert isinstance(failure, Failure)
    assert (failure.cause, failure.is_guess) == (cause, cause is Cause.BUSY)
    assert reason in failure.reason


GEMINI_RESULTS = [
    ([{"type": "error", "severity": "error", "message": "status 401"}], Cause.FATAL),
    ([{"type": "error", "severity": "warning", "message": "status 401"}], Cause.FAILED),
    ([{"type": "message", "role": "assistant", "content": "whole"}], Cause.FAILED),
]


@pytest.mark.parametrize(("events", "cause"), GEMINI_RESULTS)
def test_result_of_gemini_without_an_error(events: list[object], cause: Cause) -> None:
    printed = "\n".join(map(json.dumps, [*events, {"type": "result", "status": "error"}]))
    failure, _ = play(a_start(some_programs("gemini")), printed.encode())
    assert isinstance(failure, Failure)
    assert (failure.cause, failure.usage) == (cause, Usage())


ODD = {
    "codex": [
        ({"type": "item.completed", "item": {"type": "error", "message": "odd"}}, "odd"),
        ({"type": "item.started", "item": {"type": "mcp_tool_call", "server": "s", "tool": "t"}}, "s: t"),
        ({"type": "item.completed", "item": {"type": "mcp_tool_call", "server": "s", "tool": "t", "status": "failed"}}, "s: t failed"),
        ({"type": "item.started", "item": {"type": "web_search", "query": "q"}}, "search: q"),
        ({"type": "item.completed", "item": {"type": "todo_list", "items": []}}, None),
        ({"type": "item.updated", "item": {"type": "agent_message", "text": "x"}}, None),
        ({"type": "turn.failed"}, None),
    ],
    "opencode": [
        ({"type": "error"}, "error"),
        ({"type": "reasoning", "part": {"text": "x"}}, None),
        ({"type": "step_finish", "part": {}}, None),
    ],
    "gemini": [
        ({"type": "message", "role": "assistant", "content": "whole"}, "whole"),
        ({"type": "tool_result", "tool_id": "?", "status": "error", "output": "no"}, "tool failed: no"),
        ({"type": "tool_use", "tool_name": "glob", "parameters": [1]}, "glob"),
        ({"type": "new"}, None),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "event", "line"), [(n, e, t) for n, rows in ODD.items() for e, t in rows])
def test_odd_event(name: FormatName, event: dict[str, object], line: str | None) -> None:
    shown = a_start(some_programs(name)).events.take_line(OUTPUT, json.dumps(event))
    assert (shown.text if shown else None) == line


OPENCODE_ERRORS = [
    ({"name": "ProviderAuthError", "data": {}}, Cause.FATAL, None),
    ({"name": "ContextOverflowError", "data": {"message": "too much"}}, Cause.CONTEXT, None),
    ({"name": "APIError", "data": {"message": "prompt is too long", "statusCode": 400}}, Cause.CONTEXT, None),
    ({"name": "APIError", "data": {"message": "odd", "statusCode": 400}}, Cause.FAILED, None),
    ({"name": "APIError", "data": {"message": "too large", "statusCode": 413}}, Cause.CONTEXT, None),
    ({"name": "APIError", "data": {"message": "model: x", "statusCode": 404}}, Cause.FATAL, None),
    ({"name": "APIError", "data": {"message": "odd", "isRetryable": True}}, Cause.BUSY, None),
    ({"name": "APIError", "data": {"statusCode": 503, "responseHeaders": {"retry-after": "Wed, 21 Oct"}}}, Cause.BUSY, None),
    ({"name": "UnknownError", "data": {}}, Cause.FAILED, None),
]  # fmt: skip


@pytest.mark.parametrize(("error", "cause", "wait"), OPENCODE_ERRORS)
def test_error_of_opencode(error: dict[str, object], cause: Cause, wait: float | None) -> None:
    failure, _ = play(
        a_start(some_programs("opencode")), json.dumps({"type": "error", "error": error}).encode(), 1
    )
    assert isinstance(failure, Failure)
    assert (failure.cause, failure.retry_after) == (cause, wait)
    assert failure.reason


# settings


def test_setting() -> None:
    text = '[agents.a]\nkind = "command"\ncommand = ["codex"]\n'
    table = parse_config(f'{text}format = "codex"\n'.encode()).agents["a"]
    assert isinstance(table, CommandAgent)
    assert table.format == "codex"
    with pytest.raises(PlanError, match="format"):
        parse_config(f'{text}format = "other"\n'.encode())


@pytest.mark.parametrize(
    ("name", "knows"),
    [("codex", (True, False)), ("opencode", (True, True)), ("claude", (True, True)), (None, (False, False))],
)
def test_known_usage_and_cost(name: FormatName | None, knows: tuple[bool, bool]) -> None:
    services = AgentServices({}, SandboxKind.NONE, Starter())
    agent = make_command_agent("a", CommandAgent(command=("x",), format=name), services)
    assert (agent.knows_usage, agent.knows_cost) == knows


def test_unconfined_program_needs_a_sandbox() -> None:
    services = AgentServices({}, SandboxKind.NONE, Starter())
    table = CommandAgent(command=("codex", "exec", "-s", "danger-full-access", "-"), format="codex")
    with pytest.raises(GitbatchError, match="agent a: danger-full-access needs a sandbox"):
        make_command_agent("a", table, services)
