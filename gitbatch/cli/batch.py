"""What `gitbatch run` does: from options to a batch, through the loop, to an exit code."""

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from math import inf
from pathlib import Path
from typing import Protocol

import typer
from msgspec import Struct

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.children import make_room, watch_by_descriptor
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import Agent
from gitbatch.batch.events import CHANGED_CONFIG, Event, EventStream, Notice
from gitbatch.batch.history.ledger import Ledger, SpendingLimits
from gitbatch.batch.history.progress import read_progress
from gitbatch.batch.history.record import Batch, unfinished_batch
from gitbatch.batch.history.spending import read_spending, total
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.history.worktree_folders import note_worktrees_dir
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.stop import StopSwitch
from gitbatch.batch.loop import Accept, Ending, Pause, Result, run_batch
from gitbatch.batch.model import Checkpoint, CheckpointMode
from gitbatch.batch.notices import Notices
from gitbatch.batch.planning.agents import recorded_agents, require_measurable_limits, wanted_agents
from gitbatch.batch.planning.configuration import read_fixed_config
from gitbatch.batch.planning.project_state import ProjectState, read_project_state, require_runnable
from gitbatch.batch.planning.risks import add_risks
from gitbatch.batch.planning.selection import select_items
from gitbatch.batch.planning.start import BatchOptions, begin_batch, find_reason_not_to_start
from gitbatch.batch.planning.target import find_target
from gitbatch.cli.accept import accept_at_start, accept_between_groups
from gitbatch.cli.common import (
    HERE,
    make_page,
    opened,
    repository_path,
    tell_waiting,
    tell_warnings,
    worktrees_dir_of,
)
from gitbatch.cli.signals import ENDING_SIGNALS, Signals
from gitbatch.concurrency import GitThread
from gitbatch.errors import ExitCode, GitError, UsageError
from gitbatch.limits.causes import Cause
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.plan.duration import require_duration
from gitbatch.repo.fingerprint import Fingerprint, require_untouched, take_fingerprint
from gitbatch.repo.lock import repository_lock
from gitbatch.repo.private_dir import show_diff
from gitbatch.repo.repository import Repository
from gitbatch.repo.settings import read_own_config
from gitbatch.repo.worktrees.agent_git import read_agent_git
from gitbatch.repo.worktrees.worktree import checkout_folders
from gitbatch.sandbox.model import SandboxKind
from gitbatch.view.jsonlines import JsonLines, open_log
from gitbatch.view.page import PlainPage
from gitbatch.view.plain import PlainView


