"""An agent that is a program, and works on other machines alone: here is known what its settings say, and no more.

Its key, its program and its sandbox are there: the machine that lacks one of them says so before it begins.
"""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from gitbatch.agents.process.table import ProcessTable
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, Progress, Reply
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import FREE
from gitbatch.text import CleanText, clean_text


class SentAgent(Struct, frozen=True):
    """An agent whose programs run on other machines."""

    name: str
    knows_usage: bool
    knows_cost: bool
    cost_limit: float | None
    sandbox_kind: str = ""
    """Empty: no process of it runs here."""
    notes: tuple[CleanText, ...] = ()

    def read_in_checkouts(self, _checkouts: tuple[Path, ...]) -> tuple[Path, ...]:
        """Returns nothing: none of its processes reads anything here."""
        return ()

    def find_used_in(self, _checkouts: tuple[Path, ...]) -> tuple[Path, ...]:
        """Returns nothing, for the same reason."""
        return ()

    def find_missing_program(self, _has_file: Callable[[str], bool]) -> str:
        """Returns that nothing is missing: nothing is needed here."""
        return ""

    async def run(
        self, _assignment: Assignment, _folders: AgentFolders, _progress: Progress
    ) -> Reply | Failure:
        """Returns a failure: it does not work here."""
        return Failure(clean_text(f"agent {self.name} works on other machines"), (), Cause.FATAL, usage=FREE)

    async def close(self) -> None:
        """Nothing is kept."""


def describe_sent_agent(name: str, table: ProcessTable) -> SentAgent:
    """Returns an agent that is sent out, as far as its settings say what it is like."""
    reports = table.reports
    return SentAgent(name, reports.usage, reports.cost, table.cost_limit)
