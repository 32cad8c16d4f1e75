"""Conversations of ACP: streams that real agents printed (claude-agent-acp 0.101, OpenCode 1.18, Gemini CLI 0.61,
Qwen Code 0.24), with shorter lists of models and commands; and made ones."""

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from agents.acp_values import (
    CLOSED,
    PROMPTED,
    UNREAD,
    Message,
    a_program,
    asked,
    ended,
    failed,
    initialized,
    opened,
    play,
    read_stream,
    said,
    updated,
)

from gitbatch.agents.acp.message import decode_value
from gitbatch.agents.acp.presets import PresetName
from gitbatch.agents.acp.table import AcpAgent
from gitbatch.agents.protocol import ReplyFlag
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.text import clean_text

OUTPUT, PROGRESS = "output", "progress"
SUMMARY = "Wrote the page. It has one heading."
PLAIN = AcpAgent(command=("agent",), mode="")
MODES = {"currentModeId": "auto", "availableModes": [{"id": "default"}, {"id": "auto"}]}
START: list[Message] = [initialized(), opened()]
CALL = {"toolCallId": "c1", "kind": "edit", "locations": [{"path": "/worktree/docs/p1.md"}]}


def option(value: str, **more: Any) -> Message:  # noqa: ANN401 - fields of an option
    return {
        "id": "mode",
        "category": "mode",
        "currentValue": value,
        "options": [{"value": "default"}, {"value": "auto"}],
        **more,
    }


# recorded streams


def test_claude_writes_its_output(tmp_path: Path) -> None:
    played = play(a_program(worktree=tmp_path), read_stream("claude-success", tmp_path))
    assert played.reply.summary == SUMMARY
    assert played.reply.usage == Usage(
        clean_text("claude-opus-5-5"), 7608, 31, 18114, 9057, requests=1, cost=0.08517880000000001
    )
    assert played.shown == [
        (OUTPUT, "Reading"),
        (PROGRESS, "read: rules.md"),
        (PROGRESS, "edit: docs/p1.md"),
        (OUTPUT, SUMMARY),
    ]
    assert played.player.answers() == ["allow-once"]
    assert played.player.methods() == [
        "initialize",
        "session/new",
        "session/set_config_option",
        "session/prompt",
    ]


def test_claude_is_denied_what_is_not_its_output(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "p1.md").touch()
    played = play(a_program(worktree=tmp_path), read_stream("claude-sibling-denied", tmp_path))
    assert played.reply.summary == SUMMARY
    assert played.player.answers() == ["reject", "allow-once"]
    assert (PROGRESS, "not allowed: edit: docs/other.md") in played.shown
    assert any(line.startswith("edit: docs/other.md failed: ") for _, line in played.shown)


def test_claude_is_denied_everything(tmp_path: Path) -> None:
    played = play(a_program(worktree=tmp_path), read_stream("claude-shell-denied", tmp_path))
    denial = "not allowed: execute: touch x"
    assert (played.failure.cause, played.failure.reason) == (
        Cause.NO_OUTPUT,
        f"no output file was written ({denial})",
    )
    assert played.failure.details == (denial,)
    assert played.failure.usage.cost == 0.0725954


def test_opencode_asks_for_nothing_and_keeps_its_rules() -> None:
    table = AcpAgent(preset="opencode", model="anthropic/claude-sonnet-4-5")
    played = play(a_program(table), read_stream("opencode-success"))
    assert (played.reply.summary, played.player.answers()) == (SUMMARY, [])
    assert played.reply.usage == Usage(input=209, output=9, cache_read=5993, requests=1, cost=0.02772255)
    played = play(a_program(table), read_stream("opencode-sibling-denied"))
    assert any(line.startswith("edit: docs/other.md failed: ") for _, line in played.shown)


