"""One start of an agent that speaks the protocol: what it may do, when it is stopped, and what its end means."""

import asyncio
import time
from importlib import import_module
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.acp.failure import NOT_SPOKEN, describe_error, find_wait, is_about_key, judge_rpc_error
from gitbatch.agents.acp.inbox import LINE_BYTES
from gitbatch.agents.acp.outcome import Stage, Stop, judge_stop_reason
from gitbatch.agents.acp.presets import deny_output
from gitbatch.agents.acp.table import AcpAgent
from gitbatch.agents.acp.turn import Turn
from gitbatch.agents.last_message import INSTRUCTION, read_last_message
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.process.interruption import ProgramStoppedError
from gitbatch.agents.process.last_lines import find_reason
from gitbatch.agents.process.placeholders import fill_placeholders
from gitbatch.agents.process.program import ProgramExit, describe_exit, get_stdin, kill_program
from gitbatch.agents.process.watch import ExitWait, OutputWatch, ShownLine
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, OutputStream, Reply
from gitbatch.agents.reply import PartialReply, make_review
from gitbatch.limits.causes import Cause
from gitbatch.text import CleanText, clean_text

_LAST_ANSWER = 1.0
"""Seconds for what a program printed last to be read, once it has ended."""
_DIALOGUE = "gitbatch.agents.acp.dialogue"


