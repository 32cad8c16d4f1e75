"""The kinds of agent, by name: those that come with gitbatch, and those of other distributions."""

import subprocess
import sys
from pathlib import Path

import pytest

from gitbatch.agents.command.table import CommandAgent
from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.starter import Starter
from gitbatch.errors import PlanError
from gitbatch.project.agent_kinds import KINDS, AgentKind, factory_of, find_kind, kind_names
from gitbatch.project.agent_table import AgentTable
from gitbatch.project.config import parse_config

PLUGIN = """
from gitbatch.project.agent_kinds import AgentKind
from gitbatch.project.agent_table import AgentTable
class EchoAgent(AgentTable, frozen=True, kw_only=True, tag="echo"):
    word: str = "hello"
KIND = AgentKind(EchoAgent, "gitbatch_echo:make")
OTHER = 3
def make(name, table, services):
    return (name, table.word, services.sandbox)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution that brings the kind `echo`, and two that are broken."""
    (tmp_path / "gitbatch_echo.py").write_text(PLUGIN, encoding="utf-8")
    info = tmp_path / "gitbatch_echo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: gitbatch-echo\nVersion: 1.0\n", encoding="utf-8"
    )
    entries = "echo = gitbatch_echo:KIND\nwrong = gitbatch_echo:OTHER\ngone = gitbatch_gone:KIND\nalias = gitbatch_echo:KIND\n"
    (info / "entry_points.txt").write_text(f"[gitbatch.agents]\n{entries}", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", KINDS)
def test_built_in_kinds(name: str) -> None:
    kind = find_kind(name)
    assert isinstance(kind, AgentKind)
    assert kind.table.__struct_config__.tag == name
    assert issubclass(kind.table, AgentTable)


def test_factory() -> None:
    assert factory_of(CommandAgent(command=("x",))).__name__ == "make_command_agent"


@pytest.mark.usefixtures("plugin")
def test_installed_kind() -> None:
    config = parse_config(b'[agents.a]\nkind = "echo"\nword = "hi"\ntimeout = "2m"')
    made: object = AgentPool({}, None, Starter()).get_agent("a", config)
    assert made == ("a", "hi", None)
    assert "echo" in kind_names()
    with pytest.raises(PlanError, match=r"unknown field `words` - at `\$.agents.a`"):
        parse_config(b'[agents.a]\nkind = "echo"\nwords = "hi"')
    with pytest.raises(PlanError, match=r"invalid duration 'x' .* - at `\$.agents.a.timeout`"):
        parse_config(b'[agents.a]\nkind = "echo"\ntimeout = "x"')


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong", "agent kind 'wrong' is invalid: gitbatch_echo:OTHER is not an AgentKind of this name"),
        ("alias", "agent kind 'alias' is invalid: gitbatch_echo:KIND is not an AgentKind of this name"),
        ("gone", "agent kind 'gone' cannot be loaded: No module named 'gitbatch_gone'"),
    ],
)
def test_broken_kind(name: str, message: str) -> None:
    with pytest.raises(PlanError) as raised:
        parse_config(f'[agents.a]\nkind = "{name}"'.encode())
    assert (raised.value.message, raised.value.advice) == (
        f"gitbatch.toml: {message} - at `$.agents.a.kind`",
        "update or remove the package that brings it: gitbatch-echo",
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [("", "missing `kind` - at `$.agents.a.kind`"), ("kind = 3", "invalid kind 3 - at `$.agents.a.kind`")],
)
def test_kind_is_required(line: str, message: str) -> None:
    with pytest.raises(PlanError) as raised:
        parse_config(f"[agents.a]\n{line}".encode())
    assert raised.value.message == f"gitbatch.toml: {message}"
    assert raised.value.advice == "use one of the kinds of agent: acp, anthropic, claude-code, command"


def test_only_used_kinds_are_loaded() -> None:
    code = (
        "import sys\nfrom gitbatch.project.config import parse_config\n"
        'parse_config(b\'[agents.a]\\nkind = "command"\\ncommand = ["x"]\')\n'
        "print([m for m in ('asyncio', 'importlib.metadata', 'gitbatch.agents.anthropic.table') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