@pytest.mark.parametrize("preset", ["gemini", "qwen"])
def test_other_agents_ask_for_each_write(preset: PresetName, tmp_path: Path) -> None:
    table = AcpAgent(preset=preset)
    played = play(a_program(table, tmp_path), read_stream(f"{preset}-success", tmp_path))
    assert played.reply.summary == SUMMARY
    chosen = played.player.answers()
    assert len(chosen) == 2
    assert "cancelled" not in chosen
    assert (PROGRESS, "edit: docs/p1.md") in played.shown
    denied = play(a_program(table, tmp_path), read_stream(f"{preset}-sibling-denied", tmp_path))
    assert denied.player.answers()[0] not in {*chosen, "cancelled"}
    assert (PROGRESS, "not allowed: edit: docs/other.md") in denied.shown
    assert (denied.failure.cause, denied.failure.reason) == (
        Cause.NO_OUTPUT,
        "no output file was written (not allowed: edit: docs/other.md)",
    )


def test_codex_without_a_network() -> None:
    """It says so in what it adds to notifications, and would wait for ever."""

    def retried(message: str) -> Message:
        error = {"message": message, "additionalDetails": "Connection failed", "willRetry": True}
        return updated("session_info_update", _meta={"codex": {"error": error}})

    waiting = "Reconnecting... waiting for network"
    stream = [*START, PROMPTED, retried(waiting), retried("Reconnecting... 2/5"), *[retried(waiting)] * 3]
    played = play(a_program(PLAIN), [*stream, ended(2, "cancelled")])
    assert (played.failure.cause, played.failure.wait_reason) == (Cause.BUSY, WaitReason.NO_CONNECTION)
    assert played.shown[1] == (PROGRESS, "Reconnecting... 2/5: Connection failed")
    silent = [updated("session_info_update", _meta={"codex": {}}), updated("session_info_update")]
    assert play(a_program(PLAIN), [*START, *silent, ended(2)]).shown == []


@pytest.mark.parametrize(
    ("stream", "cause", "reason"),
    [
        ("claude-status-400", Cause.FAILED, "API Error: 400"),
        ("claude-status-401", Cause.FATAL, "Authentication required (its key is looked for in ANTHROPIC"),
        ("claude-status-429", Cause.BUSY, "Request rejected (429)"),
        ("claude-status-529", Cause.BUSY, "API Error: 529"),
        ("claude-prompt-too-long", Cause.CONTEXT, "Prompt is too long"),
        ("claude-refusal", Cause.DECLINED, "the model declined"),
        ("claude-max-tokens", Cause.FAILED, "output token maximum"),
    ],
)
def test_failures_of_claude(stream: str, cause: Cause, reason: str) -> None:
    played = play(a_program(), read_stream(stream), errors=b"[session/create] phase=settings\n")
    assert (played.failure.cause, reason in played.failure.reason) == (cause, True), played.failure
    assert all(not line.startswith("[session") for line in played.failure.details)


@pytest.mark.parametrize(
    ("code", "message", "data", "cause"),
    [
        (-32000, "Please log in", None, Cause.FATAL),
        (-32603, "Internal error", {"details": "401 Incorrect API key provided"}, Cause.FATAL),  # Qwen Code
        (-32603, "Internal error", {"errorKind": "rate_limit"}, Cause.BUSY),
        (-32603, "Internal error", {"errorKind": "overloaded"}, Cause.BUSY),
        (-32603, "Internal error", {"errorKind": "billing_error"}, Cause.FATAL),
        (-32603, "input is too long: context window exceeded", {"errorKind": "server_error"}, Cause.CONTEXT),
        (-32603, "no", {"errorName": "ProviderAuthError"}, Cause.FATAL),
        (-32603, "no", {"errorName": "ContextOverflowError"}, Cause.CONTEXT),
        (-32603, "invalid x-api-key", {"errorName": "APIError"}, Cause.FATAL),
        (-32603, "status 402", None, Cause.FATAL),
        (-32603, "status 403: forbidden", None, Cause.FATAL),
        (-32603, "HTTP 503", None, Cause.BUSY),
        (-32603, "connect ECONNREFUSED 127.0.0.1:9", None, Cause.BUSY),
        (-32603, "no", "more text", Cause.FAILED),
        (429, "", [1], Cause.BUSY),  # Gemini CLI gives the status as the code
        (401, "no", None, Cause.FATAL),
        (400, "no", None, Cause.FAILED),
    ],
)
def test_errors_of_a_turn(code: int, message: str, data: Any, cause: Cause) -> None:  # noqa: ANN401 - of any agent
    played = play(a_program(PLAIN), [*START, said("API Error: 401"), failed(2, code, message, data)])
    assert played.failure.cause is cause, played.failure
    assert played.failure.reason