class RunOptions(Struct, frozen=True):
    """The options of `gitbatch run` as they were given."""

    task_md: Path | None
    items: str | None
    checkpoint: str | None
    agent: str | None
    jobs: int | None
    branch: str | None
    no_input: bool
    json: bool
    directory: Path
    sandbox: SandboxKind | None = None
    limits: SpendingLimits = SpendingLimits()
    wait: bool = False
    no_fetch: bool = False
    accept_config: bool = False

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there to answer."""
        return not self.no_input and not self.json and sys.stdin.isatty() and sys.stdout.isatty()


_HALTS = {
    Cause.BUSY: ExitCode.TRY_AGAIN,
    Cause.LATER: ExitCode.TRY_AGAIN,
    Cause.BUDGET: ExitCode.PAUSED,
}
"""How a run ends that halts; for every other cause somebody must mend something."""


class EventView(Protocol):
    """What shows events."""

    def __call__(self, event: Event) -> None:
        """Show an event."""
        ...

    def close(self) -> None:
        """Leave the screen as it should stay."""
        ...


def run_command(options: RunOptions) -> ExitCode:
    """Start or go on with a batch; returns how it ended."""
    view = _view(options)
    tell = EventStream(time.time, (view,))
    with (
        opened(options.directory) as found,
        repository_lock(found, tell_waiting) as locked,
        closing(Starter()) as starter,
    ):
        repo = locked.fetching(None if options.no_fetch else tell_waiting)
        batch = unfinished_batch(repo)
        resumed = batch is not None
        rate_limit = RateLimit(cap=inf) if options.wait else RateLimit()
        roster = AgentPool(dict(os.environ), options.sandbox, starter, rate_limit)
        if batch is None:
            batch = _begin(repo, options, roster, tell)
        else:
            _tell_ignored(options, batch, tell)
        return _run(repo, batch, options, roster, view, resumed=resumed) if batch else ExitCode.DONE


def _view(options: RunOptions) -> EventView:
    if options.json:
        return JsonLines(sys.stdout)
    page = make_page()
    if isinstance(page, PlainPage) or not page.can_move:
        return PlainView(page)
    from gitbatch.view.live import LiveView

    return LiveView(page)


def _begin(repo: Repository, options: RunOptions, roster: AgentPool, tell: EventStream) -> Batch | None:
    """Check, ask for what is missing, start. None: there is nothing to do, and the user has been told."""
    mode = CheckpointMode.parse(options.checkpoint) if options.checkpoint else None
    target = find_target(repo, options.branch)
    project_state = read_project_state(
        repo, target.tip, repository_path(repo, options.directory, options.task_md)
    )
    repo = _by_setting(repo, project_state, tell_waiting)
    require_runnable(project_state)
    tell_warnings(add_risks(repo, project_state, followed=target.followed))
    idle = find_reason_not_to_start(project_state)
    if idle:
        tell(idle)
        return None
    agent = project_state.project.config.agent_name(options.agent)
    _require_answers(options)
    items = select_items(project_state.plan, options.items or _ask_items(project_state))
    if not items:
        raise UsageError(f"--items {options.items} names no open item", "see gitbatch plan for what is open")
    mode = mode or _ask_mode(len({item.group for item in items}))
    worktrees_dir_of(repo, project_state.project.config)  # refuses a bad place before anything is started
    choice = BatchOptions(items, mode, agent, options.jobs or project_state.project.config.batch.jobs, roster)
    _limit(roster, project_state, wanted_agents(project_state, items, agent), options.limits)
    return begin_batch(repo, target, project_state, choice, time.time())


def _by_setting(repo: Repository, project_state: ProjectState, tell: Callable[[str], None]) -> Repository:
    """The repository, which fetches and waits for a signature as the configuration says."""
    table = project_state.project.config.batch
    repo.objects.wait_for_signer(require_duration(table.sign_timeout), tell)
    return repo if table.fetch else repo.fetching(None)


def _watched(repo: Repository, fingerprint: Fingerprint, notices: Notices) -> Repository:
    """The repository, which fetches by the configuration of now, and nothing once a control file has changed."""
    if repo.promised is None or repo.promised.before is None:
        return repo
    config = read_own_config(repo.git, repo.promised.environment)

    def before(text: str) -> None:
        require_untouched(repo, fingerprint)
        notices(text)

    return repo.fetching(before, config)


def _agents(roster: AgentPool, project_state: ProjectState, names: frozenset[str]) -> tuple[Agent, ...]:
    """Agents by their names; those that are not configured are somebody else's to complain about."""
    config = project_state.project.config
    return tuple(roster.agent(name, config) for name in sorted(names & config.agents.keys()))


def _limit(
    roster: AgentPool, project_state: ProjectState, names: frozenset[str], given: SpendingLimits
) -> None:
    """Set what the batch may spend: as it was given, else as it is configured. Refuses what could not be kept."""
    table = project_state.project.config.batch
    limits = given.or_else(SpendingLimits(table.max_cost, table.max_tokens))
    roster.budget.max_cost, roster.budget.max_tokens = limits.max_cost, limits.max_tokens
    require_measurable_limits(_agents(roster, project_state, names), limits)


def _open_ledger(
    repo: Repository, batch: Batch, options: RunOptions, roster: AgentPool, project_state: ProjectState
) -> Ledger:
    """The ledger; what the batch may spend, by the last limits that were given, and has spent, is in the budget."""
    ledger = Ledger.open(repo, batch)
    given = options.limits.or_else(ledger.entries.limits)
    _limit(roster, project_state, recorded_agents(project_state, batch.record), given)
    ledger.limit(given)
    roster.budget.spent = total(read_spending(repo, batch, read_progress(repo, batch), ledger.entries))
    return ledger


def _require_answers(options: RunOptions) -> None:
    """Rule O7: what is missing is asked for; where nobody can answer, it is an error that names it."""
    given = {"--items": options.items, "--checkpoint": options.checkpoint}
    missing = " and ".join(name for name, value in given.items() if value is None)
    if missing and not options.can_ask:
        raise UsageError(
            f"{missing} {'is' if ' ' not in missing else 'are'} missing, and nobody is there to ask",
            "for example: gitbatch run --items all --checkpoint after-each",
        )


def _ask_items(project_state: ProjectState) -> str:
    from gitbatch.cli.ask import ask_items

    return ask_items(project_state.plan)


def _ask_mode(groups: int) -> CheckpointMode:
    from gitbatch.cli.ask import ask_mode

    return ask_mode(groups)


def _tell_ignored(options: RunOptions, batch: Batch, tell: EventStream) -> None:
    given = {
        "TASK_MD": options.task_md,
        "--items": options.items,
        "--checkpoint": options.checkpoint,
        "--agent": options.agent,
        "--branch": options.branch,
    }
    ignored = ", ".join(name for name, value in given.items() if value is not None)
    if ignored:
        text = (
            f"batch {batch.id} is unfinished and goes on with what it was started with; not used: {ignored}"
        )
        tell(Notice(batch=batch.id, text=f"{text} (gitbatch abort ends it)"))


