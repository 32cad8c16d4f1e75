"""From a name in the configuration to an agent."""

import pytest

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.agent import CommandRunner
from gitbatch.agents.process.starter import Starter
from gitbatch.errors import PlanError
from gitbatch.project.config import CommandAgent, Config
from gitbatch.sandbox.model import SandboxKind
from gitbatch.sandbox.none import NoSandbox

A, B = CommandAgent(command=("x",)), CommandAgent(command=("y",), timeout="1m")
CONFIG = Config(agents={"a": A, "b": B})


def test_an_agent_has_its_name_its_table_and_the_environment() -> None:
    environment = {"PATH": "/bin"}
    roster = AgentPool(environment, SandboxKind.NONE, Starter())
    assert roster.agent("b", CONFIG) == CommandRunner("b", B, environment, NoSandbox(), roster.starter)


def test_the_sandbox_is_the_wanted_one_or_that_of_the_configuration() -> None:
    table = CommandAgent(command=("x",), sandbox="none")
    for roster, name, config in (
        (AgentPool({}, None, Starter()), "a", Config(agents={"a": table})),
        (AgentPool({}, SandboxKind.NONE, Starter()), "b", CONFIG),
    ):
        made = roster.agent(name, config)
        assert isinstance(made, CommandRunner)
        assert made.sandbox == NoSandbox()


def test_an_unknown_name() -> None:
    with pytest.raises(PlanError, match=r"^there is no agent 'c'$"):
        AgentPool({}, None, Starter()).agent("c", CONFIG)


def test_an_agent_is_made_once() -> None:
    roster = AgentPool({}, SandboxKind.NONE, Starter())
    assert roster.agent("a", CONFIG) is roster.agent("a", CONFIG)
    assert roster.agent("a", CONFIG) is not roster.agent("b", CONFIG)