def test_time_that_a_busy_server_asks_for() -> None:
    stream = [*START, failed(2, -32603, "429", {"retryAfter": 7})]
    assert play(a_program(PLAIN), stream).failure.retry_after == 7.0
    limit = {"errorKind": "rate_limit"}
    stream = [*START, failed(2, -32603, f"limit reached|{int(time.time()) + 1000}", limit)]
    failure = play(a_program(PLAIN), stream).failure
    assert failure.cause is Cause.BUSY
    assert 900 < (failure.retry_after or 0) <= 1000
    for wrong in (True, -1, "7", 1e12):
        stream = [*START, failed(2, -32603, "429", {"retryAfter": wrong})]
        assert play(a_program(PLAIN), stream).failure.retry_after is None


# the start


@pytest.mark.parametrize(
    ("stream", "cause", "reason"),
    [
        ([initialized(protocolVersion=2)], Cause.FATAL, "speaks version 2 of ACP, and gitbatch version 1"),
        ([{"id": 0, "result": {}}], Cause.FATAL, "initialize: invalid answer"),
        ([{"id": 0, "result": None}], Cause.FATAL, "initialize: invalid answer"),
        ([failed(0, -32603, "boom")], Cause.FATAL, "initialize: boom"),
        ([initialized(), failed(1, -32000, "Authentication required")], Cause.FATAL, "session/new: Auth"),
        ([initialized(), failed(1, -32602, "no cwd")], Cause.FATAL, "session/new: no cwd"),
        ([initialized(), failed(1, -32603, "status 503")], Cause.BUSY, "session/new: status 503"),
        ([initialized(), failed(1, -32603, "oops")], Cause.FAILED, "session/new: oops"),
        ([initialized(), {"id": 1, "result": {"sessionId": 3, "x": 1}}], Cause.FAILED, "invalid answer"),
        ([initialized(), {"id": 1, "error": "text"}], Cause.FAILED, '"text"'),
    ],
)
def test_start_that_fails(stream: list[Message], cause: Cause, reason: str) -> None:
    played = play(a_program(PLAIN), stream)
    assert (played.failure.cause, reason in played.failure.reason) == (cause, True), played.failure


def test_agent_that_is_not_one_of_acp() -> None:
    played = play(a_program(PLAIN), ["usage: agent [options]"], 2, b"Unknown argument: acp\n")
    assert played.failure.cause is Cause.FATAL
    assert (
        played.failure.reason == "agent does not answer as an agent of ACP: usage: agent [options] (exit 2)"
    )
    assert played.failure.details == ("Unknown argument: acp", "usage: agent [options]")
    assert play(a_program(PLAIN), [], 0).failure.cause is Cause.FATAL


def test_initialize_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitbatch.agents.acp.dialogue.START_LIMIT", 0.01)
    played = play(a_program(PLAIN), [])
    assert (played.failure.cause, played.failure.reason) == (Cause.FATAL, "no answer to initialize in 0.01 s")
    played = play(a_program(PLAIN), [initialized()])
    assert played.failure.reason == "no answer to session/new in 0.01 s"
    monkeypatch.setattr("gitbatch.agents.acp.dialogue.START_LIMIT", 60.0)
    played = play(a_program(PLAIN, timeout=0.01), [])  # an item with a short time-out is no other case
    assert (played.failure.cause, played.failure.reason) == (Cause.FATAL, "no answer to initialize in 0.01 s")


