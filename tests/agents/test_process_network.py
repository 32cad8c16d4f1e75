"""The network of an agent's program: what its settings ask for, what is possible, and what the header says."""

from typing import Any

import pytest

from gitbatch.agents.acp.table import AcpAgent
from gitbatch.agents.claude_code.table import ClaudeCodeAgent
from gitbatch.agents.command.table import CommandAgent
from gitbatch.agents.process.api_access import FoundKey
from gitbatch.agents.process.network import open_network
from gitbatch.agents.process.table import ProcessTable
from gitbatch.errors import GitbatchError
from gitbatch.sandbox import network as sandbox_network
from gitbatch.sandbox.landlock import Landlock
from gitbatch.sandbox.model import Network, Sandbox
from gitbatch.sandbox.none import NoSandbox

NO_HOST = "network: api (no host: list those that it needs in allow-hosts)"
NO_NAMESPACE = "no network namespace here"
KEY = {"ANTHROPIC_API_KEY": "sk-ant-api03-k"}


def a_command(**settings: Any) -> CommandAgent:  # noqa: ANN401 - fields of a table
    return CommandAgent(command=("agent",), **settings)


def opened(
    table: ProcessTable,
    patch: pytest.MonkeyPatch,
    problem: str = "",
    environment: dict[str, str] | None = None,
    sandbox: Sandbox | None = None,
) -> tuple[Network, list[str]]:
    """Returns the network and the notes on a machine with a problem, or none."""
    patch.setattr(sandbox_network, "find_network_problem", lambda _sandbox: problem)
    found = open_network("a", table, environment or {}, sandbox or Landlock(6))
    assert (found.access is not None) == (found.kind is Network.API)
    return found.kind, [note.removeprefix("agent a: ") for note in found.notes]


@pytest.mark.parametrize(
    ("table", "kind", "notes"),
    [
        (a_command(), Network.NONE, []),
        (a_command(network=False), Network.NONE, []),
        (a_command(network=True), Network.ALL, ["network: all"]),
        (a_command(network="api"), Network.API, [NO_HOST]),
        (
            a_command(network="api", allow_hosts=("example.org",)),
            Network.API,
            ["network: api (example.org)"],
        ),
        (a_command(format="claude"), Network.API, ["network: api (api.anthropic.com)"]),
        (a_command(format="claude", network=False), Network.NONE, ["network: none"]),
        (AcpAgent(preset="claude"), Network.API, ["network: api (api.anthropic.com)"]),
        (AcpAgent(command=("agent",)), Network.API, [NO_HOST]),
        (ClaudeCodeAgent(network=True), Network.ALL, ["network: all"]),
    ],
)
def test_network(
    monkeypatch: pytest.MonkeyPatch, table: ProcessTable, kind: Network, notes: list[str]
) -> None:
    assert opened(table, monkeypatch) == (kind, notes)


@pytest.mark.parametrize(
    ("passed", "notes"),
    [
        ({"ANTHROPIC_API_KEY": "k"}, ["network: api (api.anthropic.com)"]),
        ({"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}, ["key: in its environment"]),
        ({"OPENAI_API_KEY": "k"}, ["key: in its environment"]),
        (
            {"ANTHROPIC_API_KEY": "k", "OPENCODE_CONFIG_CONTENT": '{"baseURL": "x"}'},
            ["key: in its environment"],
        ),
        ({"ANTHROPIC_API_KEY": "k", "OPENCODE_CONFIG_CONTENT": "{}"}, ["network: api (api.anthropic.com)"]),
    ],
)
@pytest.mark.parametrize("kind", ["command", "acp"])
def test_program_with_several_providers(
    monkeypatch: pytest.MonkeyPatch, passed: dict[str, str], notes: list[str], kind: str
) -> None:
    names = tuple(passed)
    by_format = a_command(format="opencode", pass_env=names)
    table = by_format if kind == "command" else AcpAgent(preset="opencode", pass_env=names)
    found = opened(table, monkeypatch, environment=passed)[1]
    assert [note.partition(" (")[0] if note.startswith("key") else note for note in found[-1:]] == notes


def test_key_stays_out_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    table = a_command(format="claude", pass_env=("ANTHROPIC_API_KEY",))
    assert opened(table, monkeypatch, environment=KEY)[1] == ["network: api (api.anthropic.com)"]
    found = opened(
        a_command(format="codex", pass_env=("OPENAI_API_KEY",)), monkeypatch, "", {"OPENAI_API_KEY": "k"}
    )
    assert found[1][1].startswith("key: in its environment")


@pytest.mark.parametrize(
    ("table", "counted"),
    [
        (AcpAgent(preset="gemini", pass_env=("KEY",)), (True, True)),
        (a_command(format="qwen"), (True, False)),  # the prices of its models are not known
        (a_command(format="codex"), (False, False)),
        (a_command(network=True), (False, False)),
    ],
)
def test_what_the_proxy_counts(
    monkeypatch: pytest.MonkeyPatch, table: ProcessTable, counted: tuple[bool, bool]
) -> None:
    monkeypatch.setattr(sandbox_network, "find_network_problem", lambda _sandbox: "")
    found = open_network("a", table, {}, Landlock(6), FoundKey("KEY", "k"))
    assert (found.counts_usage, found.counts_cost) == counted


@pytest.mark.parametrize("table", [ClaudeCodeAgent(), AcpAgent(command=("a",)), a_command(format="qwen")])
def test_default_that_is_impossible(monkeypatch: pytest.MonkeyPatch, table: ProcessTable) -> None:
    assert opened(table, monkeypatch, NO_NAMESPACE) == (Network.ALL, [f"network: all ({NO_NAMESPACE})"])
    found = opened(table, monkeypatch, "no sandbox", {"HTTPS_PROXY": "http://proxy"}, NoSandbox())
    assert found == (
        Network.ALL,
        [
            "network: all (no sandbox)",
            "HTTPS_PROXY is set and not passed: add it to public-env if it is needed",
        ],
    )


@pytest.mark.parametrize(
    ("settings", "problem", "message"),
    [
        ({"network": "api"}, NO_NAMESPACE, f'agent a: network = "api" is impossible: {NO_NAMESPACE}'),
        ({"network": "api"}, "no sandbox", 'agent a: network = "api" is impossible: no sandbox'),
        ({"key": "proxy", "network": True}, "", "agent a: its key cannot be kept out: network = all"),
        (
            {"key": "proxy"},
            NO_NAMESPACE,
            f"agent a: its key cannot be kept out: network = all ({NO_NAMESPACE})",
        ),
    ],
)
def test_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], problem: str, message: str
) -> None:
    with pytest.raises(GitbatchError) as caught:
        opened(ClaudeCodeAgent(**settings), monkeypatch, problem, KEY)
    assert caught.value.message == message
    assert caught.value.advice
