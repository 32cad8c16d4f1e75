"""The agent kind `claude-code`: Claude Code, started for each attempt, with its events read as they come."""

import asyncio
from functools import partial

from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.agents.claude_code.command_line import build_arguments, fixed_variables
from gitbatch.agents.claude_code.key import KeyVariable, find_key
from gitbatch.agents.claude_code.table import ClaudeCodeAgent
from gitbatch.agents.json_lines.claude import ClaudeEvents
from gitbatch.agents.json_lines.claude_events import Event
from gitbatch.agents.json_lines.claude_outcome import wait_for_server
from gitbatch.agents.json_lines.verdict import CutAnswers, Verdict, find_usage_problem, judge_last_lines
from gitbatch.agents.last_message import INSTRUCTION, read_last_message
from gitbatch.agents.process.agent import ProcessAgent
from gitbatch.agents.process.api_access import FoundKey
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.process.last_lines import find_reason
from gitbatch.agents.process.network import open_network
from gitbatch.agents.process.program import Program, ProgramExit, describe_exit, feed_and_wait
from gitbatch.agents.process.spending import AttemptLimits, ReachedLimit
from gitbatch.agents.process.watch import EVENT_LINE, ExitWait, OutputWatch, ShownLine
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, OutputStream, Reply
from gitbatch.agents.reply import PartialReply, make_review
from gitbatch.agents.services import AgentServices
from gitbatch.errors import GitbatchError
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import FREE, format_dollars
from gitbatch.sandbox.model import SandboxKind
from gitbatch.text import clean_text

_BATCH_LIMIT = "the budget of the batch is reached"


class SharedState(Struct):
    """What the attempts of all items of a run share."""

    services: AgentServices
    cut_answers: CutAnswers = field(default_factory=CutAnswers)

    def wait_for_server(self, event: Event) -> None:
        """Makes all items wait when a request is sent again because the server is busy, or cannot be reached."""
        wait_for_server(self.services.rate_limit, event)


def make_claude_code_agent(name: str, table: ClaudeCodeAgent, services: AgentServices) -> ProcessAgent:
    """Makes an agent of this kind.

    Raises:
        GitbatchError: no key is set, its sandbox does not work here, or it has a shell without a sandbox.
    """
    key = find_key(name, table, services.environment)
    sandbox = services.open_sandbox(table.sandbox)
    if "Bash" in table.tools and sandbox.kind is SandboxKind.NONE:
        raise GitbatchError(
            f"agent {name}: the tool Bash needs a sandbox",
            f'remove "Bash" from the tools of [agents.{name}], or let it run in a sandbox',
        )
    address = _find_address(table, services)
    found = FoundKey(key.name, key.value)
    network = open_network(name, table, services.environment, sandbox, found, address)
    return ProcessAgent(
        name=name,
        table=table,
        environment=services.environment,
        sandbox=sandbox,
        starter=services.starter,
        command=(table.program,),
        make_program=partial(make_program, table, key, SharedState(services)),
        knows_usage=True,
        knows_cost=True,
        cost_limit=table.max_cost,
        token_limit=table.max_tokens,
        notes=network.notes,
        network=network,
        budget=services.budget,
    )


def make_program(
    table: ClaudeCodeAgent,
    key: KeyVariable,
    state: SharedState,
    assignment: Assignment,
    folders: AgentFolders,
    files: ExchangeFiles,
) -> Program | Failure:
    """Makes one start of Claude Code; returns a failure if no money is left for it."""
    own = None if table.max_cost is None else table.max_cost - (assignment.used.cost or 0.0)
    of_batch = state.services.budget.cost_left_for(assignment.item)
    if own is not None and own <= 0:
        return Failure(clean_text(_limit_reached(table)), cause=Cause.LIMIT, usage=FREE)
    if of_batch is not None and of_batch <= 0:
        return Failure(clean_text(_BATCH_LIMIT), cause=Cause.BUDGET, usage=FREE)
    limits = AttemptLimits(
        state.services.budget, assignment.item, token_limit=table.max_tokens, used=assignment.used
    )
    if reached := limits.find_reached_tokens(0):
        return Failure(clean_text(reached.reason), cause=reached.cause, usage=FREE)
    left = min((limit for limit in (own, of_batch) if limit is not None), default=None)
    stream = ClaudeEvents(folders.worktree, state.wait_for_server)
    is_own = own is not None and left == own
    return ClaudeCodeProgram(table, key, state, assignment, folders, files, stream, limits, left, is_own)


