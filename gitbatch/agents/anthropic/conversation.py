"""One attempt at an item: requests and tools in turns, until the model finishes or fails.

The table of `limits/causes.py` says what follows each failure. Handled here is what needs no new
attempt: waiting for the rate limit and asking the same again, a smaller context, a model with a larger window, going on
after a cut at the output limit, a nudge where the model ends without finishing.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from gitbatch.agents.anthropic.api_key import ApiKey
from gitbatch.agents.anthropic.blocks import (
    CALL_FINISH,
    CALL_GIVE_VERDICT,
    CUT,
    NOT_AN_OBJECT,
    NOT_FINISHED,
    NOT_RUN,
    TOO_LONG,
    text_block,
    tool_result,
)
from gitbatch.agents.anthropic.counting import CannotCountError, count_tokens
from gitbatch.agents.anthropic.output import OutputFile
from gitbatch.agents.anthropic.progress_check import ProgressCheck
from gitbatch.agents.anthropic.prompt import Prompt, Quoted, build_prompt, guess_tokens, read_context
from gitbatch.agents.anthropic.request import NAMELESS, TOO_LARGE, Message, Request, RequestParams, Response
from gitbatch.agents.anthropic.request_error import RequestError
from gitbatch.agents.anthropic.schemas import FINISH, GIVE_VERDICT
from gitbatch.agents.anthropic.time_limit import pause_time_limit
from gitbatch.agents.anthropic.tools import ToolContext, ToolResult, use_tool
from gitbatch.agents.anthropic.transcript import Transcript
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, Progress, Reply, ReplyFlag
from gitbatch.agents.reply import NO_VERDICT
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import FREE, Spent, Usage
from gitbatch.text import clean_text

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

    from gitbatch.agents.anthropic.agent import ClaudeAgent

_ENDING = (FINISH, GIVE_VERDICT)
_STRIKES = 5
"""How often the same request may fail while the server answers other requests."""
_LEVELS = 3
"""How often a prompt that is too large is built again before it is sent."""
_LARGEST_QUOTE = 4 * 1024 * 1024


async def hold_conversation(
    agent: "ClaudeAgent",
    client: "AsyncAnthropic",
    assignment: Assignment,
    folders: AgentFolders,
    progress: Progress,
) -> Reply | Failure:
    """Holds the conversation of an assignment."""
    if folders.base is None:
        return Failure(
            clean_text("missing base commit: this agent reads from it"),
            cause=Cause.FATAL,
            usage=FREE,
        )
    key = ApiKey(agent.key)
    output = OutputFile(folders.layers, assignment.output)
    tool_context = ToolContext(folders.base, output, key, assignment.earlier, review=assignment.review)
    transcript = Transcript(progress, key)
    files = await read_context(assignment, folders.base, _LARGEST_QUOTE)
    limit = asyncio.timeout(assignment.timeout)
    talk = Conversation(agent, client, assignment, files, tool_context, transcript, limit)
    try:
        async with limit:
            return await talk.run()
    except TimeoutError:
        if not limit.expired():
            raise
        reason = clean_text(f"it took longer than {assignment.timeout:g} seconds")
        return Failure(reason, transcript.last_lines(), Cause.TIMEOUT, usage=talk.used)
    finally:
        talk.release_waiting()


@dataclass(slots=True)
class Conversation:
    """The state of an attempt."""

    agent: "ClaudeAgent"
    client: "AsyncAnthropic"
    assignment: Assignment
    files: tuple[Quoted, ...]
    tool_context: ToolContext
    transcript: Transcript
    limit: asyncio.Timeout
    model: str = ""
    level: int = 0
    """How often the context was made smaller."""
    used: Usage = FREE
    messages: list[Message] = field(default_factory=list)
    progress_check: ProgressCheck = field(default_factory=ProgressCheck)
    prompt: Prompt = field(default_factory=lambda: Prompt((), "", ()))
    is_counted: bool = True
    """The server has reported the usage of each whole answer."""
    leading_key: str = ""
    """The key of the start of a prompt that other items wait for this one to send; empty: none."""

    async def run(self) -> Reply | Failure:
        """Takes turns until the attempt ends."""
        self.model = self.agent.table.model
        failed = self.assignment.previous
        self.level = 1 if failed and failed.cause is Cause.CONTEXT else 0
        if self.agent.is_first_use():
            self.transcript.show_notice(self.agent.prices.describe_prices(self.model))
        await self._begin_conversation()
        for _ in range(self.agent.table.max_turns):
            response = await self._next_response()
            end = response if isinstance(response, Failure) else await self._handle_response(response)
            if end:
                return end
        return self._make_failure(Cause.FAILED, f"no end after {self.agent.table.max_turns} answers")

    def release_waiting(self) -> None:
        """Lets another item of the group send the start of the prompt that the group shares."""
        if self.leading_key:
            self.agent.warmup.give_up(self.leading_key)
            self.leading_key = ""

    async def _begin_conversation(self) -> None:
        """Builds the first message, as large as the model can read."""
        self.progress_check = ProgressCheck()  # it may have to read again what it has read
        window = self.agent.window_of(self.model)
        last = self.level + _LEVELS
        while True:
            self.prompt = build_prompt(self.assignment, self.files, window, self.level)
            if await self._has_room(window - self.agent.table.max_output_tokens) or self.level == last:
                break
            self.level += 1
        note = f"{self.assignment.output} has what you wrote before; read_file shows it. Continue from there."
        written = (text_block(note),) if self.tool_context.has_written else ()
        self.messages = [Message("user", (text_block(self.prompt.request), *written))]
        if self.prompt.left_out:
            self.transcript.show_notice(f"not quoted, only named: {', '.join(self.prompt.left_out)}")

    async def _has_room(self, room: int) -> bool:
        """Whether the prompt leaves room for an answer. The server counts the tokens only if that is not certain."""
        size = self.prompt.byte_size + len(json.dumps(self.prompt.tools))
        if size <= room:  # no token is less than a byte
            return True
        if self.agent.can_count:
            counted = await self._count_prompt()
            if counted is not None:
                return counted <= room
        return guess_tokens(size) <= room

    async def _count_prompt(self) -> int | None:
        try:
            return await count_tokens(self.client, self.model, self.prompt)
        except CannotCountError:
            self.agent.can_count = False
            return None

    async def _next_response(self) -> Response | Failure:
        """Returns the next answer of the model, after as many requests as it takes."""
        strikes = 0
        while True:
            problem = self._check_limits()
            if problem:
                return problem
            await self._wait_for_turn()
            answers = self.agent.answers
            request = self._make_request()
            try:
                result = await request.fetch_response()
            finally:  # a request that is cancelled has a usage too
                self._charge_usage(request.usage_so_far)
            if isinstance(result, Response):
                self.agent.answers += 1
                self.agent.rate_limit.note_success()
                return self._check_counts(request) or result
            strikes += result.is_cut or (not result.is_limit and self.agent.answers > answers)
            end = await self._recover_from(result, strikes)
            if end:
                return end

    async def _recover_from(self, result: RequestError, strikes: int) -> Failure | None:
        """Does what a failed request needs before it is sent again. Returns a failure if nothing helps."""
        self.release_waiting()  # our request may be the cause of the error
        if result.cause is Cause.CONTEXT and await self._retry_smaller(result):
            return None
        if result.cause is not Cause.BUSY:
            return self._make_failure(result.cause, result.said)
        if strikes >= _STRIKES:
            return self._make_failure(Cause.FAILED, f"{strikes} requests failed: {result.said}")
        if not self.agent.rate_limit.start_wait(result.retry_after, result.wait_reason):
            return self._make_failure(Cause.LATER, result.said, result.retry_after)
        self.transcript.show_notice(f"waits {self.agent.rate_limit.seconds_left:.1f} s: {result.said}")
        return None

    async def _wait_for_turn(self) -> None:
        """Waits for a busy server, and for the first item of the group."""
        limit, began = self.agent.rate_limit, asyncio.get_running_loop().time()
        was_closed = limit.seconds_left > 0
        async with pause_time_limit(self.limit):
            while True:
                await limit.wait()
                if self.leading_key != self._warm_key and await self.agent.warmup.wait_or_lead(
                    self._warm_key
                ):
                    self.leading_key = self._warm_key
                if not limit.seconds_left:  # a wait may have started meanwhile
                    break
                was_closed = True
        if was_closed:
            self.transcript.show_notice(f"continues after {asyncio.get_running_loop().time() - began:.1f} s")

    @property
    def _warm_key(self) -> str:
        return f"{self.model} {self.prompt.cache_key}"

    def _make_request(self) -> Request:
        question = RequestParams(
            self.model, self.agent.table.max_output_tokens, self.prompt, tuple(self.messages)
        )
        return Request(self.client, question, self.agent.prices, self.transcript, self._note_answer_began)

    def _note_answer_began(self) -> None:
        """Notes that the server has begun to answer: its cache has the start of the prompt."""
        self.agent.warmup.mark_warm(self._warm_key)
        self.leading_key = ""

    def _charge_usage(self, usage: Usage) -> None:
        if usage.requests:
            self.used += usage
            self.agent.budget.charge_request(self.assignment.item, usage)

    def _check_counts(self, request: Request) -> Failure | None:
        """Notes what the server does not report. Returns a failure if a limit cannot be kept without it."""
        if request.has_nameless and not self.agent.is_nameless:
            self.agent.is_nameless = True
            self.transcript.show_notice(f"{NAMELESS}: its events are read by the type in their data")
        if request.is_counted:
            return None
        self.is_counted = False
        table, budget = self.agent.table, self.agent.budget
        limits = (table.max_cost, table.max_tokens, budget.max_cost, budget.max_tokens)
        if all(limit is None for limit in limits):
            return None
        problem = "the server does not report how many tokens it used, so no limit can be kept"
        return self._make_failure(Cause.FATAL, f"{problem}: run without limits of cost and tokens")

    def _check_limits(self) -> Failure | None:
        """Returns a failure if a limit forbids another request."""
        table, used = self.agent.table, Spent(self.assignment.used).plus_usage(self.used).usage
        if self.agent.budget.is_reached:
            return self._make_failure(Cause.BUDGET, "the budget of the batch is reached")
        if table.max_cost is not None and (used.cost or 0.0) >= table.max_cost:
            return self._make_failure(Cause.LIMIT, f"${table.max_cost:g} for this item are spent")
        if table.max_tokens is not None and used.total_tokens >= table.max_tokens:
            return self._make_failure(Cause.LIMIT, f"{table.max_tokens} tokens for this item are used")
        return None

    async def _retry_smaller(self, trouble: RequestError) -> bool:
        """Starts again with a smaller context, once; then with the model that can read more. False: neither helps."""
        fallback = self.agent.table.fallback_model
        if self.level == 0:
            self.level = 1
            self.transcript.show_notice(f"starts again with a smaller context: {trouble.said}")
        elif fallback and self.model != fallback:
            self.model, self.level = fallback, 0
            self.transcript.show_notice(
                f"starts again with {self.agent.prices.describe_prices(fallback)}: {trouble.said}"
            )
        else:
            return False
        await self._begin_conversation()
        return True

    async def _handle_response(self, response: Response) -> Reply | Failure | None:
        """Does what an answer asks for. None: the conversation continues."""
        if response.stop == "refusal":
            return self._make_failure(
                Cause.DECLINED, f"the model declines: {response.said or 'it does not say why'}"
            )
        if response.content:
            self.messages.append(Message("assistant", response.content))
        why = "it pauses"
        if response.stop == TOO_LARGE:
            self._add_user_blocks(text_block(TOO_LONG))
            return self._end_if_stuck(self.progress_check.note_too_large())
        if response.stop == "max_tokens":
            why = "its answers are cut at max-output-tokens"
            self._add_user_blocks(
                *(tool_result(call, ToolResult(NOT_RUN, is_error=True)) for call in response.tool_calls),
                text_block(CUT),
            )
        elif response.tool_calls:
            return await self._run_tools(response)
        elif response.stop != "pause_turn" or not response.content:
            why = "it ended without finishing"
            self._add_user_blocks(text_block(CALL_GIVE_VERDICT if self.assignment.review else CALL_FINISH))
        return self._end_if_stuck(self.progress_check.note_turn((), why))

    async def _run_tools(self, response: Response) -> Reply | Failure | None:
        """Runs the tools of an answer, the ending one last: it ends the attempt only if no other call of it failed."""
        answers: dict[int, ToolResult] = {}
        if sum(call["name"] == GIVE_VERDICT for call in response.tool_calls) > 1:
            return self._make_failure(Cause.UNREVIEWED, f"{NO_VERDICT}it gave more than one")
        for at, call in sorted(enumerate(response.tool_calls), key=lambda each: each[1]["name"] in _ENDING):
            failed = any(answer.is_error for answer in answers.values())
            answer = await self._run_tool(call, is_broken=call["id"] in response.broken, failed=failed)
            self.transcript.show_notice(f"{call['name']}: {answer.note or answer.text.partition(chr(10))[0]}")
            if answer.reply:
                flags = () if self.is_counted else (ReplyFlag.USAGE_MISSING,)
                return replace(answer.reply, usage=self.used, flags=(*answer.reply.flags, *flags))
            answers[at] = answer
        results = [(call, answers[at]) for at, call in enumerate(response.tool_calls)]
        self._add_user_blocks(*(tool_result(call, answer) for call, answer in results))
        return self._end_if_stuck(self.progress_check.note_turn(results, "it repeats its calls"))

    async def _run_tool(self, call: dict[str, Any], *, is_broken: bool, failed: bool) -> ToolResult:
        if is_broken:
            return ToolResult(NOT_AN_OBJECT, is_error=True)
        if failed and call["name"] in _ENDING:
            return ToolResult(NOT_FINISHED, is_error=True)
        return await use_tool(self.tool_context, call["name"], call["input"])

    def _end_if_stuck(self, problem: str) -> Failure | None:
        return self._make_failure(Cause.FAILED, problem) if problem else None

    def _add_user_blocks(self, *blocks: dict[str, Any]) -> None:
        if (
            self.messages[-1].role == "user"
        ):  # the answer was empty: two user messages must not follow each other
            blocks = (*self.messages.pop().blocks, *blocks)
        self.messages.append(Message("user", blocks))

    def _make_failure(self, cause: Cause, said: str, retry_after: float | None = None) -> Failure:
        return Failure(
            self.transcript.clean_line(said), self.transcript.last_lines(), cause, retry_after, self.used
        )
