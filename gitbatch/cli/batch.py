"""`gitbatch run` as options → session → view → exit code."""

import asyncio
import os
import shlex
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from gitbatch.batch.caller import SessionSettings
from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.history.record import Batch, unfinished_batch
from gitbatch.batch.model import CheckpointMode
from gitbatch.batch.planning.early.eagerness import EagerMode
from gitbatch.batch.review.reviewing import Reviewer
from gitbatch.batch.session import Session, open_session
from gitbatch.cli.common import (
    HERE,
    cache_dir,
    choose_plan,
    chosen_worktrees,
    make_page,
    open_repository_of,
    print_output,
)
from gitbatch.cli.frontend import PromptFrontend, PromptReviewer
from gitbatch.cli.keys import TerminalKeys
from gitbatch.cli.notifier import NotifyingReviewer, make_notifier
from gitbatch.cli.pager import read_git_variables
from gitbatch.cli.signals import ENDING_SIGNALS, Signals
from gitbatch.cli.terminal import can_prompt
from gitbatch.cli.unused_changes import tell_unused_changes
from gitbatch.cli.verbosity import show_prose
from gitbatch.cli.views import EventView, ProgressKind, make_view
from gitbatch.errors import ExitCode
from gitbatch.project.control import PLAN_FILE, PlanChoice
from gitbatch.repo.repository import Repository
from gitbatch.sandbox.model import SandboxKind
from gitbatch.view.run_end import describe_end, describe_interruption

if TYPE_CHECKING:
    from gitbatch.cli.early_opening import EarlyOpening
    from gitbatch.sandbox.server import LauncherServer

Opened = AbstractContextManager[Repository]


class RunOptions(Struct, frozen=True, kw_only=True):
    """The options of `gitbatch run` as they were given."""

    task_md: Path | None = None
    items: str | None = None
    checkpoint: str | None = None
    agent: str | None = None
    jobs: int | None = None
    continues: bool = False
    branch: str | None = None
    no_input: bool = False
    dry_run: bool = False
    progress: ProgressKind = ProgressKind.AUTO
    json: bool = False
    directory: Path = HERE
    sandbox: SandboxKind | None = None
    limits: SpendingLimits = SpendingLimits()
    eager: EagerMode | None = None
    cluster: str | None = None
    wait: bool = False
    no_fetch: bool = False
    accept_config: bool = False

    @property
    def can_ask(self) -> bool:
        """Whether the user can answer a prompt."""
        return not self.no_input and not self.json and can_prompt()

    def make_settings(self, repo: Repository) -> SessionSettings:
        """Returns the settings of a session, with what the environment adds to the options.

        Raises:
            UsageError: an option has no valid value.
        """
        return SessionSettings(
            environment=dict(os.environ),
            cache_dir=cache_dir(),
            worktrees=chosen_worktrees(),
            plan=choose_plan(repo, self.directory, self.task_md),
            items=self.items,
            checkpoint=CheckpointMode.parse(self.checkpoint) if self.checkpoint else None,
            agent=self.agent,
            jobs=self.jobs,
            continues=self.continues,
            branch=self.branch,
            sandbox=self.sandbox,
            limits=self.limits,
            eager=self.eager,
            cluster=self.cluster,
            longest_wait=inf if self.wait else None,
            fetch=not self.no_fetch,
            accept_config=self.accept_config,
        )


def run_command(
    options: RunOptions,
    prepare: Callable[[Repository], None] | None = None,
    opening: "EarlyOpening | None" = None,
) -> ExitCode:
    """Starts or resumes a batch; returns how it ended.

    Args:
        options: as they were given.
        prepare: called before, with the open repository.
        opening: opens the repository already; None: it is opened now.
    """
    view = make_view(json=options.json, progress=options.progress)
    prompts = PromptFrontend(
        can_ask=options.can_ask,
        progress=options.progress,
        inherited=read_git_variables(opening.environment if opening else os.environ),
        directory=options.directory,
    )
    with opening.wait_for_repository() if opening else open_repository_of(options.directory) as repo:
        if prepare:
            prepare(repo)
        settings = options.make_settings(repo)
        unfinished = unfinished_batch(repo)
        plan = _choose_recorded(settings, unfinished)
        tell_unused_changes(repo, plan)
        server = opening.find_server() if opening else None
        result = run_session(repo, settings, view, prompts, server)
        if isinstance(result, signal.Signals) or result.ending is not Ending.COMPLETE:
            with suppress(OSError):  # the terminal may be gone
                tell_unused_changes(repo, plan)
        named = _name_plan(repo, options, unfinished)
    return report_end(result, options.directory, named, json=options.json)


