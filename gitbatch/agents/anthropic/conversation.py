"""One attempt at an item: requests and tools in turns, until the model finishes or it is clear that it can't.

What is done about each failure of a request is in the table of `limits/causes.py`. Here is what needs no new
attempt: waiting for the rate limit and asking the same again, a smaller context, a model with a larger window, going on
after a cut at the output limit, a nudge where the model ends without finishing.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from gitbatch.agents.anthropic.counting import CannotCountError, count_tokens
from gitbatch.agents.anthropic.output import OutputFile
from gitbatch.agents.anthropic.prompt import Prompt, Quoted, build_prompt, guessed_tokens, read_context
from gitbatch.agents.anthropic.request import NAMELESS, TOO_LARGE, Message, Request, RequestParams, Response
from gitbatch.agents.anthropic.schemas import TOOLS
from gitbatch.agents.anthropic.secret import Secret
from gitbatch.agents.anthropic.shown import Transcript
from gitbatch.agents.anthropic.tools import Answer, ToolContext, use_tool
from gitbatch.agents.anthropic.trouble import RequestError
from gitbatch.agents.protocol import Assignment, Failure, LocalPlace, Progress, Reply, ReplyFlag
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import FREE, Spent, Usage
from gitbatch.text import clean_text

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

    from gitbatch.agents.anthropic.agent import ClaudeAgent

_STRIKES = 5
"""How often the same request may fail while the server works for others."""
_IDLE_TURNS = 3
"""Answers in a row that bring nothing: only errors, or neither a tool nor an end."""
_LEVELS = 3
"""How often a prompt that is too large is built again before it is asked."""
_LARGEST_QUOTE = 4 * 1024 * 1024
_NUDGE = "You have not called finish. Go on with the work if it is not complete; call finish when your file is written."
_CUT = "Your answer was cut at the limit of its length. Go on from there, in smaller pieces."
_REFUSED = (
    "Your answer was refused: it was far larger than an answer may be. Write your file in smaller pieces."
)
_NOT_RUN = "not done: the answer was cut in the middle of it. Do it again, in smaller pieces"
_NO_OBJECT = "not done: the arguments are no JSON object. Do it again, with arguments that are"
_NOT_FINISHED = "not finished: another call of the same answer failed. Mend that, then finish again"


async def converse(
    agent: "ClaudeAgent",
    client: "AsyncAnthropic",
    assignment: Assignment,
    place: LocalPlace,
    progress: Progress,
) -> Reply | Failure:
    """Hold the conversation for an assignment."""
    if place.base is None:
        return Failure(
            clean_text("this agent needs the base commit, and was not given it"),
            cause=Cause.FATAL,
            usage=FREE,
        )
    secret = Secret(agent.key)
    output = OutputFile(place.worktree, assignment.output)
    bench = ToolContext(place.base, output, secret, assignment.earlier)
    shown = Transcript(progress, secret)
    files = await read_context(assignment, place.base, _LARGEST_QUOTE)
    limit = asyncio.timeout(assignment.timeout)
    talk = Conversation(agent, client, assignment, files, bench, shown, limit)
    try:
        async with limit:
            return await talk.run()
    except TimeoutError:
        if not limit.expired():
            raise
        reason = clean_text(f"it took longer than {assignment.timeout:g} seconds")
        return Failure(reason, shown.last(), Cause.TIMEOUT, usage=talk.used)
    finally:
        talk.let_others_go()


@dataclass(slots=True)
class Conversation:
    """The state of an attempt."""

    agent: "ClaudeAgent"
    client: "AsyncAnthropic"
    assignment: Assignment
    files: tuple[Quoted, ...]
    bench: ToolContext
    shown: Transcript
    limit: asyncio.Timeout
    model: str = ""
    level: int = 0
    """How often the context was made smaller."""
    used: Usage = FREE
    messages: list[Message] = field(default_factory=list)
    idle: int = 0
    prompt: Prompt = field(default_factory=lambda: Prompt((), "", ()))
    is_counted: bool = True
    """The server has said what each whole answer used."""
    leads: str = ""
    """The start of a prompt that others wait for us to send."""

    async def run(self) -> Reply | Failure:
        """Take turns until there is an end."""
        self.model = self.agent.table.model
        failed = self.assignment.previous
        self.level = 1 if failed and failed.cause is Cause.CONTEXT else 0
        if self.agent.is_first_use():
            self.shown.say(self.agent.prices.describe(self.model))
        await self._begin()
        for _ in range(self.agent.table.max_turns):
            turn = await self._answer()
            end = turn if isinstance(turn, Failure) else await self._take(turn)
            if end:
                return end
        return self._failure(Cause.FAILED, f"no end after {self.agent.table.max_turns} answers")

    def let_others_go(self) -> None:
        """Stop being the one that the others of the group wait for."""
        if self.leads:
            self.agent.warmup.give_up(self.leads)
            self.leads = ""

    async def _begin(self) -> None:
        """Set up the start of the conversation, as large as the model can read."""
        window = self.agent.window_of(self.model)
        last = self.level + _LEVELS
        while True:
            self.prompt = build_prompt(self.assignment, self.files, window, self.level)
            if await self._fits(window - self.agent.table.max_output_tokens) or self.level == last:
                break
            self.level += 1
        note = f"{self.assignment.output} has what you wrote before; read_file shows it. Go on from there."
        written = (_words(note),) if self.bench.has_written else ()
        self.messages = [Message("user", (_words(self.prompt.task), *written))]
        if self.prompt.left_out:
            self.shown.say(f"not quoted, only named: {', '.join(self.prompt.left_out)}")

    async def _fits(self, room: int) -> bool:
        """Whether the prompt leaves room for an answer. Only what might not is counted, where the server counts."""
        size = self.prompt.size + len(json.dumps(TOOLS))
        if size <= room:  # no token is less than a byte
            return True
        if self.agent.can_count:
            counted = await self._count()
            if counted is not None:
                return counted <= room
        return guessed_tokens(size) <= room

    async def _count(self) -> int | None:
        try:
            return await count_tokens(self.client, self.model, self.prompt)
        except CannotCountError:
            self.agent.can_count = False
            return None

    async def _answer(self) -> Response | Failure:
        """The model's next answer, however often it must be asked for."""
        strikes = 0
        while True:
            problem = self._spent()
            if problem:
                return problem
            await self._pass()
            answers = self.agent.answers
            request = self._request()
            try:
                found = await request.answer()
            finally:  # one that is cut off by the item's time or the user has used something too
                self._charge(request.used)
            if isinstance(found, Response):
                self.agent.answers += 1
                self.agent.rate_limit.note_success()
                return self._uncounted(request) or found
            strikes += found.is_cut or (not found.is_limit and self.agent.answers > answers)
            end = await self._mend(found, strikes)
            if end:
                return end

    async def _mend(self, found: RequestError, strikes: int) -> Failure | None:
        """Do what a request that failed needs before it is made again. A failure: there is nothing to do."""
        self.let_others_go()  # it may be our request that is the trouble
        if found.cause is Cause.CONTEXT and await self._smaller(found):
            return None
        if found.cause is not Cause.BUSY:
            return self._failure(found.cause, found.said)
        if strikes >= _STRIKES:
            return self._failure(Cause.FAILED, f"{strikes} requests failed: {found.said}")
        if not self.agent.rate_limit.start_wait(found.retry_after, found.wait_reason):
            return self._failure(Cause.LATER, found.said, found.retry_after)
        self.shown.say(f"waits {self.agent.rate_limit.seconds_left:.1f} s: {found.said}")
        return None

    async def _pass(self) -> None:
        """Wait where all have to wait: for a busy server, and for the first item of the group."""
        limit, began = self.agent.rate_limit, asyncio.get_running_loop().time()
        was_closed = limit.seconds_left > 0
        async with self._unhurried():
            while True:
                await limit.wait()
                if self.leads != self._warm_key and await self.agent.warmup.wait(self._warm_key):
                    self.leads = self._warm_key
                if not limit.seconds_left:  # it may have closed while we waited for the other
                    break
                was_closed = True
        if was_closed:
            self.shown.say(f"goes on after {asyncio.get_running_loop().time() - began:.1f} s")

    @asynccontextmanager
    async def _unhurried(self) -> AsyncIterator[None]:
        """Within it, the item's time does not run."""
        loop, deadline = asyncio.get_running_loop(), self.limit.when()
        began = loop.time()
        if not self.limit.expired():
            self.limit.reschedule(None)
        try:
            yield
        finally:
            if deadline is not None and not self.limit.expired():
                self.limit.reschedule(deadline + loop.time() - began)

    @property
    def _warm_key(self) -> str:
        return f"{self.model} {self.prompt.key}"

    def _request(self) -> Request:
        question = RequestParams(
            self.model, self.agent.table.max_output_tokens, self.prompt.system_blocks(), tuple(self.messages)
        )
        return Request(self.client, question, self.agent.prices, self.shown, self._begun)

    def _begun(self) -> None:
        """The server has begun to answer: it has the start of the prompt in its cache."""
        self.agent.warmup.begin(self._warm_key)
        self.leads = ""

    def _charge(self, usage: Usage) -> None:
        if usage.requests:
            self.used += usage
            self.agent.budget.charge_request(self.assignment.item, usage)

    def _uncounted(self, request: Request) -> Failure | None:
        """Note what the server leaves out. A failure: a limit cannot be kept without it."""
        if request.has_nameless and not self.agent.is_nameless:
            self.agent.is_nameless = True
            self.shown.say(f"{NAMELESS}: its events are read by the type in their data")
        if request.is_counted:
            return None
        self.is_counted = False
        table, budget = self.agent.table, self.agent.budget
        limits = (table.max_cost, table.max_tokens, budget.max_cost, budget.max_tokens)
        if all(limit is None for limit in limits):
            return None
        unknown = "the server does not say how many tokens it used, so no limit can be kept"
        return self._failure(Cause.FATAL, f"{unknown}: run without limits of cost and tokens")

    def _spent(self) -> Failure | None:
        """Whether a limit forbids another request."""
        table, used = self.agent.table, Spent(self.assignment.used).plus_usage(self.used).usage
        if self.agent.budget.is_reached:
            return self._failure(Cause.BUDGET, "the budget of the batch is reached")
        if table.max_cost is not None and (used.cost or 0.0) >= table.max_cost:
            return self._failure(Cause.LIMIT, f"${table.max_cost:g} for this item are spent")
        if table.max_tokens is not None and used.total_tokens >= table.max_tokens:
            return self._failure(Cause.LIMIT, f"{table.max_tokens} tokens for this item are used")
        return None

    async def _smaller(self, trouble: RequestError) -> bool:
        """Begin again with a smaller context, once; then with the model that can read more. False: neither helps."""
        fallback = self.agent.table.fallback_model
        if self.level == 0:
            self.level = 1
            self.shown.say(f"begins again with a smaller context: {trouble.said}")
        elif fallback and self.model != fallback:
            self.model, self.level = fallback, 0
            self.shown.say(f"begins again with {self.agent.prices.describe(fallback)}: {trouble.said}")
        else:
            return False
        await self._begin()
        return True

    async def _take(self, turn: Response) -> Reply | Failure | None:
        """Do what an answer asks for. None: the conversation goes on."""
        if turn.stop == "refusal":
            return self._failure(Cause.DECLINED, f"the model declines: {turn.said or 'it does not say why'}")
        if turn.content:
            self.messages.append(Message("assistant", turn.content))
        if turn.stop == TOO_LARGE:
            self.idle += 1
            self._tell(_words(_REFUSED))
            return self._stuck("its answers are far larger than max-output-tokens allows")
        if turn.stop == "max_tokens":
            self._tell(*(_result(call, Answer(_NOT_RUN, is_error=True)) for call in turn.calls), _words(_CUT))
        elif turn.calls:
            return await self._use(turn)
        elif turn.stop != "pause_turn" or not turn.content:
            self.idle += 1
            self._tell(_words(_NUDGE))
        return self._stuck("it ended without finishing")

    async def _use(self, turn: Response) -> Reply | Failure | None:
        """Do what an answer asks for, `finish` last: it ends the work only where nothing else of the answer failed."""
        answers: dict[int, Answer] = {}
        for at, call in sorted(enumerate(turn.calls), key=lambda each: each[1]["name"] == "finish"):
            failed = any(answer.is_error for answer in answers.values())
            answer = await self._do(call, is_broken=call["id"] in turn.broken, failed=failed)
            self.shown.say(f"{call['name']}: {answer.note or answer.text.partition(chr(10))[0]}")
            if answer.reply:
                flags = () if self.is_counted else (ReplyFlag.USAGE_MISSING,)
                return replace(answer.reply, usage=self.used, flags=(*answer.reply.flags, *flags))
            answers[at] = answer
        self.idle = self.idle + 1 if all(answer.is_error for answer in answers.values()) else 0
        self._tell(*(_result(call, answers[at]) for at, call in enumerate(turn.calls)))
        return self._stuck(f"tools: {answers[max(answers)].text.partition(chr(10))[0]}")

    async def _do(self, call: dict[str, Any], *, is_broken: bool, failed: bool) -> Answer:
        if is_broken:
            return Answer(_NO_OBJECT, is_error=True)
        if failed and call["name"] == "finish":
            return Answer(_NOT_FINISHED, is_error=True)
        return await use_tool(self.bench, call["name"], call["input"])

    def _stuck(self, why: str) -> Failure | None:
        return self._failure(Cause.FAILED, why) if self.idle >= _IDLE_TURNS else None

    def _tell(self, *blocks: dict[str, Any]) -> None:
        if (
            self.messages[-1].role == "user"
        ):  # an answer had nothing in it: two of ours must not follow each other
            blocks = (*self.messages.pop().blocks, *blocks)
        self.messages.append(Message("user", blocks))

    def _failure(self, cause: Cause, said: str, retry_after: float | None = None) -> Failure:
        return Failure(self.shown.clean(said), self.shown.last(), cause, retry_after, self.used)


def _words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _result(call: dict[str, Any], answer: Answer) -> dict[str, Any]:
    text = answer.text.encode(errors="replace").decode()
    return {
        "type": "tool_result",
        "tool_use_id": call["id"],
        "content": text or "(nothing)",
        "is_error": answer.is_error,
    }
