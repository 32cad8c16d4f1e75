"""A program of the user's choice that prints its events in a known format (the setting `format`)."""

import asyncio
from functools import partial
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.agents.command.program import CommandProgram
from gitbatch.agents.command.table import CommandAgent, FormatName
from gitbatch.agents.json_lines.claude_outcome import wait_for_server
from gitbatch.agents.json_lines.formats import open_reader
from gitbatch.agents.json_lines.reader import JsonLinesReader
from gitbatch.agents.json_lines.verdict import CutAnswers, Verdict, find_usage_problem, judge_last_lines
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.process.last_lines import LOOKED_AT
from gitbatch.agents.process.program import ProgramExit, feed_and_wait
from gitbatch.agents.process.watch import EVENT_LINE, ExitWait, OutputWatch, ShownLine
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, OutputStream, Reply
from gitbatch.agents.reply import PartialReply, make_reply, make_review, require_one_verdict
from gitbatch.limits.causes import Cause
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.limits.usage import Usage
from gitbatch.text import clean_text


class EventPrograms(Struct, frozen=True):
    """Makes the starts of such a program, and holds what the attempts of all items share."""

    table: CommandAgent
    format: FormatName
    rate_limit: RateLimit
    cut_answers: CutAnswers = field(default_factory=CutAnswers)

    def make_program(
        self, assignment: Assignment, folders: AgentFolders, files: ExchangeFiles
    ) -> "EventProgram":
        """Makes one start, with a reader of its own."""
        reader = open_reader(self.format, folders.worktree, partial(wait_for_server, self.rate_limit))
        return EventProgram(CommandProgram(self.table, assignment, folders, files), reader, self.cut_answers)


class EventProgram(Struct, frozen=True):
    """One start of such a program. What it writes to the reply file counts more than its events."""

    command: CommandProgram
    events: JsonLinesReader[Any]
    cut_answers: CutAnswers

    @property
    def line_bytes(self) -> int:
        """As long as an event can be."""
        return EVENT_LINE

    def arguments(self) -> list[str]:
        """Returns the command of the table."""
        return self.command.arguments()

    def environment(self) -> dict[str, str]:
        """Returns the variables in which the program finds its assignment."""
        return self.command.environment()

    def show_line(self, stream: OutputStream, line: str) -> ShownLine | None:
        """Shows what an event says to people."""
        return self.events.take_line(stream, line)

    async def work(self, transport: asyncio.SubprocessTransport, watch: OutputWatch) -> ExitWait:
        """Gives it the prompt, and waits for its end."""
        return await feed_and_wait(transport, watch, self.command.assignment, self.has_finished)

    def has_finished(self) -> bool:
        """Whether its last event has come."""
        return self.events.has_finished

    def read_reply(self, ended: ProgramExit) -> Reply | Failure:
        """Returns the reply of the events, unless they say that it failed, or never came to an end."""
        usage = self.events.usage
        if verdict := self._judge_exit(ended):
            failure = self._fail(verdict, ended)
            return replace(failure, usage=usage, retry_after=self.events.retry_after)
        if not self.events.is_complete:
            return replace(self._fail_without_end(ended), usage=usage)
        denials = self.events.denials
        assignment, folders = self.command.assignment, self.command.folders
        if denials and not folders.has_file(assignment.output):
            reason = clean_text(f"no output file was written ({denials[-1]})")
            return Failure(reason, denials, Cause.NO_OUTPUT, usage=usage)
        written = self.command.files.read_written_reply(ended.watch, ended.secrets, assignment.review)
        if written is None and assignment.review:
            return make_review(self.events.summary, assignment.review, usage)
        if written is None:
            return make_reply(self.events.summary, usage=usage)
        if assignment.review and isinstance(written, Reply):
            written = require_one_verdict(written, self.events.summary, assignment.review)
        return replace(written, usage=_prefer(written.usage, usage))

    def read_failure(self, ended: ProgramExit) -> Failure:
        """Returns why it failed: by its events, else by its exit status and its last lines.

        A meaning that the table gives to the exit code counts more than its events, which then give the reason only.
        """
        verdict = self._judge_exit(ended) or self._judge_start(ended)
        if verdict and str(ended.status) not in self.command.table.exit_codes:
            return self._fail(verdict, ended)
        lines = (*ended.watch.last_errors(), *self.events.unread_lines)
        failure = self.command.judge_status(ended.status, lines, lines[-LOOKED_AT:])
        reason = verdict.reason if verdict else failure.reason
        return replace(failure, reason=reason, details=lines or ended.watch.last_lines())

    def read_partial_reply(self, ended: ProgramExit) -> PartialReply:
        """Returns the usage and the time to wait that are known in spite of a failure."""
        written = self.command.read_partial_reply(ended)
        wait = self.events.retry_after if written.retry_after is None else written.retry_after
        return PartialReply(_prefer(written.usage, self.events.usage), wait)

    def _judge_exit(self, ended: ProgramExit) -> Verdict | None:
        return self.events.judge_exit(ended.status, ended.watch.last_errors())

    def _judge_start(self, ended: ProgramExit) -> Verdict | None:
        """Returns the verdict for a program that printed no event: no model has spoken, so what it says is its own."""
        if self.events.has_started:
            return None
        lines = (*ended.watch.last_errors(), *self.events.unread_lines)
        unknown = find_usage_problem(lines)
        if not unknown:
            return judge_last_lines(lines)
        program = self.command.table.command[0]
        reason = f"{program} does not know its command line ({unknown}): update it, or correct its command"
        return Verdict(Cause.FATAL, clean_text(reason))

    def _fail(self, verdict: Verdict, ended: ProgramExit) -> Failure:
        cause = self.cut_answers.decide_cause(self.command.assignment.item, verdict)
        details = ended.watch.last_lines()
        return Failure(
            verdict.reason, details, cause, wait_reason=verdict.wait_reason, is_guess=verdict.is_guess
        )

    def _fail_without_end(self, ended: ProgramExit) -> Failure:
        """Returns the failure of a program that stopped in the middle, or prints something else."""
        table = self.command.table
        details = (*ended.watch.last_errors(), *self.events.unread_lines)
        if self.events.has_started:
            return Failure(clean_text(f"{table.command[0]} ended without a result"), details)
        reason = f"{table.command[0]} does not print events in the format {table.format}: check its command"
        return Failure(clean_text(reason), details, Cause.FATAL)


def _prefer(written: Usage, reported: Usage) -> Usage:
    return reported if written.is_empty else written
