"""The agent kind `command`: a program of the user's choice, and the format of its events if it has one."""

from functools import partial

from gitbatch.agents.command.program import CommandProgram, find_program_path
from gitbatch.agents.command.table import CommandAgent
from gitbatch.agents.process.agent import MakeProgram, ProcessAgent
from gitbatch.agents.process.network import open_network
from gitbatch.agents.services import AgentServices
from gitbatch.errors import GitbatchError
from gitbatch.sandbox.model import SandboxKind
from gitbatch.text import CleanText, clean_text

_UNCONFINED = ("danger-full-access", "--dangerously-bypass-approvals-and-sandbox", "--yolo")
"""Arguments that switch a program's own walls off."""


def make_command_agent(name: str, table: CommandAgent, services: AgentServices) -> ProcessAgent:
    """Makes an agent of this kind.

    Raises:
        GitbatchError: its sandbox does not work here, or it needs one and has none.
    """
    sandbox = services.open_sandbox(table.sandbox)
    unconfined = next((word for word in _UNCONFINED if any(word in each for each in table.command)), None)
    if table.format and unconfined and sandbox.kind is SandboxKind.NONE:
        raise GitbatchError(
            f"agent {name}: {unconfined} needs a sandbox",
            f"remove it from the command of [agents.{name}], or let it run in a sandbox",
        )
    network = open_network(name, table, services.environment, sandbox)
    return ProcessAgent(
        name=name,
        table=table,
        environment=services.environment,
        sandbox=sandbox,
        starter=services.starter,
        command=(find_program_path(table.command[0]), *table.command[1:]),
        make_program=_find_program(table, services),
        network=network,
        budget=services.budget,
        knows_usage=table.own_reports.usage or network.counts_usage,
        knows_cost=table.own_reports.cost or network.counts_cost,
        notes=(*network.notes, *_find_notes(name, table, services)),
    )


def _find_notes(name: str, table: CommandAgent, services: AgentServices) -> tuple[CleanText, ...]:
    """Returns a line for the header of a run if a program that talks to a model has no key."""
    keys = table.secret_variables if table.format else ()
    if not keys or any(services.environment.get(key, "").strip() for key in keys):
        return ()
    verb = "is" if len(keys) == 1 else "are"
    return (clean_text(f"agent {name}: {', '.join(keys)} {verb} not set"),)


def _find_program(table: CommandAgent, services: AgentServices) -> MakeProgram:
    """Returns the function that makes a start of the program."""
    if table.format is None:
        return partial(CommandProgram, table)
    from gitbatch.agents.command.event_program import EventPrograms  # noqa: PLC0415 - most commands have no format

    return EventPrograms(table, table.format, services.rate_limit).make_program
