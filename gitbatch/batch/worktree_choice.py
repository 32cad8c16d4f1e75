"""Choosing the kind of worktree of a run: what the settings ask for, and what works in all sandboxes of its programs."""

import sys
from contextlib import suppress
from pathlib import Path

from gitbatch.agents.pool import AgentPool
from gitbatch.batch.caller import SessionSettings
from gitbatch.batch.planning.cache_limits import cache_limits
from gitbatch.batch.planning.context_files import count_context_files
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.batch.workplace.kinds import AUTO, KindChoice, TrialTools, WorktreeKind, choose_kind
from gitbatch.batch.workplace.supply import UserFolders
from gitbatch.errors import GitbatchError
from gitbatch.project.config import Config
from gitbatch.sandbox.model import SandboxKind
from gitbatch.sandbox.trial_memory import TrialMemory

_SETTING = "GITBATCH_WORKTREE"
"""The variable that is stronger than `batch.worktree`."""


def begin_choice(settings: SessionSettings, config: Config, agents: AgentPool) -> None:
    """Starts the server that tries an overlay in the background: it has started when `choose_worktrees` asks it.

    Not for contexts, which may have too few files for an overlay.
    """
    wanted = settings.environment.get(_SETTING) or config.batch.worktree
    is_tried = config.batch.checkout == "full" and wanted in {AUTO, WorktreeKind.OVERLAY}
    if is_tried and sys.platform == "linux":
        with suppress(OSError):  # the trial reports it
            agents.starter.start_server()


def choose_worktrees(
    settings: SessionSettings,
    state: ProjectState,
    agents: AgentPool,
    names: frozenset[str],
    folders: tuple[Path, Path],
    memory: TrialMemory | None = None,
) -> KindChoice:
    """Returns the kind of worktree of a run, and starts the server that mounts them where no sandbox needs it.

    Args:
        settings: the caller's choices.
        state: the project when the run begins.
        agents: open the agents and the sandboxes.
        names: of the agents of the run.
        folders: that of the worktrees, and that of the layers.
        memory: of the trials of earlier runs; None: a trial is made.
    """
    config = state.project.config
    found = (agents.get_agent(name, config).sandbox_kind for name in names)
    wanted = settings.environment.get(_SETTING) or config.batch.worktree
    of_agents = frozenset(map(SandboxKind, filter(None, found)))
    sandboxes = of_agents | _find_program_sandboxes(config, agents)
    files = count_context_files(state) if wanted == AUTO else None
    # Without a server the trial starts a launcher of its own: what it finds out counts for the rest of the process.
    start = agents.starter.start_server if agents.starter.starts_programs else None
    choice = choose_kind(wanted, sandboxes, *folders, files, TrialTools(start, memory, of_agents))
    if choice.kind is not WorktreeKind.OVERLAY and not any(kind.has_launcher for kind in sandboxes):
        agents.starter.close()  # the trial has started a server that no program needs
    elif sandboxes and choice.kind is WorktreeKind.OVERLAY:
        with suppress(OSError):  # the first item tries again, and reports the error
            agents.starter.start_server()
    return choice


def find_user_folders(
    settings: SessionSettings, config: Config, memory: TrialMemory | None = None
) -> UserFolders:
    """Returns the user's folders that matter for where a worktree is. `memory`: as for `choose_worktrees`."""
    home = Path(settings.environment.get("HOME", "/nonexistent"))
    return UserFolders(settings.cache_dir, home, cache_limits(config), memory)


def open_trial_memory(settings: SessionSettings) -> TrialMemory:
    """Returns what the cache remembers of trials."""
    return TrialMemory(settings.cache_dir / "trials")


def _find_program_sandboxes(config: Config, agents: AgentPool) -> frozenset[SandboxKind]:
    """Returns the sandboxes of the programs that are not agents: checks, gates, and what prepares worktrees."""
    tables = (*config.checks.values(), *config.gates.values())
    wanted = {table.sandbox for table in tables if table.command}
    wanted |= {config.batch.prepare_sandbox} if config.batch.prepare else set()
    found = set()
    for name in wanted:
        with suppress(GitbatchError):  # the program itself reports it
            found.add(agents.open_sandbox(name).kind)
    return frozenset(found)
