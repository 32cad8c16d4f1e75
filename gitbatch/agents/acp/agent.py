"""The agent kind `acp`: a program that speaks the Agent Client Protocol, started for each attempt.

Its client is this process, and the program runs in the sandbox: they talk over its standard streams.
"""

from functools import partial

from msgspec.structs import replace

from gitbatch.agents.acp.permission import PermissionRule
from gitbatch.agents.acp.program import AcpProgram
from gitbatch.agents.acp.table import AcpAgent
from gitbatch.agents.acp.turn import BATCH_LIMIT, Money, Turn, describe_limit
from gitbatch.agents.process.agent import ProcessAgent
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.process.network import open_network
from gitbatch.agents.process.program import Program
from gitbatch.agents.process.spending import AttemptLimits
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure
from gitbatch.agents.services import AgentServices
from gitbatch.errors import GitbatchError
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import FREE
from gitbatch.sandbox.model import SandboxKind
from gitbatch.text import CleanText, clean_text


def make_acp_agent(name: str, table: AcpAgent, services: AgentServices) -> ProcessAgent:
    """Makes an agent of this kind.

    Raises:
        GitbatchError: no key is set, its sandbox does not work here, or what it may do needs one and it has none.
    """
    preset, reports = table.known, table.own_reports
    known = with_preset(name, table, services)
    sandbox = services.open_sandbox(table.sandbox)
    if sandbox.kind is SandboxKind.NONE and (preset.needs_sandbox or table.allow):
        why = "it asks for no permission" if preset.needs_sandbox else 'allow = ["execute"]'
        raise GitbatchError(
            f"agent {name} needs a sandbox: {why}",
            f'remove sandbox = "none" from [agents.{name}], and --sandbox none from the command line',
        )
    network = open_network(name, known, services.environment, sandbox)
    knows_cost = network.counts_cost or reports.cost
    if table.max_cost is not None and not knows_cost:
        raise GitbatchError(
            f"agent {name} does not report its cost, so max-cost cannot be enforced",
            f"remove max-cost from [agents.{name}], or set reports-usage = true if the agent reports its cost",
        )
    knows_usage = network.counts_usage or reports.usage
    if table.max_tokens is not None and not knows_usage:
        raise GitbatchError(
            f"agent {name} does not report its tokens, so max-tokens cannot be enforced",
            f"remove max-tokens from [agents.{name}], or set reports-usage = true if the agent reports its tokens",
        )
    return ProcessAgent(
        name=name,
        table=known,
        environment=services.environment,
        sandbox=sandbox,
        starter=services.starter,
        command=table.arguments,
        make_program=partial(make_program, known, services.budget, sandbox.kind),
        knows_usage=knows_usage,
        knows_cost=knows_cost,
        cost_limit=table.max_cost,
        token_limit=table.max_tokens,
        notes=(*network.notes, *_find_notes(name, table)),
        network=network,
        budget=services.budget,
    )


def with_preset(name: str, table: AcpAgent, services: AgentServices) -> AcpAgent:
    """Returns the table with the variables that its preset passes.

    Raises:
        GitbatchError: none of its keys is set, and no variable is named instead.
    """
    preset, environment = table.known, services.environment
    wanted = table.key_variables
    keys = tuple(key for key in wanted if environment.get(key, "").strip())
    if wanted and not keys and not table.pass_env:
        listed = ", ".join(wanted)
        missing = f"{listed} is not set" if len(wanted) == 1 else f"none of {listed} is set"
        raise GitbatchError(
            f"agent {name} needs a key, and {missing}",
            f"export {wanted[0]}=…, or name another variable in pass-env of [agents.{name}]",
        )
    return replace(table, pass_env=(*table.pass_env, *keys), public_env=(*table.public_env, *preset.public))


def make_program(
    table: AcpAgent,
    budget: Budget,
    sandbox: SandboxKind,
    assignment: Assignment,
    folders: AgentFolders,
    files: ExchangeFiles,
) -> Program | Failure:
    """Makes one start of the program; returns a failure if no money is left for it."""
    limit = table.max_cost
    own = None if limit is None else limit - (assignment.used.cost or 0.0)
    if own is not None and own <= 0:
        return Failure(clean_text(describe_limit(limit or 0.0)), cause=Cause.LIMIT, usage=FREE)
    limits = AttemptLimits(budget, assignment.item, token_limit=table.max_tokens, used=assignment.used)
    if reached := limits.find_reached_tokens(0):
        return Failure(clean_text(reached.reason), cause=reached.cause, usage=FREE)
    of_batch = budget.cost_left_for(assignment.item)
    if of_batch is not None and of_batch <= 0:
        return Failure(clean_text(BATCH_LIMIT), cause=Cause.BUDGET, usage=FREE)
    rule = PermissionRule(
        worktrees=tuple(dict.fromkeys((folders.worktree, folders.worktree.resolve()))),
        scratch=tuple(dict.fromkeys((folders.scratch, folders.scratch.resolve()))),
        output=None if assignment.review else assignment.output,
        may_read=table.reads == "worktree",
        may_execute=sandbox is not SandboxKind.NONE and "execute" in table.allow and not assignment.review,
    )
    if folders.scratch.is_dir():  # Codex does not start with a folder of its own that does not exist
        for path in table.known.folders:
            (folders.scratch / path).mkdir(parents=True, exist_ok=True)
    turn = Turn(table, assignment, folders, rule, Money(budget, own, limit or 0.0))
    return AcpProgram(table, assignment, folders, files, turn)


def _find_notes(name: str, table: AcpAgent) -> tuple[CleanText, ...]:
    """Returns what the header of a run says about an agent: what it may do without being asked."""
    notes = []
    if table.known.needs_sandbox:
        notes.append(
            f"agent {name}: mode {table.wanted_mode}: it asks for no permission, only its sandbox limits what it does"
        )
    if "execute" in table.allow:
        notes.append(f"agent {name}: it may run commands in its sandbox")
    return tuple(map(clean_text, notes))
