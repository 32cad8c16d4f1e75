"""From a name in the configuration to an agent."""

import pytest

from gitbatch.agents.command.table import CommandAgent
from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.agent import ProcessAgent
from gitbatch.agents.process.starter import Starter
from gitbatch.errors import PlanError
from gitbatch.project.config import Config
from gitbatch.sandbox.model import SandboxKind
from gitbatch.sandbox.none import NoSandbox

A, B = CommandAgent(command=("x",)), CommandAgent(command=("y",), timeout="1m")
CONFIG = Config(agents={"a": A, "b": B})


def test_an_agent_has_its_name_its_table_and_the_environment() -> None:
    environment = {"PATH": "/bin"}
    pool = AgentPool(environment, SandboxKind.NONE, Starter())
    made = pool.get_agent("b", CONFIG)
    assert isinstance(made, ProcessAgent)
    assert (made.name, made.table, made.environment) == ("b", B, environment)
    assert (made.sandbox, made.sandbox_kind, made.starter) == (NoSandbox(), "none", pool.starter)


def test_the_sandbox_is_the_wanted_one_or_that_of_the_configuration() -> None:
    table = CommandAgent(command=("x",), sandbox="none")
    for pool, name, config in (
        (AgentPool({}, None, Starter()), "a", Config(agents={"a": table})),
        (AgentPool({}, SandboxKind.NONE, Starter()), "b", CONFIG),
    ):
        made = pool.get_agent(name, config)
        assert isinstance(made, ProcessAgent)
        assert made.sandbox == NoSandbox()


def test_an_unknown_name() -> None:
    with pytest.raises(PlanError, match=r"^agent 'c' is not configured$"):
        AgentPool({}, None, Starter()).get_agent("c", CONFIG)


def test_an_agent_is_made_once() -> None:
    pool = AgentPool({}, SandboxKind.NONE, Starter())
    assert pool.get_agent("a", CONFIG) is pool.get_agent("a", CONFIG)
    assert pool.get_agent("a", CONFIG) is not pool.get_agent("b", CONFIG)