def test_authentication_comes_first() -> None:
    table = AcpAgent(preset="codex", mode="")
    login = {"id": 1, "result": {}}
    stream = [initialized(), login, {"id": 2, "result": {"sessionId": "s"}}, ended(3)]
    played = play(a_program(table), stream)
    assert played.player.methods() == ["initialize", "authenticate", "session/new", "session/prompt"]
    assert played.player.heard[1]["params"] == {"methodId": "api-key"}
    played = play(a_program(table), [initialized(), failed(1, -32603, "Not supported")])
    assert (played.failure.cause, "authenticate" in played.failure.reason) == (Cause.FAILED, True)


# the mode


@pytest.mark.parametrize(
    ("session", "after", "method"),
    [
        ({"modes": MODES}, [{"id": 2, "result": {}}, updated("current_mode_update", currentModeId="default")], "session/set_mode"),
        ({"modes": MODES}, [updated("config_option_update", configOptions=[option("default")]), {"id": 2, "result": {}}], "session/set_mode"),
        ({"modes": {**MODES, "currentModeId": "default"}}, [{"id": 2, "result": {}}], "session/set_mode"),
        ({"configOptions": [option("auto")]}, [{"id": 2, "result": {"configOptions": [option("default")]}}], "session/set_config_option"),
        ({"modes": MODES, "configOptions": [option("auto", category=None)]}, [{"id": 2, "result": {"configOptions": [option("default")]}}], "session/set_config_option"),
        ({"configOptions": [option("auto", options=[{"options": [{"value": "default"}]}])]}, [{"id": 2, "result": {"configOptions": [option("default")]}}], "session/set_config_option"),
    ],
)  # fmt: skip
def test_mode_is_set_and_read_back(session: Message, after: list[Message], method: str) -> None:
    table = AcpAgent(command=("agent",))
    played = play(
        a_program(table), [initialized(), opened(**session), *after, said("Done. It is."), ended(3)]
    )
    assert played.reply.summary == "Done. It is."
    assert played.player.methods()[2] == method


@pytest.mark.parametrize(
    ("session", "after", "reason"),
    [
        ({}, [], "it does not offer the mode 'default' (offered: none)"),
        ({"modes": {"currentModeId": "x", "availableModes": [{"id": "x"}]}}, [], "(offered: x)"),
        ({"modes": MODES}, [{"id": 2, "result": {}}], "was set and is not in force (reported: auto)"),
        ({"configOptions": [option("auto")]}, [{"id": 2, "result": {}}], "not in force (reported: auto)"),
        ({"configOptions": [option("auto")]}, [{"id": 2, "result": {"configOptions": [option("auto")]}}], "not in force"),
        ({"modes": MODES}, [failed(2, -32603, "cannot")], "session/set_mode: cannot"),
    ],
)  # fmt: skip
def test_mode_that_is_not_in_force(
    session: Message, after: list[Message], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitbatch.agents.acp.dialogue._MODE_LIMIT", 0.01)
    played = play(a_program(AcpAgent(command=("agent",))), [initialized(), opened(**session), *after])
    assert played.failure.cause is Cause.FATAL
    assert reason in played.failure.reason
    assert "session/prompt" not in played.player.methods()


def test_mode_that_is_left_ends_the_turn() -> None:
    session = opened(modes={**MODES, "currentModeId": "default"})
    left = [PROMPTED, updated("current_mode_update", currentModeId="auto"), ended(3, "cancelled")]
    program = a_program(AcpAgent(command=("agent",)))
    played = play(program, [initialized(), session, {"id": 2, "result": {}}, *left])
    assert played.failure.cause is Cause.FATAL
    assert played.failure.reason == "it left its mode 'default' for 'auto'"


# the model


def test_model_is_set_where_it_is_offered() -> None:
    table = AcpAgent(command=("agent",), mode="", model="m2")
    models = {"currentModelId": "m1", "availableModels": [{"modelId": "m1"}, {"modelId": "m2"}]}
    played = play(a_program(table), [initialized(), opened(models=models), {"id": 2, "result": {}}, ended(3)])
    assert played.player.heard[2]["params"] == {"sessionId": "s", "modelId": "m2"}
    others = {"id": "speed", "category": {"own": 1}, "options": [{"value": "m2"}, {"name": "no value"}]}
    listed = [others, {"id": "model", "category": "model", "options": [{}, {"value": "m2"}]}]
    played = play(
        a_program(table), [initialized(), opened(configOptions=listed), {"id": 2, "result": {}}, ended(3)]
    )
    assert played.player.heard[2]["params"] == {"sessionId": "s", "configId": "model", "value": "m2"}
    played = play(a_program(table), START)
    assert (played.failure.cause, played.failure.reason) == (Cause.FATAL, "it does not offer the model 'm2'")


def test_model_by_the_command_line() -> None:
    program = a_program(AcpAgent(preset="gemini", model="gemini-2.5-pro", mode="", auth=""))
    assert program.arguments() == ["gemini", "--acp", "--skip-trust", "-m", "gemini-2.5-pro"]
    assert play(program, [*START, ended(2)]).reply.usage == Usage()
    assert a_program(AcpAgent(preset="qwen", model="m")).environment()["OPENAI_MODEL"] == "m"


# the turn


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("max_tokens", Cause.FAILED),
        ("max_turn_requests", Cause.FAILED),
        ("refusal", Cause.DECLINED),
        ("cancelled", Cause.FAILED),
        ("new reason", Cause.FAILED),
        ("", Cause.FAILED),
    ],
)
def test_stop_reasons(reason: str, cause: Cause) -> None:
    assert play(a_program(PLAIN), [*START, ended(2, reason)]).failure.cause is cause


