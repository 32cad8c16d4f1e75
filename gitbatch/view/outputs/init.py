"""The output of `gitbatch init --json`."""

from gitbatch.project.agent_scaffold import AddedAgent, AgentChange
from gitbatch.project.scaffold import Scaffold
from gitbatch.view.envelope import Envelope


class InitOutput(Envelope, frozen=True):
    """The files of a new project. Paths are repository paths."""

    written: tuple[str, ...]
    kept: tuple[str, ...]
    """Files that existed and were not changed."""
    scope: str
    """The section that is missing in CLAUDE.md; empty if it names the phase."""
    agent: str | None = None
    """The name of the agent that `--agent` added; null without it."""
    agent_change: AgentChange | None = None
    """`added`, `kept` (it was there already), or `by-hand`: the file cannot be edited, and `agent_table` has to be added."""
    agent_default: str | None = None
    """The agent that works on items that name none."""
    agent_table: str = ""
    """The table of the agent as TOML."""


def init_output(made: Scaffold, added: AddedAgent | None) -> InitOutput:
    """Returns the output for the files and the agent that were written."""
    if added is None:
        return InitOutput(made.written, made.kept, made.scope)
    return InitOutput(
        made.written,
        made.kept,
        made.scope,
        agent=added.name,
        agent_change=added.change,
        agent_default=added.default,
        agent_table=added.table,
    )
