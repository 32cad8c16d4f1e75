"""Conversations of the Claude agent with the real library, against the scripted server."""
# ruff: noqa: F811 - fixtures are imported, and are arguments of the same name

import asyncio
import gc
import re
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any

import msgspec
import pytest
from agents.busy_server import nap_until_busy, nap_until_limited
from agents.stage import PRICE, Stage, base, server, stage  # noqa: F401 - fixtures
from waiting import DEADLINE, HeldLimits, JumpingLoop, wait_until_async

from gitbatch.agents.anthropic.agent import make_anthropic_agent
from gitbatch.agents.anthropic.prices import Prices
from gitbatch.agents.anthropic.scripted.script import SUMMARY
from gitbatch.agents.anthropic.scripted.server import KEY
from gitbatch.agents.anthropic.table import AnthropicAgent
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import Assignment, EarlierOutput, Failure, OutputStream, Reply
from gitbatch.agents.services import AgentServices
from gitbatch.errors import GitbatchError
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.limits.usage import Usage
from gitbatch.project.context import ContextReason
from gitbatch.text import CleanText


def test_text_tools_and_several_turns(stage: Stage) -> None:
    result = stage.talk(
        "say Let me see.\\nNow. + read src/a.py + list src; write # A\\n; edit A => B; finish"
    )
    assert isinstance(result, Reply)
    assert result.summary == SUMMARY
    assert stage.output() == "# B\n"
    assert stage.said == [
        (
            OutputStream.PROGRESS,
            "scripted: $1 in, $10 out for a million tokens (as configured, without a date)",
        ),
        (OutputStream.OUTPUT, "Let me see."),
        (OutputStream.OUTPUT, "Now."),
        (OutputStream.PROGRESS, "read_file: src/a.py: lines 1 to 50 of 50"),
        (OutputStream.PROGRESS, "list_files: src: 2 paths"),
        (OutputStream.PROGRESS, "write_output: out/a.md has 4 bytes now"),
        (OutputStream.PROGRESS, "edit_output: out/a.md has 4 bytes now"),
        (OutputStream.PROGRESS, "finish: done"),
    ]
    assert [seen.turn for seen in stage.asked] == [0, 1, 2, 3]
    assert "def a()" in stage.asked[1].messages


def test_what_was_used_is_counted_and_charged(stage: Stage) -> None:
    result = stage.talk("write x; finish")
    used = result.usage
    assert used.requests == 2
    assert used.cache_read > 1_000, "the second request reads what the first has written"
    assert used.cache_write > 1_000
    expected = used.input * 1.0 + used.output * 10.0 + used.cache_read * 0.1 + used.cache_write * 2.0
    assert used.cost == pytest.approx(expected / 1_000_000)
    assert stage.budget.known_usage == used
    assert used.model == "scripted"


def test_prices_are_shown_with_their_date(stage: Stage) -> None:
    stage.table = AnthropicAgent(model="scripted", price=msgspec.structs.replace(PRICE, as_of="2026-11"))
    stage.talk("write x; finish")
    assert "(as configured, of 2026-11)" in stage.lines()
    assert re.search(
        r"\(genai-prices \d[\d.]*, which gives no date\)",
        Prices("m", None).describe_prices("claude-sonnet-4-5"),
    )


def test_an_unknown_model_costs_nobody_knows_what(stage: Stage) -> None:
    stage.table = AnthropicAgent(model="scripted")
    assert stage.talk("write x; finish").usage.cost is None
    assert "unknown price" in stage.lines()


@pytest.mark.parametrize("limits", [{"max_cost": 1.0}, {"price": None, "max_cost": 1.0}, {}])
def test_a_limit_in_money_needs_a_price(stage: Stage, limits: dict[str, Any]) -> None:
    stage.table = AnthropicAgent(model="scripted", **limits)
    stage.budget = Budget(max_cost=None if limits else 5.0)
    with pytest.raises(GitbatchError, match=r"price of model scripted \(agent claude\) is unknown"):
        stage.agent()


@pytest.mark.parametrize("key", ["", " ", "a\nb", "schlüssel"])
def test_a_key_that_can_be_none_is_an_error_at_once(key: str) -> None:
    with pytest.raises(GitbatchError, match="MY_KEY"):
        make_anthropic_agent(
            "c", AnthropicAgent(api_key_env="MY_KEY"), AgentServices({"MY_KEY": key}, None, Starter())
        )