def _run(
    repo: Repository, batch: Batch, options: RunOptions, roster: AgentPool, view: EventView, *, resumed: bool
) -> ExitCode:
    project_state = read_project_state(repo, require_tip(repo, batch.record.target))
    fixed = read_fixed_config(repo, batch, project_state)
    change = fixed.find_change(project_state)
    if change and not accept_at_start(
        repo, batch.id, fixed, change, EventStream(time.time, (view,)), options.accept_config, options.can_ask
    ):
        return _tell_changed(options)
    worktrees_dir = worktrees_dir_of(repo, project_state.project.config) / batch.id
    ledger = _open_ledger(repo, batch, options, roster, project_state)
    note_worktrees_dir(repo, batch.id, worktrees_dir)
    git = GitThread()
    wanted = options.jobs or batch.record.jobs
    fingerprint = take_fingerprint(repo, f"{batch.id}-")
    with open_log(repo.own_dir, batch.id) as log:
        emit = EventStream(time.time, (JsonLines(log), view))
        notices = Notices(emit, batch.id)
        run = Run(
            repo=_watched(_by_setting(repo, project_state, notices), fingerprint, notices),
            batch=batch,
            jobs=make_room(wanted),
            worktrees_dir=worktrees_dir,
            agents=roster,
            emit=emit,
            clock=time.time,
            git=git,
            fingerprint=fingerprint,
            agent_git=read_agent_git(repo, worktrees_dir, batch.record.target),
            checkouts=checkout_folders(repo),
            brake=StopSwitch(),
            ledger=ledger,
            fixed=fixed,
        )
        if run.jobs < wanted:
            text = f"this process may have open files for {run.jobs} agents at a time, not for {wanted} (ulimit -n)"
            run.emit(Notice(batch=batch.id, text=text))
        signals = Signals(run)
        pause = _pause(run, options, view, signals)
        accept = accept_between_groups(view.close, signals.listen, can_ask=options.can_ask)
        watch_by_descriptor()
        try:
            result = asyncio.run(signals.supervise(_batch(run, pause, accept, notices, resumed=resumed)))
        finally:
            git.close()
            run.agent_git.close()
            with suppress(OSError):
                view.close()
    return _tell_end(result, options)


async def _batch(run: Run, pause: Pause, accept: Accept, notices: Notices, *, resumed: bool) -> Result:
    notices.attach()
    try:
        return await run_batch(run, pause, accept, resumed=resumed)
    except GitError:
        require_untouched(
            run.repo, run.fingerprint
        )  # what was tampered with says more than how git fails for it
        raise
    finally:
        await run.agents.close()


def _pause(run: Run, options: RunOptions, view: EventView, signals: Signals) -> Pause:
    async def pause(checkpoint: Checkpoint) -> bool:
        if not options.can_ask:
            return False
        from gitbatch.cli.ask import ask_to_continue

        view.close()
        try:
            return await ask_to_continue(lambda: show_diff(run.repo, checkpoint.before, checkpoint.commit))
        finally:
            signals.listen()

    return pause


def _command(options: RunOptions) -> str:
    """The command that resumes the batch."""
    return f"gitbatch run{'' if options.directory == HERE else f' -C {shlex.quote(str(options.directory))}'}"


def _tell_changed(options: RunOptions) -> ExitCode:
    advice = f"review the difference; to accept it: {_command(options)} --accept-config"
    typer.echo(f"gitbatch: {CHANGED_CONFIG}\n{advice}", err=True)
    return ExitCode.PAUSED


def _tell_end(result: Result | signal.Signals, options: RunOptions) -> ExitCode:
    go_on = f"go on with: {_command(options)}"
    if isinstance(result, signal.Signals):
        with suppress(OSError):  # the terminal may be gone
            typer.echo(f"gitbatch: interrupted; every finished item is in git. {go_on}", err=True)
        return ENDING_SIGNALS[result]
    if result.ending is Ending.PAUSED:
        typer.echo(f"gitbatch: paused. {go_on}", err=True)
        return ExitCode.PAUSED
    if result.ending is Ending.CONFIG_CHANGED:
        return _tell_changed(options)
    if result.halt:
        typer.echo(f"gitbatch: {result.halt.reason}\n{result.halt.advice}", err=True)
        return _HALTS.get(result.halt.cause, ExitCode.FAILED)
    return ExitCode.FAILED if result.failed or not result.over else ExitCode.DONE
