"""An agent of ACP as a real process: what is left of it when it is cancelled, and what importing it costs."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from agents.claude_code_values import an_assignment
from waiting import wait_until_async

from gitbatch.agents.acp.agent import make_acp_agent
from gitbatch.agents.acp.table import AcpAgent
from gitbatch.agents.process import agent as process_agent
from gitbatch.agents.process.interruption import AttemptInterruptedError
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import AgentFolders, Failure, Reply
from gitbatch.agents.services import AgentServices
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.plan.model import ItemKey
from gitbatch.sandbox.model import SandboxKind

PROGRAM = Path(__file__).parent / "acp_agent.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return tmp_path


def services_in(folder: Path) -> AgentServices:
    return AgentServices({"HOME": str(folder)}, SandboxKind.NONE, Starter(), budget=Budget())


async def hang(folder: Path, services: AgentServices) -> Reply | Failure:
    """Runs an agent that reports a cost, and then hangs."""
    table = AcpAgent(command=(sys.executable, "-ES", str(PROGRAM), str(folder)))
    agent = make_acp_agent("a", table, services)
    prompt = "- Write one file: docs/p1.md. It is the only thing.\nact: hang\n"
    place = AgentFolders(folder / "tree", folder / "scratch")
    return await agent.run(an_assignment(prompt=prompt), place, lambda _stream, _line: None)


async def cancel(folder: Path, services: AgentServices, times: int) -> AttemptInterruptedError:
    """Returns the error of an attempt that is cancelled when it hangs."""
    working = asyncio.ensure_future(hang(folder, services))
    await wait_until_async((folder / "hangs").exists, "the agent hangs")
    for _ in range(times):
        working.cancel()
        await asyncio.sleep(0)
    with pytest.raises(AttemptInterruptedError) as raised:
        await working
    return raised.value


def assert_nothing_runs(folder: Path) -> None:
    running = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False)
    assert running.stdout == ""


@pytest.mark.parametrize("times", [1, 2])
def test_cancellation_keeps_what_it_has_cost(
    folder: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr("gitbatch.agents.acp.dialogue.CANCEL_LIMIT", 0.1 if times == 1 else 60.0)
    services = services_in(folder)
    error = asyncio.run(cancel(folder, services, times))
    assert error.usage.cost == 0.5
    assert services.budget.close_attempt(ItemKey("1-t1"), error.usage).cost == 0.5
    assert_nothing_runs(folder)


def test_program_that_was_stopped_has_no_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have ended before that is looked at: it was asked to."""
    monkeypatch.setattr("gitbatch.agents.acp.dialogue.CANCEL_LIMIT", 0.1)
    monkeypatch.setattr(process_agent, "has_ended", lambda _transport, _watch: True)
    assert asyncio.run(cancel(folder, services_in(folder), 1)).usage.cost == 0.5


def test_time_out_keeps_what_it_has_cost(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait_in_vain(*_given: object) -> bool:
        await wait_until_async((folder / "hangs").exists, "the agent hangs")
        return False

    monkeypatch.setattr("gitbatch.agents.acp.dialogue.CANCEL_LIMIT", 0.1)
    monkeypatch.setattr("gitbatch.agents.acp.program._wait_for_first", wait_in_vain)
    failure = asyncio.run(hang(folder, services_in(folder)))
    assert isinstance(failure, Failure)
    assert (failure.cause, failure.usage.cost) == (Cause.TIMEOUT, 0.5)
    assert_nothing_runs(folder)


def test_the_library_is_imported_only_when_an_agent_runs() -> None:
    code = (
        "import sys\n"
        "from gitbatch.project.config import parse_config\n"
        "from gitbatch.project.agent_kinds import factory_of\n"
        'config = parse_config(b\'[agents.a]\\nkind = "acp"\\npreset = "claude"\\n\')\n'
        "factory_of(config.agents['a'])\n"
        "print([name for name in ('acp', 'pydantic') if name in sys.modules])\n"
        "import gitbatch.agents.acp.dialogue\n"
        "print('acp' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["[]", "True"]