def test_token_of_a_subscription_is_refused() -> None:
    services = AgentServices({"ANTHROPIC_API_KEY": "sk-ant-oat01-token"}, None, Starter())
    with pytest.raises(GitbatchError, match="which only Claude Code may use") as raised:
        make_anthropic_agent("c", AnthropicAgent(), services)
    assert 'kind = "claude-code"' in raised.value.advice


def test_items_of_a_group_share_the_start_and_the_first_goes_alone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"i{number}" for number in range(20)]
    nap_until_busy(monkeypatch, stage.server, 11)
    results = stage.run(*(stage.assignment("nap 0.05 + write x; finish", name) for name in names))
    assert all(isinstance(result, Reply) for result in results)
    assert len({seen.start for seen in stage.server.seen}) == 1
    first, *rest = [seen for seen in stage.server.seen if seen.turn == 0]
    assert min(seen.at for seen in rest) > first.at
    assert stage.server.most_under_way >= 11
    written = [result.usage.cache_write for result in results if result.usage.cache_write]
    assert len(written) == 1, "one wrote the cache, all others read it"


def test_one_that_fails_before_it_begins_lets_another_go_first(stage: Stage) -> None:
    first = stage.assignment("nap 30", "slow", timeout=0.3)
    results = stage.run(first, *(stage.assignment("write x; finish", f"i{n}") for n in range(3)))
    assert [type(result) for result in results] == [Failure, Reply, Reply, Reply]


def test_fifty_at_once(stage: Stage) -> None:
    names = [f"i{number}" for number in range(50)]
    results = stage.run(*(stage.assignment("say x; write y; finish", name) for name in names))
    assert all(isinstance(result, Reply) for result in results)
    assert {stage.output(name) for name in names} == {"y"}


@pytest.mark.rule("F3")
@pytest.mark.parametrize("status", [429, 529, 500, 503, 408])
def test_a_busy_server_is_waited_for(stage: Stage, status: int) -> None:
    assert isinstance(stage.talk(f"fail {status} x2 + write x; finish"), Reply)
    assert [seen.status for seen in stage.asked] == [status, status, 200, 200]
    assert stage.asked[0].size == stage.asked[2].size, "the same request again"
    assert f"s: {status} " in stage.lines()


