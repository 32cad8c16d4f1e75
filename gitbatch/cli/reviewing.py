"""Holding a review in a terminal: on the screen or by plain questions, until what was chosen is recorded.

All decisions of one review are one commit, which is made when the person continues or stops.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.group.review import RecordedReview
from gitbatch.batch.history.record import unfinished_batch
from gitbatch.batch.review.choices import Choice, select_review_items
from gitbatch.batch.review.rerun import RerunChecks
from gitbatch.batch.review.reviewable import find_reviewable
from gitbatch.cli.batch import RunOptions, run_command
from gitbatch.cli.common import open_repository_of
from gitbatch.cli.interruption import cancelled_by_signals, ended_by_signals
from gitbatch.cli.notifier import require_user_config
from gitbatch.cli.pager import read_git_variables
from gitbatch.cli.review_desk import ReviewDesk
from gitbatch.cli.verbosity import show_text
from gitbatch.cli.views import ProgressKind
from gitbatch.errors import ExitCode, GitbatchError, UsageError
from gitbatch.view.block import Block
from gitbatch.view.review_screen.keys import Step, take_comment
from gitbatch.view.review_screen.state import Mode, ReviewState, ScreenRequest, refresh_sheet, start_review

_T = TypeVar("_T")
ReviewForm: TypeAlias = Callable[[ReviewState, Callable[[ReviewState], Block]], Awaitable[Step]]
"""Asks the person; see `show_review`."""


class HeldReview(Struct, frozen=True):
    """How a review ended."""

    continues: bool
    recorded: RecordedReview | None
    """The review in history; None: nothing was decided."""
    decisions: tuple[tuple[str, str], ...] = ()
    """The words and the items of its decisions."""


def review_here(directory: Path, progress: ProgressKind) -> ExitCode:
    """Holds a review outside of a run; runs what is left if the person continues."""
    inherited = read_git_variables()
    options = RunOptions(progress=progress, directory=directory)
    with open_repository_of(directory) as repo:
        settings, more = options.make_settings(repo), (require_user_config,)
        checks = RerunChecks(settings, can_ask=True, more=more, without_run="q", has_limits=False)
        desk = ReviewDesk(repo, inherited, directory, before_run=checks.require_start)
        consent = "run what is left" if unfinished_batch(repo) else "end the review"
        with ended_by_signals():  # the terminal is left as it was
            held = asyncio.run(hold_review(desk, consent, _end_by_signals(choose_form(progress))))
        for text in describe_recorded(held) or ("nothing was decided",):
            show_text(text)
        has_more = held.continues and unfinished_batch(repo) is not None
    if not has_more:
        return ExitCode.DONE
    os.environ.update(inherited)  # opening a repository has removed them, and it is opened again
    return run_command(options)


def write_comment_for(words: tuple[str, ...], directory: Path) -> str:
    """Returns a comment about the one item that words name, which the user wrote in their editor.

    Raises:
        UsageError: they name another number of items, or the comment is empty.
    """
    inherited = read_git_variables()
    with open_repository_of(directory, read_only=True) as repo:
        desk = ReviewDesk(repo, inherited, directory)
        named = select_review_items(find_reviewable(repo), words)
        if len(named) != 1:
            raise UsageError("--edit is for one item", "for example: gitbatch review T001 --edit")
        state = start_review(desk.read_sheet(), "")
        places = {each.key: at for at, each in enumerate(state.sheet.items)}
        text = desk.write_comment(replace(state, selected=places[named[0][0].key]))
    os.environ.update(inherited)  # as above
    if not text.strip():
        raise UsageError("the comment is empty", "nothing was decided")
    return text


def choose_form(progress: ProgressKind) -> ReviewForm:
    """Returns the screen where the terminal has one and the user wants no plain lines, else plain questions."""
    from gitbatch.cli.review_prompts import LineReview
    from gitbatch.cli.review_screen import can_show_screen, show_review

    if progress is not ProgressKind.PLAIN and can_show_screen():
        return show_review
    return LineReview().show_review


def _end_by_signals(form: ReviewForm) -> ReviewForm:
    async def ask_person(state: ReviewState, read: Callable[[ReviewState], Block]) -> Step:
        with cancelled_by_signals():
            return await form(state, read)

    return ask_person


def describe_recorded(held: HeldReview) -> tuple[str, ...]:
    """Returns what a review recorded, a line each; empty: nothing."""
    if held.recorded is None:
        return ()
    decided = ", ".join(f"{name} {word}" for word, name in held.decisions)
    kept = (f"kept: your own version of {path} in the checkout" for path in held.recorded.kept)
    return (f"review recorded ({held.recorded.commit[:10]}): {decided}", *held.recorded.notes, *kept)


async def hold_review(desk: ReviewDesk, consent: str, form: ReviewForm) -> HeldReview:
    """Asks a person until they continue or stop, and records what they chose. What cannot be recorded is asked again.

    Args:
        desk: the repository's side.
        consent: what it is to continue, for the person.
        form: asks.
    """
    state = start_review(desk.read_sheet(), consent)
    while True:
        state, request = await form(state, desk.read_content)
        if request is ScreenRequest.LEAVE or request is None:
            return HeldReview(continues=False, recorded=None)
        try:
            if request is ScreenRequest.WRITE_COMMENT:
                state = take_comment(state, await _use_terminal(desk.write_comment, state))
            elif request is ScreenRequest.EDIT_OUTPUT:
                state = await _edit_output(desk, state)
            elif request is ScreenRequest.SHOW_ALL:
                await _use_terminal(desk.show_all, state)
                await _wait_for_enter()
            else:
                continues = request is ScreenRequest.CONTINUE
                recorded = await desk.record_choices(state.choices, continues=continues)
                return HeldReview(continues, recorded, _list_decisions(state.choices))
        except GitbatchError as error:
            text = f"{error.message}: {error.advice}" if error.advice else error.message
            state = refresh_sheet(replace(state, mode=Mode.LIST), desk.read_sheet(), text)


def _list_decisions(choices: tuple[Choice, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((choice.kind.word, choice.item.name) for choice in choices)


async def _edit_output(desk: ReviewDesk, state: ReviewState) -> ReviewState:
    edited = await _use_terminal(desk.edit_output, state)
    name = state.item.item.name if state.item else ""
    notice = f"{name}: your commit {edited.commit[:10]}" if edited.commit else f"{name}: nothing was changed"
    return refresh_sheet(state, desk.read_sheet(), notice)


async def _use_terminal(act: Callable[[ReviewState], _T], state: ReviewState) -> _T:
    """Returns what something returns that uses the terminal: Ctrl-C is for it."""
    with _ignore_interrupts():
        return await asyncio.to_thread(act, state)


async def _wait_for_enter() -> None:
    """Waits until what a pager left on the terminal is read: the screen would hide it."""
    from gitbatch.cli.review_prompts import LineInterruptedError, ask_line

    with suppress(LineInterruptedError):  # Ctrl-C ends what is read, not the review
        await ask_line("Enter: back to the review ", is_asked=True)


@contextmanager
def _ignore_interrupts() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