def _choose_recorded(settings: SessionSettings, unfinished: Batch | None) -> PlanChoice:
    """Returns the plan that a run reads: that of the unfinished batch, else the one that is wanted."""
    return unfinished.record.plan if unfinished else settings.plan


def _name_plan(repo: Repository, options: RunOptions, resumed: Batch | None) -> str:
    """Returns the argument that names the plan again, with a space before it; empty if it is found without one."""
    path = choose_plan(repo, options.directory, options.task_md).path
    if path is None and resumed and not resumed.record.phase and resumed.record.plan_path != PLAN_FILE:
        path = resumed.record.plan_path
    if path is None:
        return ""
    return f" {shlex.quote(os.path.relpath(repo.root.resolve() / path, options.directory.resolve()))}"


def preview_command(options: RunOptions, opened: Opened | None = None) -> ExitCode:
    """Shows what a run with the same options would do; starts nothing.

    `opened`: yields the repository; None: it is opened now.
    """
    from gitbatch.batch.preview import preview_batch
    from gitbatch.view.dry_run import dry_run_output, render_preview

    prompts = PromptFrontend(can_ask=options.can_ask)
    with opened or open_repository_of(options.directory) as repo:
        settings = options.make_settings(repo)
        tell_unused_changes(repo, _choose_recorded(settings, unfinished_batch(repo)))
        preview = preview_batch(repo, settings, prompts)
    if options.json:
        print_output(dry_run_output(preview))
    else:
        make_page().show_block(render_preview(preview))
    return ExitCode.DONE


def run_session(
    repo: Repository,
    settings: SessionSettings,
    view: EventView,
    prompts: PromptFrontend,
    server: "LauncherServer | None" = None,
) -> Result | signal.Signals:
    """Runs a session that signals end in good order; returns its result, or the signal. `server`: see `open_session`."""
    notifier = make_notifier(view, repo.root.resolve())
    with open_session(repo, settings, (view, notifier), prompts, server) as session:
        signals = Signals(session)
        keys = TerminalKeys(view, session, can_ask=prompts.can_ask)
        reviewer: Reviewer = PromptReviewer(session, view, signals, keys, prompts)
        if prompts.can_ask:
            reviewer = NotifyingReviewer(reviewer, notifier)
        try:
            result = asyncio.run(signals.supervise(_run_with_keys(session, reviewer, keys)))
            if not isinstance(result, signal.Signals):
                notifier.report_problems(session)
            return result
        finally:
            with suppress(OSError):  # the terminal may be gone
                view.close()
                notifier.close()


async def _run_with_keys(session: Session, reviewer: Reviewer, keys: TerminalKeys) -> Result:
    """Runs a session, with the keys of its view as long as it runs."""
    keys.start()
    try:
        return await session.run(reviewer)
    finally:
        keys.stop()


def report_end(
    result: Result | signal.Signals, directory: Path, plan: str = "", *, json: bool = False
) -> ExitCode:
    """Reports how to resume, where something is left to do; returns the exit code."""
    folder_option = "" if directory == HERE else f" -C {shlex.quote(str(directory))}"
    ended = None if isinstance(result, signal.Signals) else result
    end = (
        describe_interruption(ENDING_SIGNALS[result], folder_option)
        if isinstance(result, signal.Signals)
        else describe_end(result, folder_option, plan)
    )
    with suppress(OSError) if ended is None else nullcontext():  # the terminal may be gone
        for line in end.lines:
            show_prose(line, err=True)
        if json:
            from gitbatch.view.outputs.run import run_output

            print_output(run_output(ended, end))
    return end.code