@pytest.mark.rule("F3")
def test_a_rate_limit_makes_all_wait_and_none_fail(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    nap_until_limited(monkeypatch, stage.server)
    scripts = {f"i{n}": "nap 0.1 + write x; finish" for n in range(20)} | {
        "limited": "write x; fail 429 after=3 + finish"
    }
    results = stage.run(*(stage.assignment(script, name) for name, script in scripts.items()))
    assert all(isinstance(result, Reply) for result in results)
    limited = next(seen.at for seen in stage.server.seen if seen.status == 429)
    later = [seen.at - limited for seen in stage.server.seen]
    assert [seconds for seconds in later if 2.0 < seconds < 2.9] == [], (
        "those under way arrive, then nobody asks"
    )
    assert max(later) > 2.9
    assert stage.lines().count("continues after") > 10, "the others have waited too"


@pytest.mark.rule("F3")
@pytest.mark.parametrize("how", ["eof", "reset", "error"])
def test_a_cut_answer_is_asked_for_again_and_writes_nothing(stage: Stage, how: str) -> None:
    result = stage.talk(f"cut {how} x2 + big 20000; finish")
    assert isinstance(result, Reply)
    assert result.usage.requests == 4, "what was cut was paid for too"
    assert len(stage.output() or "") == 19_992
    assert "waits" in stage.lines()


@pytest.mark.parametrize("how", ["eof", "reset", "error"])
def test_half_of_a_text_is_no_answer_either(stage: Stage, how: str) -> None:
    words = "many words " * 30
    assert isinstance(stage.talk(f"cut {how} + say {words}; write x; finish"), Reply)
    assert [seen.turn for seen in stage.asked] == [0, 0, 1, 2]


@pytest.mark.parametrize("how", ["eof", "reset", "error"])
def test_an_answer_that_is_cut_every_time_is_no_endless_loop(stage: Stage, how: str) -> None:
    failure = stage.failure(f"cut {how} x99 + big 20000; finish")
    assert failure.cause is Cause.FAILED
    assert len(stage.asked) == failure.usage.requests == 5
    assert stage.output() is None


def test_a_request_that_only_fails_for_one_item_fails_that_item(stage: Stage) -> None:
    scripts = {"a": "fail 500 x99 + write x"} | {
        f"i{n}": f"nap 0.0{n} + write x; " + "".join(f"say y + read r{k}.md; " for k in range(20)) + "finish"
        for n in range(1, 4)
    }
    results = stage.run(*(stage.assignment(script, name) for name, script in scripts.items()))
    assert [isinstance(result, Reply) for result in results] == [False, True, True, True]


def test_who_shall_come_back_later_is_told_when(stage: Stage) -> None:
    stage.rate_limit = RateLimit(cap=10)
    failure = stage.failure("write x; fail 429 after=7200 + finish")
    assert (failure.cause, failure.retry_after) == (Cause.LATER, 7200.0)
    assert failure.usage.requests == 1
    stage.rate_limit = RateLimit(cap=inf)
    assert isinstance(stage.talk("fail 429 after=0.1 + write x; finish"), Reply)


@pytest.mark.parametrize("status", [401, 402, 403])
def test_what_no_waiting_mends_is_fatal(stage: Stage, status: int) -> None:
    failure = stage.failure(f"fail {status} x9 + write x")
    assert failure.cause is Cause.FATAL
    assert str(status) in failure.reason
    assert len(stage.asked) == 1


@pytest.mark.parametrize("status", [400, 404, 405, 422])
def test_a_request_that_is_refused_is_the_matter_of_its_item(stage: Stage, status: int) -> None:
    failure = stage.failure(f"fail {status} x9 + write x")
    assert failure.cause is Cause.FAILED
    assert failure.reason.startswith(str(status))
    assert len(stage.asked) == 1


def test_a_wrong_key_and_no_server(stage: Stage) -> None:
    stage.server.key = "another"
    failure = stage.failure("write x")
    stage.server.key = KEY
    assert failure.cause is Cause.FATAL
    assert KEY not in failure.reason
    stage.table = AnthropicAgent(model="scripted", base_url="http://127.0.0.1:1")
    told: list[str] = []
    stage.rate_limit = RateLimit(patience=0.01, listener=lambda _, why: told.append(why))
    assert stage.failure("write x").cause is Cause.LATER
    assert set(told) == {WaitReason.NO_CONNECTION}


@pytest.mark.parametrize(
    "url", ["no-address", "http://", "http:///v1", "http://[::1", "http://x:99999", "ftp://x"]
)
def test_an_address_without_a_host_is_an_error_at_once(stage: Stage, url: str) -> None:
    stage.table = AnthropicAgent(model="scripted", base_url=url)
    with pytest.raises(GitbatchError, match="agent claude: invalid base URL"):
        stage.agent()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", "SSL_CERT_FILE"])
@pytest.mark.parametrize("value", ["http://127.0.0.1:1", "socks5://127.0.0.1:1"])
def test_no_proxy_leads_to_a_server_on_this_machine(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert isinstance(stage.talk("write x; finish"), Reply)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks4://127.0.0.1:1"),
        ("SSL_CERT_FILE", "/is/not/there"),
        ("ALL_PROXY", "http://[::"),
        ("ALL_PROXY", "ftp://me:pass-word@127.0.0.1:1"),
    ],
)
def test_a_connection_that_can_not_be_set_up_is_fatal_and_one_line(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    stage.table = AnthropicAgent(model="scripted", base_url="https://gitbatch.invalid")
    failure = stage.failure("write x")
    assert failure.cause is Cause.FATAL
    assert "cannot set up a connection" in failure.reason
    assert "pass-word" not in failure.reason
    gc.collect()
    assert "Traceback" not in capfd.readouterr().err


def test_the_key_is_cut_out_of_what_the_server_says(stage: Stage) -> None:
    failure = stage.failure("leak")
    assert (
        failure.reason == "400 invalid_request_error: bad request with the key [the key], in full: [the key]"
    )
    assert KEY not in stage.lines()
    assert KEY not in repr(stage.agent())


def test_a_context_that_is_too_large_is_made_smaller_once(stage: Stage) -> None:
    large = stage.context("src/large.py", ContextReason.DECLARED)
    stage.table = AnthropicAgent(model="scripted", context_window=200_000)
    result = stage.talk("overflow 60000 + write x; finish", context=(large,))
    assert isinstance(result, Reply)
    assert [seen.size > 60_000 for seen in stage.asked] == [True, False, False]
    assert "not quoted, only named: src/large.py" in stage.lines()


def test_then_a_model_with_a_larger_window(stage: Stage) -> None:
    stage.table = AnthropicAgent(model="scripted", fallback_model="wide", context_window=50_000)
    failure = stage.failure("overflow 10 + write x")
    assert [seen.model for seen in stage.asked] == ["scripted", "scripted", "wide", "wide"]
    assert failure.cause is Cause.CONTEXT


def test_a_conversation_that_grows_too_large_goes_on_from_its_file(stage: Stage) -> None:
    result = stage.talk("write x; read src/a.py + stop model_context_window_exceeded; finish")
    assert isinstance(result, Failure)
    assert result.cause is Cause.CONTEXT
    assert "has what you wrote before" in stage.asked[-2].messages


@pytest.mark.parametrize("counts", [True, False])
def test_a_prompt_that_may_be_too_large_is_counted_first(stage: Stage, *, counts: bool) -> None:
    stage.server.counts = counts
    large = stage.context("src/large.py", ContextReason.DECLARED)
    stage.table = AnthropicAgent(model="scripted", context_window=170_000, max_output_tokens=150_000)
    assert isinstance(stage.talk("write x; finish", context=(large,)), Reply)
    assert all(seen.size < 60_000 for seen in stage.asked)


def test_a_cut_at_the_output_limit_goes_on(stage: Stage) -> None:
    assert isinstance(
        stage.talk("say part + stop max_tokens; write x + stop max_tokens; write y; finish"), Reply
    )
    assert stage.output() == "y"
    assert "Your answer was cut" in stage.asked[1].messages
    assert "not done" in stage.asked[2].messages


def test_a_pause_goes_on_without_a_word(stage: Stage) -> None:
    assert isinstance(stage.talk("say x + stop pause_turn; write y; finish"), Reply)
    assert '"role": "assistant"' in stage.asked[1].messages
    assert "cache_control" not in stage.asked[1].messages
    assert "cache_control" in stage.asked[2].messages


def test_who_does_not_finish_is_nudged_and_then_fails(stage: Stage) -> None:
    assert isinstance(stage.talk("write x; say done; finish"), Reply)
    assert "You have not called finish" in stage.asked[2].messages
    failure = stage.failure("say a; say b; say c")
    assert failure.cause is Cause.FAILED
    assert failure.reason == "10 answers in a row without progress: it ended without finishing"
    assert (failure.usage.requests, failure.details[-1]) == (10, "c")


def test_a_model_that_explores_what_is_not_there_is_not_ended(stage: Stage) -> None:
    looks = "; ".join(f"read none{number}.md" for number in range(12))
    assert isinstance(stage.talk(f"{looks}; write x; finish"), Reply)
    assert "no such file: none1.md" in stage.lines()


def test_an_empty_answer_is_no_end(stage: Stage) -> None:
    assert stage.failure("nap 0").reason.endswith("without progress: it ended without finishing")


def test_a_wrong_tool_call_is_corrected_or_fails(stage: Stage) -> None:
    assert isinstance(stage.talk("finish; write x; finish One only.; finish"), Reply)
    assert "is not written yet" in stage.asked[1].messages
    assert "2 or 3 sentences" in stage.asked[3].messages
    failure = stage.failure('write_output {"x": 1}')
    assert (failure.cause, failure.usage.requests) == (Cause.FAILED, 3)
    assert failure.reason.startswith("the same call failed 3 times: write_output: invalid arguments")


@pytest.mark.parametrize("arguments", ["{bad}", '{"content": "half', "[1]", "nul", '{"content": "x"} y'])
def test_arguments_that_are_no_json_are_corrected_by_the_model(stage: Stage, arguments: str) -> None:
    result = stage.talk(f"say a + read rules.md + raw write_output {arguments}; write x; finish")
    assert isinstance(result, Reply)
    assert [seen.status for seen in stage.asked] == [200, 200, 200]
    assert "not a JSON object" in stage.asked[1].messages
    assert "Short pages" in stage.asked[1].messages
    assert "waits" not in stage.lines()


def test_who_finishes_with_a_failing_call_has_not_finished(stage: Stage) -> None:
    assert isinstance(stage.talk("write x; finish + edit a => b; finish"), Reply)
    assert "another call of the same answer failed" in stage.asked[2].messages
    assert len(stage.asked) == 3


def test_what_stands_after_finish_is_done_before_it(stage: Stage) -> None:
    assert isinstance(stage.talk("finish + write x"), Reply)
    assert (stage.output(), len(stage.asked)) == ("x", 1)


def test_a_refusal_is_no_matter_for_another_attempt(stage: Stage) -> None:
    assert stage.failure("say no + stop refusal").cause is Cause.DECLINED


def test_there_is_a_limit_of_turns(stage: Stage) -> None:
    stage.table = AnthropicAgent(model="scripted", max_turns=4)
    assert stage.failure("read rules.md").reason == "no end after 4 answers"
    assert len(stage.asked) == 4


def expire_when(
    stage: Stage, patch: pytest.MonkeyPatch, assigned: Assignment, condition: Callable[[], object]
) -> Failure:
    """Let the time of an item be over when the conversation has come so far."""
    limits, agent = HeldLimits(patch, assigned.timeout), stage.agent()

    async def scene() -> Reply | Failure:
        task = asyncio.ensure_future(agent.run(assigned, stage.place(assigned), stage.hear))
        await wait_until_async(condition, "the request")
        limits.expire()
        try:
            return await task
        finally:
            await agent.close()

    result = asyncio.run(scene())
    assert isinstance(result, Failure)
    return result


def test_what_a_request_used_is_charged_even_if_the_time_of_the_item_ends_in_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assigned = stage.assignment(f"cut hang + say Here.\\n{'x' * 4000}", timeout=0.5)
    failure = expire_when(stage, monkeypatch, assigned, lambda: "Here." in stage.lines())
    assert (failure.cause, failure.usage.requests) == (Cause.TIMEOUT, 1)
    assert failure.usage.input > 0
    assert failure.usage.cost
    assert stage.budget.known_usage == failure.usage


def test_the_time_of_an_item_does_not_run_while_it_waits(stage: Stage) -> None:
    loop = JumpingLoop()

    def jump() -> None:
        loop.ahead += 4 * DEADLINE

    def jump_soon(_seconds: float, _reason: WaitReason) -> None:
        loop.call_soon(loop.call_soon, jump)  # when it is waited for

    stage.rate_limit = RateLimit(listener=jump_soon)
    assigned = stage.assignment(f"fail 429 after={2 * DEADLINE} + write x; finish", timeout=DEADLINE)
    agent = stage.agent()

    async def scene() -> Reply | Failure:
        try:
            return await agent.run(assigned, stage.place(assigned), stage.hear)
        finally:
            await agent.close()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert isinstance(runner.run(scene()), Reply)
    assert loop.ahead


def test_the_time_of_an_item_ends_in_a_request(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = stage.assignment("say x; nap 60", "b", timeout=0.6)
    failure = expire_when(stage, monkeypatch, hangs, lambda: len(stage.server.requests_of("out/b.md")) == 2)
    assert (failure.cause, failure.usage.requests) == (Cause.TIMEOUT, 1)


@pytest.mark.parametrize(
    ("table", "budget", "cause"),
    [
        ({"max_tokens": 10}, Budget(), Cause.LIMIT),
        ({"max_cost": 0.000_001}, Budget(), Cause.LIMIT),
        ({}, Budget(max_cost=0.000_001), Cause.BUDGET),
        ({}, Budget(max_tokens=10), Cause.BUDGET),
    ],
)
def test_a_limit_holds_between_requests(
    stage: Stage, table: dict[str, Any], budget: Budget, cause: Cause
) -> None:
    stage.table, stage.budget = AnthropicAgent(model="scripted", price=PRICE, **table), budget
    failure = stage.failure("write x; finish")
    assert (failure.cause, failure.usage.requests, len(stage.asked)) == (cause, 1, 1)


@pytest.mark.parametrize("limit", [{"max_tokens": 4_000}, {"max_cost": 0.5}])
def test_a_limit_of_an_item_holds_over_its_attempts(stage: Stage, limit: dict[str, Any]) -> None:
    stage.table = AnthropicAgent(model="scripted", price=PRICE, **limit)
    assert stage.failure("finish").cause is Cause.FAILED
    before = Usage(input=4_000, requests=3, cost=0.5)
    assert stage.failure("say a", used=before).cause is Cause.LIMIT


def test_an_attempt_knows_why_the_last_one_failed(stage: Stage) -> None:
    previous = Failure(CleanText("no output file was written"), cause=Cause.NO_OUTPUT)
    stage.talk("write x; finish", previous=previous)
    assert "failed: no output file was written. Write your file, and check" in stage.asked[0].messages


def test_a_cancelled_conversation_ends_at_once(stage: Stage) -> None:
    agent = stage.agent()

    async def scene() -> None:
        task = asyncio.ensure_future(
            agent.run(assigned := stage.assignment("nap 300"), stage.place(assigned), stage.hear)
        )
        await wait_until_async(lambda: stage.server.under_way, "the request")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await agent.close()

    asyncio.run(asyncio.wait_for(scene(), 60))


Answer = Callable[[asyncio.StreamWriter], Coroutine[None, None, None]]


@pytest.mark.parametrize(
    "body",
    [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 36\r\n\r\nevent: message_start\ndata: {bad json\n\n",
        b'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 77\r\n\r\nevent: message_start\ndata: {"type": "message_start", "message": {"id": null}}\n\n',
        b'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 56\r\n\r\nevent: content_block_stop\ndata: {"type":"x", "index": 4}\n\n',
        b"no http at all\r\n\r\n",
    ],
)
def test_a_server_that_is_none_breaks_nothing(stage: Stage, body: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100_000)
        writer.write(body)
        await writer.drain()
        writer.close()

    async def scene() -> Reply | Failure:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        stage.table, stage.rate_limit = (
            AnthropicAgent(model="scripted", base_url=url),
            RateLimit(patience=0.2),
        )
        agent = stage.agent()
        try:
            return await agent.run(assigned := stage.assignment("write x"), stage.place(assigned), stage.hear)
        finally:
            await agent.close()
            server.close()

    result = asyncio.run(scene())
    assert isinstance(result, Failure)
    assert result.cause in {Cause.FAILED, Cause.LATER, Cause.FATAL}
    assert ("invalid base URL" in result.reason) == (b"html" in body)


def test_a_script_that_can_not_be_read_is_an_error(stage: Stage) -> None:
    failure = stage.failure("write x; tool {bad json")
    assert failure.cause is Cause.FAILED
    assert "cannot read the script" in failure.reason


def test_whatever_the_model_says_is_shown_as_harmless_lines(stage: Stage) -> None:
    bad = (
        "\x1b[31mred\x1b]0,title\x07 \u202egnp.exe\u200b | Gitbatch-Item: task.md\\nGitbatch-Checkpoint: 9/9"
    )
    result = stage.talk(f"say {bad} + read \x1b[2J\u202e; write x; finish {bad}. Two.")
    assert isinstance(result, Reply)
    for text in (*stage.lines().splitlines(), result.summary):
        assert text.isprintable(), text
        assert "\u202e" not in text


def test_the_key_does_not_get_through_in_pieces(stage: Stage) -> None:
    in_pieces = "\u200b".join(KEY)
    stage.talk(f"say {KEY} and {in_pieces} and {'x' * 590} {KEY}; write x; finish {KEY} is it. {in_pieces}.")
    assert KEY not in stage.lines()
    assert KEY[:9] not in stage.lines()


def left(stage: Stage, text: str, *, may_stay: bool) -> EarlierOutput:
    """What an earlier attempt had written, in the worktree."""
    path = stage.folder / "a" / "out" / "a.md"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    blob = stage.base.git.run("hash-object", "-w", "--stdin", input=text.encode()).stdout.decode().strip()
    return EarlierOutput(blob, may_stay)


def test_what_an_earlier_attempt_wrote_is_quoted_read_and_edited(stage: Stage) -> None:
    earlier = left(stage, "# Half\n", may_stay=True)
    script = "read out/a.md; edit Half => Whole; append # End\\n; finish"
    assert isinstance(stage.talk(script, earlier=earlier), Reply)
    assert stage.output() == "# Whole\n# End\n"
    assert "# Half" in stage.asked[0].messages, "quoted, before any tool is used"
    assert "out/a.md: lines 1 to 1 of 1" in stage.asked[1].messages
    assert "# Half" in stage.asked[1].messages


def test_what_an_earlier_attempt_wrote_may_be_all_there_is_to_do(stage: Stage) -> None:
    assert isinstance(stage.talk("finish", earlier=left(stage, "# All\n", may_stay=True)), Reply)
    assert stage.output() == "# All\n"


def test_what_was_not_enough_cannot_be_finished_as_it_is(stage: Stage) -> None:
    earlier = left(stage, "# Half\n", may_stay=False)
    assert isinstance(stage.talk("finish; edit Half => Whole; finish", earlier=earlier), Reply)
    assert "out/a.md is as it was: change it, then finish" in stage.asked[1].messages
    assert stage.output() == "# Whole\n"
