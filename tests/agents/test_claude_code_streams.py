"""The streams of Claude Code 2.1.332, recorded against the scripted server: what is shown, and how each is judged."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from agents.claude_code_values import (
    STREAMS,
    a_program,
    a_state,
    an_assignment,
    play_stream,
    read_stream,
)

from gitbatch.agents.claude_code.agent import ClaudeCodeProgram
from gitbatch.agents.claude_code.table import ClaudeCodeAgent
from gitbatch.agents.json_lines.limit_times import find_limit_end
from gitbatch.agents.last_message import read_last_message
from gitbatch.agents.protocol import Failure, Reply
from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.limits.usage import FREE, Usage
from gitbatch.plan.model import ItemKey

FAILURES = [
    ("prompt-too-long", Cause.CONTEXT, None, "Prompt is too long"),
    ("refusal", Cause.DECLINED, None, "safeguards flagged"),
    ("budget", Cause.BUDGET, None, "the budget of the batch is reached"),
    ("max-turns", Cause.FAILED, None, "Reached maximum number of turns (2)"),
    ("status-401", Cause.FATAL, 0.604, "Failed to authenticate"),
    ("status-403", Cause.FATAL, None, "Failed to authenticate"),
    ("not-logged-in", Cause.FATAL, None, "set ANTHROPIC_API_KEY, or run claude setup-token"),
    ("status-402", Cause.FATAL, None, "API Error: 402"),
    ("model-not-found", Cause.FATAL, None, "issue with the selected model"),
    ("status-404-html", Cause.FATAL, None, "issue with the selected model"),
    ("status-400", Cause.FAILED, None, "API Error: 400"),
    ("status-413", Cause.CONTEXT, None, "Request too large"),
    ("status-408", Cause.BUSY, 0.59, "API Error: 408"),
    ("status-409", Cause.BUSY, 0.579, "API Error: 409"),
    ("status-429", Cause.BUSY, 0.596, "Request rejected (429)"),
    ("status-429-retry-after", Cause.BUSY, 2.311, "Request rejected (429)"),
    ("status-429-retry-after-300", Cause.BUSY, None, "Request rejected (429)"),
    ("status-500", Cause.BUSY, 0.619, "API Error: 500"),
    ("status-529", Cause.BUSY, 0.622, "API Error: 529"),
    ("overloaded-in-stream", Cause.BUSY, None, "529 Overloaded"),
    ("no-connection", Cause.BUSY, 0.569, "no connection: API Error: Connection refused"),
    ("connection-lost", Cause.BUSY, 0.557, "Connection to the API was lost"),
    ("answer-cut", Cause.BUSY, 0.531, "Connection to the API was lost"),
    ("malformed-answer", Cause.BUSY, None, "empty or malformed response"),
]
SUCCESSES = {"success", "sibling-denied", "tool-error", "retried", "all-denied"}


@pytest.mark.parametrize(("name", "cause", "retry_after", "reason"), FAILURES)
def test_failure_of_each_stream(name: str, cause: Cause, retry_after: float | None, reason: str) -> None:
    failure, _ = play_stream(a_program(), read_stream(name), 1)
    assert isinstance(failure, Failure)
    assert (failure.cause, failure.retry_after) == (cause, retry_after)
    assert reason in failure.reason
    assert not failure.is_guess


def test_every_stream_is_tested() -> None:
    assert {path.stem for path in STREAMS.glob("*.jsonl")} == {row[0] for row in FAILURES} | SUCCESSES


@pytest.mark.parametrize("name", ["connection-lost", "answer-cut", "malformed-answer"])
def test_cut_answer_is_waited_for_once_for_each_item(name: str) -> None:
    state = a_state()

    def cause_for(item: str) -> Cause:
        program = a_program(state=state, assignment=an_assignment(item=ItemKey(item)))
        failure, _ = play_stream(program, read_stream(name), 1)
        assert isinstance(failure, Failure)
        return failure.cause

    causes = [cause_for(item) for item in ("1-t1", "1-t1", "1-t2")]
    assert causes == [Cause.BUSY, Cause.FAILED, Cause.BUSY]


def test_limit_of_the_item_is_not_the_budget_of_the_batch() -> None:
    program = a_program(ClaudeCodeAgent(max_cost=0.02))
    failure, _ = play_stream(program, read_stream("budget"), 1)
    assert isinstance(failure, Failure)
    assert (failure.cause, failure.reason) == (Cause.LIMIT, "its limit of $0.02 (max-cost) is reached")
    assert failure.usage == Usage("claude-opus-5-5", 507, 6, 0, 3810, 1, 0.021198)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "batch", "cause", "reason"),
    [
        (5_000, None, Cause.LIMIT, "its limit of 5,000 tokens (max-tokens) is reached"),
        (None, 5_000, Cause.BUDGET, "the budget of the batch is reached (5000 tokens)"),
    ],
)
def test_limit_of_tokens_ends_it(own: int | None, batch: int | None, cause: Cause, reason: str) -> None:
    """It has no such limit of its own: the tokens of its messages count as they come."""
    state = a_state()
    state.services.budget.max_tokens = batch
    program = a_program(ClaudeCodeAgent(max_tokens=own), state)
    *events, _ = read_stream("success").splitlines(keepends=True)
    assert not program.must_end()
    failure, _ = play_stream(program, b"".join(events), 0)
    assert isinstance(failure, Failure)
    assert (program.must_end(), failure.cause, failure.reason) == (True, cause, reason)
    assert failure.usage.total_tokens >= 5_000


def test_error_of_the_api_costs_nothing_if_no_request_was_answered() -> None:
    failure, _ = play_stream(a_program(), read_stream("status-429"), 1)
    assert failure == Failure(failure.reason, failure.details, Cause.BUSY, 0.596, FREE)  # type: ignore[union-attr]


def test_reply_of_success() -> None:
    reply, shown = play_stream(a_program(), read_stream("success"), 0)
    assert isinstance(reply, Reply)
    assert (reply.summary, reply.flags) == ("Wrote the page p1. It has one heading.", ())
    usage = reply.usage
    assert (usage.model, usage.requests) == ("claude-opus-5-5", 3)
    assert usage.cost == pytest.approx(0.0281714)
    assert (usage.input, usage.output, usage.cache_read, usage.cache_write) == (1738, 32, 7622, 3811)
    assert shown == [
        ("output", "Reading"),
        ("progress", "Read: a.md"),
        ("output", "Writing"),
        ("progress", "Write: docs/p1.md"),
        ("output", "Wrote the page p1. It has one heading."),
    ]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("sibling-denied", ("progress", "not allowed: Write docs/other.md")),
        ("tool-error", ("progress", "Read: missing.md failed: File does not exist.")),
        ("retried", ("progress", "asks again in 1.1 s: 429 rate_limit")),
    ],
)
def test_shown_line(name: str, line: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/p1.md").write_text("x")
    reply, shown = play_stream(a_program(worktree=tmp_path), read_stream(name), 0)
    assert isinstance(reply, Reply)
    assert [shown_line for shown_line in shown if shown_line[1].startswith(line[1])], shown
    assert len([text for _, text in shown if "failed: Permission" in text]) == 0


def test_denials_without_an_output(tmp_path: Path) -> None:
    failure, _ = play_stream(a_program(), read_stream("all-denied"), 0)
    assert isinstance(failure, Failure)
    assert failure.cause is Cause.NO_OUTPUT
    assert failure.details == ("not allowed: Write docs/other.md",)
    assert failure.usage.cost == pytest.approx(0.0252744)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/p1.md").write_text("x")
    reply, _ = play_stream(a_program(worktree=tmp_path), read_stream("all-denied"), 0)
    assert isinstance(reply, Reply)


def test_result_that_quotes_a_large_file_is_read() -> None:
    given = {"file_path": "/worktree/x.md", "content": "x" * 300_000}
    denied = {"tool_name": "Write", "tool_use_id": "1", "tool_input": given}
    fields = {"is_error": False, "result": "Not allowed. Sorry.", "permission_denials": [denied]}
    failure = judge(result_line(**fields), 0)
    assert failure.details == ("not allowed: Write x.md",)


CONTRIBUTED = '{"contributions": [{"artifact": "tools.md", "text": "hammer"}], "decisions": ["Use it."]}'


@pytest.mark.rule("O4", "S3")
@pytest.mark.parametrize(
    ("text", "summary", "counts"),
    [
        (f"Wrote it. It is fine.\n{CONTRIBUTED}", "Wrote it. It is fine.", (1, 1)),
        (f"Wrote it. It is fine.\n\n```json\n{CONTRIBUTED}\n```\n", "Wrote it. It is fine.", (1, 1)),
        (CONTRIBUTED, "", (1, 1)),
        ('{"summary": "Wrote it. Fine.", "decisions": []}', "Wrote it. Fine.", (0, 0)),
        ('Wrote it. Fine.\n{"contributions": 3}', 'Wrote it. Fine. {"contributions": 3}', (0, 0)),
        ('Wrote {"a": 1}. Fine.', 'Wrote {"a": 1}. Fine.', (0, 0)),
        (
            'Wrote it. Fine.\n{"contributions": [], "a": 1}',
            'Wrote it. Fine. {"contributions": [], "a": 1}',
            (0, 0),
        ),
        ("Wrote it. Fine.\n{}", "Wrote it. Fine. {}", (0, 0)),
        ("Wrote it:\n```\nx = 1\n```", "Wrote it: ``` x = 1 ```", (0, 0)),
        ("\n" * 200_000 + "Wrote it. Fine.", "Wrote it. Fine.", (0, 0)),
    ],
)
def test_last_message(text: str, summary: str, counts: tuple[int, int]) -> None:
    reply = read_last_message(text, Usage(requests=1))
    assert (reply.summary, reply.usage) == (summary, Usage(requests=1))
    assert (len(reply.contributions), len(reply.decisions)) == counts


# the wait of all items


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("status-429", WaitReason.SERVER_BUSY),
        ("no-connection", WaitReason.NO_CONNECTION),
        ("answer-cut", WaitReason.ANSWER_CUT),
    ],
)
def test_reason_of_the_wait(name: str, reason: WaitReason) -> None:
    failure, _ = play_stream(a_program(), read_stream(name), 1)
    assert isinstance(failure, Failure)
    assert failure.wait_reason is reason


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Claude AI usage limit reached|1764262800", 3_600.0),
        ("Claude AI usage limit reached|1764259000", 0.0),
        ("You've hit your limit · resets 6pm (Europe/Vienna)", 3_600.0),
        ("Session limit reached ∙ resets 5:30pm (Europe/Vienna)", 1_800.0),
        ("limit reached, resets at 5PM (Europe/Vienna)", 86_400.0),
        ("limit reached, resets 12am (UTC)", 8 * 3_600.0),
        ("limit reached, resets 5pm", 3_600.0),
        ("resets 25:99pm (UTC)", None),
        ("resets 4pm (Atlantis/Capital)", None),
        ("Overloaded", None),
    ],
)
def test_end_of_a_limit(text: str, seconds: float | None) -> None:
    now = datetime(2025, 11, 27, 16, 0, tzinfo=UTC).timestamp()
    assert find_limit_end(text, now, UTC) == seconds


def test_limit_of_a_subscription_says_how_long_to_wait() -> None:
    said = json.dumps({"error": "rate_limit", "type": "assistant", "message": {"content": []}})
    failure = judge(f"{said}\n{result_line(is_error=True, result='usage limit reached|9999999999')}", 1)
    assert failure.cause is Cause.BUSY
    assert failure.retry_after
    assert failure.retry_after > 10**9


@pytest.mark.parametrize(
    ("name", "waits"),
    [
        ("retried", [(1.144, WaitReason.SERVER_BUSY)]),
        ("status-529", [(0.622, WaitReason.SERVER_BUSY)]),
        ("no-connection", [(0.569, WaitReason.NO_CONNECTION)]),
        ("status-401", []),
        ("success", []),
    ],
)
def test_first_retry_makes_all_items_wait(name: str, waits: list[tuple[float, WaitReason]]) -> None:
    state = a_state()
    seen: list[tuple[float, WaitReason]] = []
    state.services.rate_limit.listener = lambda seconds, reason: seen.append((seconds, reason))
    play_stream(a_program(state=state), read_stream(name), 1)
    assert seen == waits


def test_later_retries_start_no_further_wait() -> None:
    state = a_state()
    seen: list[float] = []
    state.services.rate_limit.listener = lambda seconds, _: seen.append(seconds)
    events = [{"type": "system", "subtype": "api_retry", "retry_delay_ms": n, "error_status": 429} for n in (1000, 9000)]  # fmt: skip
    printed = "\n".join(map(json.dumps, events)).encode()
    failure, _ = play_stream(a_program(state=state), printed, 1)
    assert (seen, failure.retry_after) == ([1.0], 9.0)  # type: ignore[union-attr]


def test_gateway_without_a_connection_is_no_busy_server() -> None:
    """The proxy of the network `api` answers so, and Claude Code asks again."""
    state = a_state()
    seen: list[WaitReason] = []
    state.services.rate_limit.listener = lambda _, reason: seen.append(reason)
    event = {"type": "system", "subtype": "api_retry", "retry_delay_ms": 600, "error_status": 502}
    play_stream(a_program(state=state), json.dumps(event).encode(), 1)
    assert seen == [WaitReason.NO_CONNECTION]


# streams that no version printed


def judge(printed: str, status: int, errors: str = "", program: ClaudeCodeProgram | None = None) -> Failure:
    failure, _ = play_stream(program or a_program(), printed.encode(), status, errors.encode())
    assert isinstance(failure, Failure)
    return failure


def result_line(**fields: object) -> str:
    return json.dumps({**fields, "type": "result"})


@pytest.mark.parametrize(
    ("error", "fields", "cause"),
    [
        ("billing_error", {"api_error_status": 400, "result": "Credit balance is too low"}, Cause.FATAL),
        ("billing_error", {"result": "Credit balance is too low"}, Cause.FATAL),
        ("rate_limit", {"result": "Claude usage limit reached|1700000000"}, Cause.BUSY),
        ("", {"result": "Claude AI usage limit reached|1700000000"}, Cause.BUSY),
        ("unknown", {"result": "You've hit your limit · resets 4pm (Europe/Vienna)"}, Cause.BUSY),
        ("", {"result": "Session limit reached ∙ resets 4pm", "terminal_reason": "api_error"}, Cause.BUSY),
        ("", {"result": "Opus weekly limit reached ∙ resets Oct 9, 5pm"}, Cause.BUSY),
        ("", {"result": "You're out of extra usage · resets 3am (UTC)"}, Cause.BUSY),
        ("", {"result": "Context limit reached · /compact or /clear to continue"}, Cause.CONTEXT),
        ("", {"result": "Invalid API key · Fix external API key"}, Cause.FATAL),
        ("oauth_org_not_allowed", {"result": "Your organization does not allow this"}, Cause.FATAL),
        ("", {"subtype": "error_during_execution", "errors": ["limit reached in x.py:500"]}, Cause.FAILED),
        ("overloaded", {"result": "Overloaded"}, Cause.BUSY),
        ("unknown", {"api_error_status": 404, "result": "nothing at this address"}, Cause.FAILED),
        ("unknown", {"api_error_status": 418, "result": "a teapot"}, Cause.FAILED),
        ("", {"subtype": "error_during_execution", "errors": ["it broke"]}, Cause.FAILED),
        ("", {}, Cause.FAILED),
    ],
)
def test_errors_that_were_not_recorded(error: str, fields: dict[str, object], cause: Cause) -> None:
    said = json.dumps({"error": error, "type": "assistant", "message": {"content": []}})
    failure = judge(f"{said}\n{result_line(is_error=True, **fields)}", 1)
    assert failure.cause is cause
    assert failure.reason


def test_program_that_does_not_know_an_option() -> None:
    failure = judge("", 1, "error: unknown option '--strict-mcp-config'\n")
    assert failure.cause is Cause.FATAL
    assert failure.reason == "claude is too old (unknown option '--strict-mcp-config'): update Claude Code"


@pytest.mark.parametrize(
    ("printed", "status", "errors", "reason", "details", "cause"),
    [
        ("hello\n[1]\n", 3, "", "hello (exit 3)", ("hello", "[1]"), Cause.FAILED),
        ("hello", 3, "it broke", "hello (exit 3)", ("it broke", "hello"), Cause.FAILED),
        ("", -9, "", "ended by signal 9", (), Cause.FAILED),
        ('{"type": "system", "subtype": "init"}', 0, "", "claude ended without a result", (), Cause.FAILED),
        ("I am another program.", 0, "", "claude does not print events of Claude Code", ("I am another program.",), Cause.FATAL),
    ],
)  # fmt: skip
def test_end_without_a_result(
    printed: str, status: int, errors: str, reason: str, details: tuple[str, ...], cause: Cause
) -> None:
    failure = judge(printed, status, errors)
    assert (failure.reason, failure.details, failure.cause) == (reason, details, cause)
    assert failure.usage == Usage()


def test_success_that_exits_with_an_error_is_a_failure() -> None:
    failure = judge(result_line(is_error=False, result="Done. Really."), 1)
    assert (failure.reason, failure.cause) == ("exit code 1", Cause.FAILED)


def test_error_that_exits_with_0_is_a_failure() -> None:
    failure = judge(result_line(is_error=True, api_error_status=529, result="busy", total_cost_usd=0.5), 0)
    assert (failure.cause, failure.usage.cost) == (Cause.BUSY, 0.5)


def test_tokens_that_were_reported_before_a_kill_count_and_the_cost_is_unknown() -> None:
    *events, _ = read_stream("success").splitlines()
    failure = judge(b"\n".join(events).decode(), -15)
    usage = failure.usage
    assert (usage.model, usage.requests, usage.cost) == ("claude-opus-5-5", 3, None)
    assert (usage.cache_read, usage.cache_write) == (7622, 3811)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        '{"a": 1}',
        '{"type": 3}',
        '{"type": "assistant"}',
        '{"type": "assistant", "message": "text"}',
        '{"type": "assistant", "message": {"content": "text"}}',
        '{"type": "assistant", "message": {"content": [{"type": "thinking", "thinking": "x"}]}}',
        '{"type": "user", "message": {"content": [{"type": "tool_result", "content": "fine"}]}}',
        '{"type": "system", "subtype": "hook_started"}',
        '{"type": "rate_limit_event"}',
        '{"type": "stream_event", "event": {}}',
        "[" * 100_000,
        "{" + '"a":{' * 100_000,
        '{"type": "result", "usage": null, "modelUsage": {}, "result": null}',
    ],
)
def test_lines_that_show_nothing(line: str) -> None:
    _, shown = play_stream(a_program(), line.encode(), 1)
    assert shown == []


def test_lines_of_odd_events_are_shown() -> None:
    events = [
        {"message": {"content": [{"type": "text", "text": "half \ud800"}]}, "type": "assistant"},
        {"message": {"content": [{"type": "tool_use", "name": "Bash", "id": "1", "input": {"command": "ls"}}, {"type": "tool_use", "name": "New", "id": "2", "input": [1]}]}, "type": "assistant"},
        {"type": "user", "message": {"content": [{"type": "tool_result", "is_error": True, "tool_use_id": "9", "content": [{"type": "text", "text": "a"}, 3, {"type": "image"}]}]}},
        {"type": "user", "message": {"content": [{"type": "tool_result", "is_error": True, "tool_use_id": "1", "content": "x" * 300}]}},
        {"type": "user", "message": {"content": [{"type": "tool_result", "is_error": True, "tool_use_id": "1"}]}},
        {"type": "system", "subtype": "permission_denied", "tool_name": "Edit"},
        {"type": "system", "subtype": "api_retry"},
    ]  # fmt: skip
    _, shown = play_stream(a_program(), "\n".join(map(json.dumps, events)).encode(), 1, b"warning: x")
    assert shown == [
        ("output", "half \ufffd"),
        ("progress", "Bash: ls, New"),
        ("progress", "tool failed: a"),
        ("progress", f"Bash: ls failed: {'x' * 199}…"),
        ("progress", "Bash: ls failed:"),
        ("progress", "not allowed: Edit"),
        ("progress", "asks again: no answer"),
        ("error", "warning: x"),
    ]
