"""The scripted server answers as the Messages API does, to clients that stream and to those that do not."""

import http.client
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from gitbatch.agents.anthropic.scripted.script import next_step
from gitbatch.agents.anthropic.scripted.server import KEY, ScriptedServer

if TYPE_CHECKING:  # the library takes a second to import: not where these tests are only collected
    from anthropic import Anthropic
    from anthropic.types import Message


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def request(script: str) -> dict[str, Any]:
    task = f"Your file: out/a.md\n> - [ ] Write a `script: {script}`"
    return {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": task}]}


def client(server: ScriptedServer) -> "Anthropic":
    from anthropic import Anthropic  # noqa: PLC0415 - as above

    return Anthropic(api_key=KEY, base_url=server.url, max_retries=0)


def streamed(server: ScriptedServer, script: str) -> "Message":
    with client(server) as made, made.messages.stream(**request(script)) as stream:
        return stream.get_final_message()


def whole(server: ScriptedServer, script: str) -> "Message":
    from anthropic.types import Message  # noqa: PLC0415 - as above

    with client(server) as made:
        answer = made.messages.create(**request(script))
    assert isinstance(answer, Message)
    return answer


@pytest.mark.parametrize(
    "script", ["say Hello.\\nYou. + write # A + read x", "say x", 'Write {"file_path": "a"}', "say x + stop refusal", "nap 0"]
)  # fmt: skip
def test_without_a_stream_the_answer_is_the_same_in_one_piece(server: ScriptedServer, script: str) -> None:
    by_stream, at_once = streamed(server, script).to_dict(warnings=False), whole(server, script).to_dict()
    used, also_used = by_stream.pop("usage"), at_once.pop("usage")
    assert by_stream.pop("stop_details") is None  # the library's
    assert at_once == by_stream
    assert isinstance(used, dict)
    assert isinstance(also_used, dict)
    assert used.keys() == also_used.keys()
    assert used["output_tokens"] == also_used["output_tokens"]


def test_answers_of_a_conversation_have_different_ids(server: ScriptedServer) -> None:
    """Claude Code joins answers with the same id to one."""
    asked = request("say x; say x")
    later = [*asked["messages"], {"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}]
    with client(server) as made:
        first, second = (
            made.messages.create(**{**asked, "messages": each}) for each in (asked["messages"], later)
        )
    assert first.id != second.id


def test_arguments_that_are_not_json_can_only_be_streamed(server: ScriptedServer) -> None:
    for arguments in ("{bad}", "[1]"):
        (call,) = whole(server, f"raw write_output {arguments}").content
        assert call.to_dict()["input"] == {}


def test_after_an_error_in_mid_stream_the_request_succeeds_without_a_stream(server: ScriptedServer) -> None:
    """What Claude Code does."""
    from anthropic import APIStatusError  # noqa: PLC0415 - as above

    with pytest.raises(APIStatusError, match="Overloaded"):
        streamed(server, "cut error + say x")
    assert whole(server, "cut error + say x").content[0].to_dict() == {"type": "text", "text": "x"}
    assert len(server.seen) == 2


@pytest.mark.parametrize("how", ["eof", "reset"])
def test_a_whole_answer_can_be_cut_too(server: ScriptedServer, how: str) -> None:
    from anthropic import APIConnectionError  # noqa: PLC0415 - as above

    with pytest.raises(APIConnectionError):
        whole(server, f"cut {how} + say x")
    assert whole(server, f"cut {how} + say x").stop_reason == "end_turn"


def test_a_whole_answer_can_be_an_error(server: ScriptedServer) -> None:
    from anthropic import APIStatusError  # noqa: PLC0415 - as above

    with pytest.raises(APIStatusError) as raised:
        whole(server, "cut error + say x")
    assert raised.value.status_code == 529


def asked(server: ScriptedServer, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    connection.request(method, path, body, {"x-api-key": KEY})
    response = connection.getresponse()
    said = response.status, response.read()
    connection.request("HEAD", "/")  # the connection still works
    assert connection.getresponse().status == 200
    connection.close()
    return said


def test_a_client_may_ask_whether_there_is_a_server(server: ScriptedServer) -> None:
    assert asked(server, "HEAD", "/") == (200, b"")
    assert asked(server, "HEAD", "/v1/nothing") == (404, b"")
    status, body = asked(server, "GET", "/")
    assert (status, json.loads(body)["error"]["type"]) == (404, "not_found_error")


def test_what_is_not_json_is_refused(server: ScriptedServer) -> None:
    status, body = asked(server, "POST", "/v1/messages?beta=true", b"{bad")
    assert (status, json.loads(body)["error"]["type"]) == (400, "invalid_request_error")


def test_the_script_knows_the_code_of_a_review() -> None:
    text = '`script: say {"review": "\\c"}` {"review": "00ff", "verdict": "accept"} {"review": "0f1e", "verdict": "revise"}'
    step = next_step({"messages": [{"role": "user", "content": text}]})
    assert step.blocks == ({"type": "text", "text": '{"review": "0f1e"}'},)