def test_summary_is_the_text_after_the_last_call() -> None:
    stream = [
        *START,
        said("I look.\nNow "),
        said("I write."),
        updated("tool_call", toolCallId="c1", title="Write", kind="edit", status="pending", rawInput={}),
        updated("tool_call_update", toolCallId="c1", locations=[{"path": "/worktree/docs/p1.md"}]),
        updated("tool_call_update", toolCallId="c1", status="completed"),
        updated("agent_thought_chunk", content={"type": "text", "text": "hm"}),
        updated(
            "plan", entries=[{"content": "a", "status": "completed"}, {"content": "b", "status": "pending"}]
        ),
        said("Wrote it. "),
        said("It is short."),
        updated("tool_call_update", toolCallId="c1", status="completed"),
        ended(2),
    ]
    played = play(a_program(PLAIN), stream)
    assert played.reply.summary == "Wrote it. It is short."
    assert played.shown == [
        (OUTPUT, "I look."),
        (OUTPUT, "Now I write."),
        (PROGRESS, "edit: docs/p1.md"),
        (PROGRESS, "plan 1/2: b"),
        (OUTPUT, "Wrote it. It is short."),
    ]


@pytest.mark.parametrize("text", ['{"a": 1}', "API Error: 529 overloaded", "Error: no", ""])
def test_json_or_an_error_is_no_summary(text: str) -> None:
    played = play(a_program(PLAIN), [*START, said(text), ended(2)])
    assert (played.reply.summary, played.reply.flags) == ("", (ReplyFlag.SUMMARY_MISSING,))


def test_contributions_are_in_the_last_message() -> None:
    text = 'Wrote it. It is short.\n{"contributions": [{"artifact": "a.md", "text": "A hammer"}]}'
    played = play(a_program(PLAIN, artifacts=("a.md",)), [*START, said(text), ended(2)])
    assert [each.text for each in played.reply.contributions] == ["A hammer"]
    assert "one line of JSON" in played.player.heard[2]["params"]["prompt"][0]["text"]


