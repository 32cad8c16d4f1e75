"""The proxy around one start of a program: its variables, the listener, and a launcher that sends none."""

import asyncio
import os
import socket
from pathlib import Path

import pytest
from msgspec.structs import replace
from waiting import DEADLINE

from gitbatch.agents.command.agent import make_command_agent
from gitbatch.agents.command.table import CommandAgent
from gitbatch.agents.process import listener as listener_module
from gitbatch.agents.process.api_access import ApiAccess, FoundKey
from gitbatch.agents.process.api_programs import CLAUDE
from gitbatch.agents.process.api_session import ApiSession
from gitbatch.agents.process.network import AgentNetwork
from gitbatch.agents.process.spending import AttemptLimits
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, OutputStream
from gitbatch.agents.reply import make_reply
from gitbatch.agents.services import AgentServices
from gitbatch.api_proxy.rules import ProxyRules
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.sandbox.model import Network, SandboxKind
from gitbatch.text import clean_text

KEY = "sk-ant-api03-the-real-one"
ACCESS = ApiAccess(
    ProxyRules(origin="http://127.0.0.1:9", routes=CLAUDE.routes),
    CLAUDE,
    FoundKey("ANTHROPIC_API_KEY", KEY),
    is_hidden=True,
)


def a_session(said: list[str]) -> ApiSession:
    def note(stream: OutputStream, line: str) -> None:
        said.append(f"{stream.value}: {line}")

    return ApiSession(ACCESS, AttemptLimits(Budget(), ItemKey("a")), note)


def test_variables() -> None:
    with a_session([]) as session:
        given = {"PATH": "/bin", "ANTHROPIC_API_KEY": KEY, "https_proxy": "http://users", "NO_PROXY": "*"}
        variables = session.set_variables(given)
    assert variables["ANTHROPIC_API_KEY"].startswith("sk-ant-api03-")
    assert KEY not in variables.values()
    named = {name for name, value in variables.items() if value == "http://127.0.0.1:3128"}
    assert named == {
        *("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"),
        "ANTHROPIC_BASE_URL",
    }
    assert variables["NO_PROXY"] == variables["no_proxy"] == "localhost,127.0.0.1,::1"
    assert variables["PATH"] == "/bin"


def test_addresses_of_this_machine_that_are_allowed_go_through_the_proxy() -> None:
    rules = ProxyRules(named_hosts=("127.0.0.1:8443", "docs.example"))
    limits = AttemptLimits(Budget(), ItemKey("a"))
    with ApiSession(ApiAccess(rules), limits, lambda _stream, _line: None) as session:
        variables = session.set_variables({})
    assert variables["NO_PROXY"] == variables["no_proxy"] == "localhost,::1"


