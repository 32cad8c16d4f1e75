"""An agent of ACP as a real process: what is left of it when it is cancelled, and what importing it costs."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from agents.claude_code_values import an_assignment
from waiting import wait_until

from gitbatch.agents.acp import dialogue
from gitbatch.agents.acp.agent import make_acp_agent
from gitbatch.agents.acp.table import AcpAgent
from gitbatch.agents.process.interruption import AttemptInterruptedError
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import LocalPlace
from gitbatch.agents.services import AgentServices
from gitbatch.limits.budget import Budget
from gitbatch.plan.model import ItemKey
from gitbatch.sandbox.model import SandboxKind

PROGRAM = Path(__file__).parent / "acp_agent.py"


async def cancel_twice(folder: Path, services: AgentServices, times: int) -> AttemptInterruptedError:
    """Returns the error of an attempt that is cancelled when it hangs."""
    table = AcpAgent(command=(sys.executable, "-ES", str(PROGRAM), str(folder)))
    agent = make_acp_agent("a", table, services)
    prompt = "- Write one file: docs/p1.md. It is the only thing.\nact: hang\n"
    place = LocalPlace(folder / "tree", folder / "scratch")
    working = asyncio.ensure_future(
        agent.run(an_assignment(prompt=prompt), place, lambda _stream, _line: None)
    )
    await asyncio.to_thread(wait_until, (folder / "hangs").exists, "the agent hangs")
    for _ in range(times):
        working.cancel()
        await asyncio.sleep(0)
    with pytest.raises(AttemptInterruptedError) as raised:
        await working
    return raised.value


@pytest.mark.parametrize("times", [1, 2])
def test_cancellation_keeps_what_it_has_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr(dialogue, "CANCEL_LIMIT", 0.1 if times == 1 else 60.0)
    (tmp_path / "tree").mkdir()
    services = AgentServices({"HOME": str(tmp_path)}, SandboxKind.NONE, Starter(), budget=Budget())
    error = asyncio.run(cancel_twice(tmp_path, services, times))
    assert error.usage.cost == 0.5
    assert services.budget.close_attempt(ItemKey("1-t1"), error.usage).cost == 0.5
    running = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert running.stdout == ""


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