def test_what_is_not_known_is_ignored_and_counted() -> None:
    program = a_program(PLAIN)
    stream: list[Message | str] = [
        "plain text on standard output",
        initialized(),
        '{"jsonrpc": "2.0", "id": 1.5}',
        '{"id": [1], "result": 2}',
        "[1]",
        "{broken",
        '{"id": 99, "result": null}',
        opened(),
        {"method": "qwen/notify/session/mode-update", "params": {"v": 1}},
        {"method": "_auth/status_update"},
        {"method": "session/update", "params": [1]},
        {"method": "session/update", "params": {"update": {"sessionUpdate": 3}}},
        updated("brand_new_update"),
        updated("usage_update", used=3, size=5),
        updated("tool_call", toolCallId="c", locations="none"),
        updated("agent_message_chunk", content=["x"]),
        updated("agent_message_chunk", content={"type": "image"}),
        {"id": 7, "method": "fs/write_text_file", "params": {"path": "/worktree/docs/p1.md", "content": "x"}},
        {"id": "t", "method": "terminal/create", "params": {"command": "sh"}},
        said("\ud83d half. "),
        ended(2),
    ]
    played = play(program, stream)
    assert played.reply.summary.endswith("half.")
    counts = program.turn.events.counts
    assert (counts.unknown, counts.not_json, counts.calls) == (6, 5, 0)
    errors = [each["error"]["code"] for each in played.player.heard if "error" in each]
    assert errors == [-32601, -32601]
    assert program.turn.inbox.unread_lines == ("plain text on standard output", "[1]")


@pytest.mark.parametrize(
    ("call", "options", "answer"),
    [
        (CALL, None, "yes"),
        ({**CALL, "locations": [{"path": "/worktree/task.md"}]}, None, "no"),
        ({**CALL, "kind": "execute"}, None, "no"),
        (CALL, [{"optionId": "a", "kind": "allow_always"}], "cancelled"),
        (CALL, [{"optionId": "a", "kind": "allow_always"}, {"optionId": "n", "kind": "reject_once"}], "n"),
        ({**CALL, "locations": 3}, None, "cancelled"),
        ("text", None, "cancelled"),
        (CALL, [{"kind": "allow_once"}], "cancelled"),
    ],
)
def test_permission(call: Any, options: list[Message] | None, answer: str) -> None:  # noqa: ANN401 - also invalid ones
    played = play(a_program(PLAIN), [*START, asked(0, call, options), said("Done. Good."), ended(2)])
    assert played.player.answers() == [answer]


def test_permission_by_what_was_reported_before(tmp_path: Path) -> None:
    start = updated("tool_call", **{**CALL, "locations": [{"path": "docs/p1.md"}]})
    played = play(a_program(PLAIN, tmp_path), [*START, start, asked(0, {"toolCallId": "c1"}), ended(2)])
    assert played.player.answers() == ["yes"]


def test_no_permission_to_write_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to("/tmp")  # noqa: S108 - nothing is written there
    played = play(
        a_program(PLAIN, tmp_path),
        [*START, asked(0, {**CALL, "locations": [{"path": "docs/p1.md"}]}), ended(2)],
    )
    assert played.player.answers() == ["no"]


def test_end_in_the_middle_of_a_turn() -> None:
    played = play(a_program(PLAIN), [*START, said("half a se")], 3, b"Segmentation fault\n")
    assert (played.failure.cause, played.failure.reason) == (
        Cause.FAILED,
        "it ended in the middle of its turn: Segmentation fault (exit 3)",
    )
    assert play(a_program(PLAIN), START, 0).failure.cause is Cause.FAILED