def test_listener_is_served_while_the_block_runs() -> None:
    said: list[str] = []

    async def connect(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")
        answer = await reader.readline()
        writer.close()
        return answer

    async def play() -> bytes:
        with a_session(said) as session, socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            with socket.socket(fileno=os.dup(session.channel or 0)) as theirs:
                socket.send_fds(theirs, [b"."], [listener.fileno()])
            listener.close()
            async with session.serve():
                assert session.is_served
                answer = await connect(port)
            with pytest.raises(ConnectionRefusedError):
                await connect(port)
            return answer

    assert b" 403 " in asyncio.run(play())
    assert [line.partition(" (")[0] for line in said] == ["progress: refused by the proxy: example.org:443"]


def test_listener_of_this_machine() -> None:
    """Where the sandbox has no namespace: a port of its own for each start, which the sandbox is to let through."""

    async def play() -> tuple[bytes, str]:
        limits = AttemptLimits(Budget(), ItemKey("a"))
        with ApiSession(ACCESS, limits, lambda _stream, _line: None, SandboxKind.SEATBELT) as session:
            assert session.channel is None
            assert session.address == f"http://127.0.0.1:{session.host_port}"
            assert session.set_variables({})["HTTPS_PROXY"] == session.address
            async with session.serve():
                reader, writer = await asyncio.open_connection("127.0.0.1", session.host_port)
                writer.write(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")
                answer = await reader.readline()
                writer.close()
            return answer, session.address

    first, second = asyncio.run(play()), asyncio.run(play())
    assert b" 403 " in first[0]
    assert first[1] != second[1]


def _wait_reasons(session: ApiSession, *failures: Failure) -> list[WaitReason]:
    judged = map(session.judge_answer, failures)
    return [failure.wait_reason for failure in judged if isinstance(failure, Failure)]


def test_answer_of_the_program() -> None:
    """The larger count is charged; a limit is the cause of a failure, and what was refused is in its details."""
    reported, budget = Usage(clean_text("m"), input=1, requests=1, cost=0.5), Budget(max_tokens=9)
    with ApiSession(ACCESS, AttemptLimits(budget, ItemKey("a")), lambda _stream, _line: None) as session:
        session.log.open_answer("application/json").feed_bytes(
            b'{"model": "m", "usage": {"input_tokens": 9}}'
        )
        session.log.answers[0].finish()
        session.log.statuses[429] += 2
        session.log.add_refusal("evil.example:443")
        counted = Usage(clean_text("m"), input=9, requests=1, cost=0.5)
        assert session.judge_answer(make_reply("Done.", usage=reported)).usage == counted
        failure = Failure(
            clean_text("no"), (clean_text("last line"),), Cause.FATAL, retry_after=3.0, usage=reported
        )
        details = ("last line", "the server answered 429 (2 times)", "refused by the proxy: evil.example:443")
        assert session.judge_answer(failure) == replace(failure, details=details, usage=counted)
        session.log.add_answer(429, {"retry-after": "300"})
        busy = replace(failure, cause=Cause.BUSY, retry_after=None)
        for one, wait in ((busy, 300.0), (replace(busy, retry_after=3.0), 3.0), (failure, 3.0)):
            judged = session.judge_answer(one)
            assert isinstance(judged, Failure)
            assert judged.retry_after == wait
        session.log.add_answer(200, {})
        assert session.log.retry_after is None
        assert _wait_reasons(session, busy, failure) == [WaitReason.SERVER_BUSY, WaitReason.SERVER_BUSY]
        session.log.add_failure("no connection to a")
        assert _wait_reasons(session, busy, failure) == [WaitReason.NO_CONNECTION, WaitReason.SERVER_BUSY]
        session.log.add_answer(200, {})
        session.log._refusals.popitem()
        session.log.wants_login = True
        for one in (busy, replace(busy, cause=Cause.FAILED), replace(busy, cause=Cause.TIMEOUT)):
            judged = session.judge_answer(one)
            assert isinstance(judged, Failure)
            assert (judged.cause, judged.reason.partition(":")[0]) == (
                Cause.FATAL,
                "the proxy in the environment wants a login (407)",
            )
        session.log.wants_login = False
        session.log.statuses.clear()
        session.log.statuses[429] += 2
        why = "the budget of the batch is reached (9 tokens)"
        assert session._find_limit(session.log.usages) == why
        assert budget.known_usage.total_tokens == 9  # the items that run at the same time see it
        limited = Failure(clean_text(why), tuple(map(clean_text, details)), Cause.BUDGET, usage=counted)
        assert session.judge_answer(failure) == limited
        assert session.judge_answer(make_reply("Done.", usage=reported)).usage == counted


@pytest.mark.parametrize(
    ("reported", "cost"),
    [
        (Usage(input=1, requests=1, cost=0.0), 0.25),
        (Usage(cost=0.0), 0.25),
        (Usage(input=9, requests=1, cost=0.1), 0.1),
    ],
)
def test_program_that_reports_too_little(reported: Usage, cost: float) -> None:
    """Its tokens show that; else the price, which takes time to find, is its own."""
    limits = AttemptLimits(Budget(), ItemKey("a"), find_cost=lambda _model, _usage: 0.25)
    with ApiSession(ACCESS, limits, lambda _stream, _line: None) as session:
        session.log.open_answer("application/json").feed_bytes(b'{"usage": {"input_tokens": 9}}')
        session.log.answers[0].finish()
        assert session.add_usage(reported) == Usage(input=9, requests=1, cost=cost)


def test_launcher_that_sends_no_listener(tmp_path: Path) -> None:
    """A program that waits for it is ended, and not waited for."""
    table = CommandAgent(command=("sleep", "600"), sandbox="none")
    services = AgentServices({"PATH": "/usr/bin:/bin"}, None, Starter())
    made = make_command_agent("a", table, services)
    agent = replace(made, network=AgentNetwork(Network.API, ACCESS))
    place = AgentFolders(tmp_path, tmp_path / "scratch")
    assignment = Assignment(item=ItemKey("a"), output="a", prompt="", context=(), timeout=600, attempt=1)
    answer = asyncio.run(agent.run(assignment, place, lambda _stream, _line: None))
    assert isinstance(answer, Failure)
    assert answer.reason == "ended by signal 15"


def test_launcher_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting up a sandbox can hang, at a file system that does not answer; the time of the item has not begun then."""
    monkeypatch.setattr(listener_module, "_PATIENCE", 0.01)

    async def play() -> bool:
        with a_session([]) as session, socket.socket(fileno=os.dup(session.channel or 0)):
            async with asyncio.timeout(DEADLINE), session.serve():
                return session.is_served

    assert not asyncio.run(play())