class AcpProgram(Struct, frozen=True):
    """One start of the program."""

    table: AcpAgent
    assignment: Assignment
    folders: AgentFolders
    files: ExchangeFiles
    turn: Turn

    @property
    def line_bytes(self) -> int:
        """As long as a message can be."""
        return LINE_BYTES

    def arguments(self) -> list[str]:
        """Returns the command line with its placeholders filled."""
        return [self._fill(argument) for argument in self.table.arguments]

    def environment(self) -> dict[str, str]:
        """Returns the variables of the preset and of the table, with their placeholders filled."""
        variables = self.table.fixed_variables
        if self.assignment.review:
            variables = {name: deny_output(value) for name, value in variables.items()}
        return {name: self._fill(value) for name, value in variables.items()}

    def show_line(self, stream: OutputStream, line: str) -> ShownLine | None:
        """Shows what a message says to people."""
        shown = self.turn.inbox.take_line(stream, line)
        self.turn.check_limits()
        return shown

    async def work(self, transport: asyncio.SubprocessTransport, watch: OutputWatch) -> ExitWait:
        """Holds the conversation, and stops it when the program ends, takes too long or is cancelled."""
        # It imports the library, which takes half a second; the program starts meanwhile.
        dialogue: Any = await asyncio.to_thread(import_module, _DIALOGUE)
        turn = self.turn
        connection = dialogue.AgentConnection(get_stdin(transport), turn.inbox)
        turn.dialogue = dialogue.Dialogue(self.table, connection, turn.events, turn.known)
        talking = asyncio.ensure_future(turn.dialogue.hold(str(self.folders.worktree), self._prompt_text()))
        try:
            return await self._wait_for_end(talking, watch)
        except asyncio.CancelledError as error:
            if self.turn.has_ended:
                raise
            try:
                await self._end_turn(talking)
            except asyncio.CancelledError:  # once more
                kill_program(transport)
            raise ProgramStoppedError from error
        finally:
            talking.cancel()
            await connection.close()

    def read_reply(self, ended: ProgramExit) -> Reply | Failure:
        """Returns the reply of a turn that has ended as it should; else why it did not."""
        failure = self._find_failure(ended)
        if failure is not None:
            return replace(failure, usage=self.turn.usage, retry_after=self._wait())
        if self.assignment.review:
            return make_review(self.turn.events.summary, self.assignment.review, self.turn.usage)
        denials = tuple(self.turn.denials)
        if denials and not self.folders.has_file(self.assignment.output):
            reason = clean_text(f"no output file was written ({denials[-1]})")
            return Failure(reason, denials, Cause.NO_OUTPUT, usage=self.turn.usage)
        return read_last_message(self.turn.events.summary, self.turn.usage)

    def read_failure(self, ended: ProgramExit) -> Failure:
        """Returns why it failed: by the conversation, else by its exit status and its last lines."""
        return self._find_failure(ended) or self._lost(ended)

    def read_partial_reply(self, _ended: ProgramExit) -> PartialReply:
        """Returns the usage that was reported so far."""
        return PartialReply(self.turn.usage, self._wait())

    async def _wait_for_end(self, talking: "asyncio.Future[None]", watch: OutputWatch) -> ExitWait:
        if not await _wait_for_first(talking, watch.exited, self.assignment.timeout):
            if self.turn.known.stage is Stage.STARTED:
                said = f"no answer to initialize in {self.assignment.timeout:g} s"
                self.turn.known.stop = Stop(Cause.FATAL, said)
                return ExitWait.FINISHED
            await self._end_turn(talking)
            return ExitWait.TIMED_OUT
        if not talking.done():  # what it has printed last may not be read yet
            await _wait_for_first(talking, watch.closed, _LAST_ANSWER)
            self.turn.inbox.put_end()
        await talking
        return ExitWait.FINISHED if self.turn.has_ended or not watch.exited.is_set() else ExitWait.EXITED

    async def _end_turn(self, talking: "asyncio.Future[None]") -> None:
        """Lets the agent end its turn, and report what it has cost: for a short time."""
        if self.turn.known.stage is Stage.PROMPTED:
            self.turn.stop()
            await asyncio.wait({talking})

    def _prompt_text(self) -> str:
        instruction = f"\n{INSTRUCTION}\n" if self.assignment.artifacts and not self.assignment.review else ""
        return self.assignment.prompt + instruction

    def _fill(self, text: str) -> str:
        return fill_placeholders(text, self.assignment, self.folders, self.files)

    def _find_failure(self, ended: ProgramExit) -> Failure | None:
        """Returns why the conversation failed; None if it did not."""
        known = self.turn.known
        details = ended.watch.last_lines() or self.turn.inbox.unread_lines
        if known.stop:
            stop = known.stop
            return Failure(clean_text(stop.reason), details, stop.cause, wait_reason=stop.wait_reason)
        if known.error:
            return self._judge_error(details)
        if known.result is None:
            return self._lost(ended)
        ended_by = judge_stop_reason(known.result.stop_reason)
        return Failure(clean_text(ended_by.reason), details, ended_by.cause) if ended_by else None

    def _judge_error(self, details: tuple[CleanText, ...]) -> Failure:
        known = self.turn.known
        error = known.error
        assert error is not None  # noqa: S101 - as the caller has found
        verdict = judge_rpc_error(error)
        cause, request = verdict.cause, known.failed_request
        is_of_start = request != "session/prompt"
        is_unknown = error.code in NOT_SPOKEN and cause is not Cause.BUSY
        if is_of_start and (is_unknown or request not in {"session/new", "authenticate"}):
            cause = Cause.FATAL
        said = describe_error(error)
        reason = f"{request}: {said}" if is_of_start else said
        if cause is Cause.FATAL and self.table.known.keys and is_about_key(error):
            reason += f" (its key is looked for in {', '.join(self.table.known.keys)})"
        return Failure(clean_text(reason), details, cause, wait_reason=verdict.wait_reason)

    def _lost(self, ended: ProgramExit) -> Failure:
        """Returns the failure of a program that has ended, or closed its output, before its turn did."""
        lines = (*ended.watch.last_errors(), *self.turn.inbox.unread_lines)
        said = describe_exit(ended.status, find_reason(lines))
        if self.turn.known.stage is Stage.STARTED:
            reason = f"{self.table.arguments[0]} does not answer as an agent of ACP: {said}"
            return Failure(clean_text(reason), lines, Cause.FATAL)
        return Failure(clean_text(f"it ended in the middle of its turn: {said}"), lines)

    def _wait(self) -> float | None:
        error = self.turn.known.error
        return find_wait(error, time.time()) if error else None


async def _wait_for_first(talking: "asyncio.Future[None]", event: asyncio.Event, seconds: float) -> bool:
    """Waits until a conversation has ended or an event has come; returns false if neither does in time."""
    coming: asyncio.Future[Any] = asyncio.ensure_future(event.wait())
    both: tuple[asyncio.Future[Any], ...] = (talking, coming)
    try:
        done, _ = await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        coming.cancel()
    return bool(done)