def test_agent_that_reads_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not answered: what it does not read would be kept in our memory."""
    monkeypatch.setattr("gitbatch.agents.acp.dialogue.CANCEL_LIMIT", 0.01)
    stream: list[Message | str] = [*START, PROMPTED, UNREAD, {"id": 1, "method": "fs/read_text_file"}]
    played = play(a_program(PLAIN, timeout=0.3), stream)
    assert played.failure.reason == "timed out"
    assert not [each for each in played.player.heard if "error" in each]


def test_agent_that_closes_its_standard_input() -> None:
    played = play(a_program(PLAIN), [initialized(), CLOSED])
    assert played.failure.reason.startswith("it ended in the middle of its turn")


def test_answer_that_is_nested_too_deeply() -> None:
    deep = '{"id": 1, "result": ' + "[" * 100_000 + "]" * 100_000 + "}"
    assert play(a_program(PLAIN), [initialized(), deep], 0).failure.cause is Cause.FAILED
    assert decode_value(msgspec.Raw(b"[" * 100_000)) is None


def test_answer_of_a_program_that_ends_at_once_counts() -> None:
    assert play(a_program(PLAIN), [*START, said("Done. Good."), ended(2)], 1).reply.summary == "Done. Good."


# limits


def calls(number: int) -> list[Message]:
    return [updated("tool_call", toolCallId=str(each), kind="read", title="x") for each in range(number)]


def test_too_many_calls_end_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitbatch.agents.acp.dialogue.CANCEL_LIMIT", 0.01)
    table = AcpAgent(command=("agent",), mode="", max_turns=3)
    assert play(a_program(table), [*START, PROMPTED, *calls(3), ended(2)]).reply.usage == Usage()
    played = play(a_program(table), [*START, PROMPTED, *calls(4)])  # it does not even answer the cancellation
    assert (played.failure.cause, played.failure.reason) == (
        Cause.FAILED,
        "it made more than 3 calls of tools (max-turns)",
    )
    assert played.player.methods()[-1] == "session/cancel"


def spent(dollars: float, currency: str = "USD") -> Message:
    return updated("usage_update", used=1, size=2, cost={"amount": dollars, "currency": currency})


def test_cost_is_charged_while_it_works() -> None:
    budget = Budget()
    program = a_program(PLAIN, budget=budget)
    usage = {
        "inputTokens": 300,
        "outputTokens": 60,
        "cachedReadTokens": 150,
        "totalTokens": 520,
        "thoughtTokens": 10,
    }
    stream = [*START, spent(0.25), spent(0.1), spent(5, "EUR"), spent(0.75), ended(2, usage=usage)]
    reply = play(program, stream).reply
    assert reply.usage == Usage(input=300, output=70, cache_read=150, requests=1, cost=0.75)
    whole = budget.close_attempt(ItemKey("1-t1"), reply.usage)
    assert whole == Usage(input=300, output=70, cache_read=150, requests=1, cost=0.75)
    assert budget.spent.usage == whole


@pytest.mark.parametrize(
    ("own", "batch", "used", "cause"),
    [
        (0.5, None, 0.0, Cause.LIMIT),
        (1.0, None, 0.6, Cause.LIMIT),
        (None, 0.5, 0.0, Cause.BUDGET),
        (2.0, 0.5, 0.0, Cause.BUDGET),
    ],
)
def test_limit_of_cost_ends_the_turn(
    own: float | None, batch: float | None, used: float, cause: Cause
) -> None:
    table = AcpAgent(command=("agent",), mode="", max_cost=own, reports_usage=True)
    program = a_program(table, budget=Budget(batch), used=Usage(cost=used, requests=1))
    stream = [
        *START,
        PROMPTED,
        spent(0.3),
        asked(0, CALL),
        spent(0.55),
        asked(1, CALL),
        ended(2, "cancelled"),
    ]
    played = play(program, stream)
    assert played.failure.cause is cause
    assert played.failure.usage.cost == 0.55
    assert played.player.methods()[-1] == "session/cancel"
    assert played.player.answers() == ["yes", "cancelled"]


@pytest.mark.parametrize(
    ("result", "usage"),
    [
        ({}, Usage()),
        ({"usage": None}, Usage()),
        ({"_meta": {"quota": {"token_count": {"input_tokens": 5, "output_tokens": 2}, "model_usage": [{"model": "g"}]}}}, Usage(clean_text("g"), 5, 2, requests=1)),
        ({"usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7, "thoughtTokens": 1}}, Usage(input=5, output=2, requests=1)),
        ({"usage": {"inputTokens": -5, "outputTokens": -2}}, Usage(requests=1)),
    ],
)  # fmt: skip
def test_usage_without_a_cost(result: Message, usage: Usage) -> None:
    assert play(a_program(PLAIN), [*START, ended(2, **result)]).reply.usage == usage


def test_time_out_ends_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitbatch.agents.acp.dialogue.CANCEL_LIMIT", 0.01)
    played = play(a_program(PLAIN, timeout=0.3), [*START, spent(0.5)])
    assert (played.failure.reason, played.failure.usage.cost) == ("timed out", 0.5)
    assert played.player.methods()[-1] == "session/cancel"