class ClaudeCodeProgram(Struct, frozen=True):
    """One start of Claude Code."""

    table: ClaudeCodeAgent
    key: KeyVariable
    state: SharedState
    assignment: Assignment
    folders: AgentFolders
    files: ExchangeFiles
    stream: ClaudeEvents
    limits: AttemptLimits
    """Of tokens: Claude Code has none of its own."""
    cost_left: float | None
    """US dollars that it may spend; None: no limit."""
    is_own_limit: bool
    """Whether that is the rest of the item's limit, and not of the batch's."""

    @property
    def line_bytes(self) -> int:
        """As for a program that prints events."""
        return EVENT_LINE

    def arguments(self) -> list[str]:
        """Returns the command line."""
        instruction = INSTRUCTION if self.assignment.artifacts and not self.assignment.review else ""
        output = None if self.assignment.review else self.assignment.output
        return build_arguments(self.table, output, self.cost_left, instruction)

    def environment(self) -> dict[str, str]:
        """Returns the fixed variables, the key, and the address of the server."""
        url = _find_address(self.table, self.state.services)
        address = {"ANTHROPIC_BASE_URL": url} if url else {}
        return {**fixed_variables(self.folders.scratch), self.key.name: self.key.value, **address}

    def show_line(self, stream: OutputStream, line: str) -> ShownLine | None:
        """Shows what an event says to people."""
        return self.stream.take_line(stream, line)

    async def work(self, transport: asyncio.SubprocessTransport, watch: OutputWatch) -> ExitWait:
        """Gives it the prompt, and waits for its end."""
        return await feed_and_wait(transport, watch, self.assignment, self.has_finished, self.must_end)

    def has_finished(self) -> bool:
        """Whether its result has come: it was seen to hang after that."""
        return self.stream.result is not None

    def must_end(self) -> bool:
        """Whether it has used the tokens that it may use, and has more to do."""
        return self.stream.result is None and self._find_reached() is not None

    def read_reply(self, ended: ProgramExit) -> Reply | Failure:
        """Returns the reply of the result."""
        if self.stream.result is None:
            reached = self._find_reached()
            failure = (
                Failure(clean_text(reached.reason), ended.watch.last_lines(), reached.cause)
                if reached
                else self._fail_without_result(ended)
            )
            return replace(failure, usage=self.stream.usage)
        usage, review = self.stream.usage, self.assignment.review
        if verdict := self.stream.judge_exit(ended.status, ()):
            return replace(self._fail(verdict, ended), usage=usage, retry_after=self.stream.retry_after)
        if review:
            return make_review(self.stream.summary, review, usage)
        denials = self.stream.denials
        if denials and not self.folders.has_file(self.assignment.output):
            reason = clean_text(f"no output file was written ({denials[-1]})")
            return Failure(reason, denials, Cause.NO_OUTPUT, usage=usage)
        return read_last_message(self.stream.summary, usage)

    def read_failure(self, ended: ProgramExit) -> Failure:
        """Returns why it failed, by its result; without one, by its exit status and its last lines."""
        verdict = self.stream.judge_exit(ended.status, ())
        return self._fail(verdict, ended) if verdict else self._fail_without_result(ended)

    def read_partial_reply(self, _ended: ProgramExit) -> PartialReply:
        """Returns the usage of the result; without one, the tokens that were reported until then, and no cost."""
        return PartialReply(self.stream.usage, self.stream.retry_after)

    def _find_reached(self) -> ReachedLimit | None:
        return self.limits.find_reached_tokens(self.stream.usage_so_far.total_tokens)

    def _fail(self, verdict: Verdict, ended: ProgramExit) -> Failure:
        cause, reason = verdict.cause, verdict.reason
        if cause is Cause.LIMIT and not self.is_own_limit:
            cause, reason = Cause.BUDGET, clean_text(_BATCH_LIMIT)
        elif cause is Cause.LIMIT:
            reason = clean_text(_limit_reached(self.table))
        else:
            cause = self.state.cut_answers.decide_cause(self.assignment.item, verdict)
        return Failure(reason, ended.watch.last_lines(), cause, wait_reason=verdict.wait_reason)

    def _fail_without_result(self, ended: ProgramExit) -> Failure:
        """Returns the failure of a program that did not come to its end, or is another one."""
        details = (*ended.watch.last_errors(), *self.stream.unread_lines)
        unknown = "" if self.stream.has_started else find_usage_problem(details)
        if unknown:
            said = unknown.removeprefix("error: ")
            reason = f"{self.table.program} is too old ({said}): update Claude Code"
            return Failure(clean_text(reason), details, Cause.FATAL)
        if ended.status == 0:
            why = (
                "ended without a result"
                if self.stream.has_started
                else "does not print events of Claude Code"
            )
            cause = Cause.FAILED if self.stream.has_started else Cause.FATAL
            return Failure(clean_text(f"{self.table.program} {why}"), details, cause)
        if not self.stream.has_started and (verdict := judge_last_lines(details)):
            return Failure(
                verdict.reason,
                details,
                verdict.cause,
                wait_reason=verdict.wait_reason,
                is_guess=verdict.is_guess,
            )
        reason = clean_text(describe_exit(ended.status, find_reason(details)))
        return Failure(reason, details or ended.watch.last_lines())


def _limit_reached(table: ClaudeCodeAgent) -> str:
    return f"its limit of {format_dollars(table.max_cost or 0.0)} (max-cost) is reached"


def _find_address(table: ClaudeCodeAgent, services: AgentServices) -> str:
    """Returns the address of the server; empty: Claude Code's own."""
    return table.base_url or services.environment.get("ANTHROPIC_BASE_URL", "")
