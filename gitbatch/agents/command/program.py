"""One start of a program of the user's choice.

The program finds its assignment in GITBATCH_OUTPUT, GITBATCH_ITEM, GITBATCH_PROMPT_FILE and GITBATCH_CONTEXT (a
file with one path a line); it may append lines to the file GITBATCH_PROGRESS, which are shown as they come
(rule F1), and write a reply as JSON to the file GITBATCH_REPLY. If it is to review, GITBATCH_REVIEW has the code of
the review, and the reply its verdict.
"""

import asyncio
import os
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from gitbatch.agents.command.table import CommandAgent, ExitMeaning
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.process.last_lines import find_reason, is_busy
from gitbatch.agents.process.placeholders import fill_placeholders
from gitbatch.agents.process.program import ProgramExit, describe_exit, feed_and_wait, show_shortened
from gitbatch.agents.process.watch import TEXT_LINE, ExitWait, OutputWatch, ShownLine
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, OutputStream, Reply
from gitbatch.agents.reply import PartialReply
from gitbatch.limits.causes import Cause
from gitbatch.text import CleanText, clean_text

_MEANINGS: Mapping[ExitMeaning, Cause] = MappingProxyType(
    {
        "busy": Cause.BUSY,
        "context": Cause.CONTEXT,
        "declined": Cause.DECLINED,
        "failed": Cause.FAILED,
        "fatal": Cause.FATAL,
    }
)


class CommandProgram(Struct, frozen=True):
    """One start of the program of the table."""

    table: CommandAgent
    assignment: Assignment
    folders: AgentFolders
    files: ExchangeFiles

    @property
    def line_bytes(self) -> int:
        """As for a program that prints text."""
        return TEXT_LINE

    def arguments(self) -> list[str]:
        """Returns the command of the table with its placeholders filled."""
        program, *rest = self.table.command
        return [self._fill_placeholders(argument) for argument in (find_program_path(program), *rest)]

    def environment(self) -> dict[str, str]:
        """Returns the fixed variables, and those in which the program finds its assignment."""
        review = self.assignment.review
        return {
            **({"GITBATCH_REVIEW": review.nonce} if review else {}),
            **{name: self._fill_placeholders(value) for name, value in self.table.env.items()},
            "GITBATCH_OUTPUT": self.assignment.output,
            "GITBATCH_ITEM": self.assignment.item,
            "GITBATCH_ATTEMPT": str(self.assignment.attempt),
            "GITBATCH_PROMPT_FILE": str(self.files.prompt),
            "GITBATCH_CONTEXT": str(self.files.context),
            "GITBATCH_PROGRESS": str(self.files.progress),
            "GITBATCH_REPLY": str(self.files.reply),
        }

    def show_line(self, stream: OutputStream, line: str) -> ShownLine | None:
        """Shows every line, JSON in a short form."""
        return show_shortened(stream, line)

    async def work(self, transport: asyncio.SubprocessTransport, watch: OutputWatch) -> ExitWait:
        """Gives it the prompt, and waits for its end: no line is known to be the last one."""
        return await feed_and_wait(transport, watch, self.assignment, lambda: False)

    def read_reply(self, ended: ProgramExit) -> Reply | Failure:
        """Returns the reply of the reply file, or else one with the last paragraph of standard output."""
        return self.files.read_reply(ended.watch, ended.secrets, self.assignment.review)

    def read_failure(self, ended: ProgramExit) -> Failure:
        """Returns why the program failed, by its exit status and its last lines."""
        return self.judge_status(ended.status, ended.watch.last_lines(), ended.watch.last_whole_lines())

    def judge_status(self, status: int, details: tuple[CleanText, ...], lines: tuple[str, ...]) -> Failure:
        """Returns the failure for an exit status.

        Args:
            status: the exit status.
            details: the last lines, of which one is the reason.
            lines: the lines that may say that a server was busy.
        """
        reason = clean_text(describe_exit(status, find_reason(details)))
        meaning = self.table.exit_codes.get(str(status))
        if meaning:
            return Failure(reason, details, _MEANINGS[meaning])
        if status == os.EX_TEMPFAIL:  # of sysexits.h: a temporary failure, try again later
            return Failure(reason, details, Cause.BUSY)
        seems_busy = is_busy(lines, self.table.busy_words)
        return Failure(reason, details, Cause.BUSY if seems_busy else Cause.FAILED, is_guess=seems_busy)

    def read_partial_reply(self, ended: ProgramExit) -> PartialReply:
        """Returns the usage and the time to wait that the reply file has."""
        return self.files.read_partial_reply(ended.secrets)

    def _fill_placeholders(self, text: str) -> str:
        return fill_placeholders(text, self.assignment, self.folders, self.files)


def find_program_path(program: str) -> str:
    """Returns a program of the worktree by its relative path, by which it is looked for before there is a worktree."""
    return program.replace("{worktree}/", "./", 1) if program.startswith("{worktree}/") else program
