"""From a name in the configuration to an agent."""

import pytest

from gitbatch.agents.command import CommandRunner
from gitbatch.agents.registry import make_agent
from gitbatch.errors import PlanError
from gitbatch.project.config import CommandAgent, Config
from gitbatch.sandbox.model import SandboxKind
from gitbatch.sandbox.none import NoSandbox

CONFIG = Config(agents={"a": CommandAgent(command=("x",)), "b": CommandAgent(command=("y",), timeout="1m")})


def test_an_agent_has_its_name_its_table_and_the_environment() -> None:
    environment = {"PATH": "/bin"}
    made = make_agent("b", CONFIG, environment, SandboxKind.NONE)
    assert made == CommandRunner("b", CONFIG.agents["b"], environment, NoSandbox())


def test_the_sandbox_is_the_wanted_one_or_that_of_the_configuration() -> None:
    config = Config(agents={"a": CommandAgent(command=("x",), sandbox="none")})
    assert make_agent("a", config, {}, None) == CommandRunner("a", config.agents["a"], {}, NoSandbox())
    assert make_agent("b", CONFIG, {}, SandboxKind.NONE) == CommandRunner(
        "b", CONFIG.agents["b"], {}, NoSandbox()
    )


def test_an_unknown_name() -> None:
    with pytest.raises(PlanError, match=r"^there is no agent 'c'$"):
        make_agent("c", CONFIG, {}, None)
