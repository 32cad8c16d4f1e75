"""The repository's side of a review in a terminal: reading what is shown, editing, and recording what was chosen.

Each recording takes the repository's lock and gives it back.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from gitbatch.batch.group.review import RecordedReview
from gitbatch.batch.history.batches import read_any_progress
from gitbatch.batch.history.item_details import ItemDetails, read_item_details
from gitbatch.batch.history.ledger import read_ledger
from gitbatch.batch.history.record import Batch, all_batches
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.planning.prompt_again import complete_context
from gitbatch.batch.review.choices import Choice
from gitbatch.batch.review.deciding import StartCheck, advising_to_decide_again, decide_items
from gitbatch.batch.review.output_edit import EditedOutput, edit_output
from gitbatch.batch.review.reviewable import find_reviewable
from gitbatch.batch.review.sheet import ReviewSheet, SheetItem, read_item_diff, read_sheet
from gitbatch.cli.batch_reading import name_show, read_batch_state
from gitbatch.cli.common import tell_waiting
from gitbatch.cli.editor import find_editor, open_editor, write_comment
from gitbatch.cli.pager import show_text_in_pager
from gitbatch.cli.terminal import open_screen
from gitbatch.errors import GitbatchError
from gitbatch.repo.lock import repository_lock
from gitbatch.repo.private_dir import read_diff
from gitbatch.repo.repository import Repository
from gitbatch.repo.user_commit import UserGit, select_user_variables
from gitbatch.text import clean_text
from gitbatch.view.block import Block, make_line
from gitbatch.view.diff import render_diff
from gitbatch.view.item_page import render_item_page
from gitbatch.view.review_screen.pane import render_diff_page, render_pane
from gitbatch.view.review_screen.state import Mode, ReviewState
from gitbatch.view.terminal import Terminal


class ReviewDesk:
    """Reads and records for a review; what is shown of an item is read once for each version of it."""

    def __init__(
        self,
        repo: Repository,
        inherited: Mapping[str, str],
        directory: Path,
        record: Callable[[tuple[Choice, ...], StartCheck | None], Awaitable[RecordedReview]] | None = None,
        before_run: StartCheck | None = None,
    ) -> None:
        """Prepares a review.

        Args:
            repo: the repository, without its lock.
            inherited: the GIT_* variables that the process was started with.
            directory: the folder that the user named.
            record: records choices; None: this process is not a run, and takes the lock for it.
            before_run: judges what is decided, where a run follows it.
        """
        self._record = record
        self._before_run = before_run
        self._repo = repo
        self._inherited = inherited
        self._directory = directory
        self._details: dict[tuple[str, str | None], ItemDetails] = {}
        self._blocks: dict[tuple[Mode, str, str | None], Block] = {}

    def read_sheet(self) -> ReviewSheet:
        """Returns the items as they are now."""
        return read_sheet(self._repo)

    def read_content(self, state: ReviewState) -> Block:
        """Returns what a mode shows of the selected item."""
        try:
            return self._read_block(state)
        except GitbatchError as error:  # an item that cannot be shown ends no review
            return (make_line((clean_text(f"cannot be shown: {error}"), "red")),)

    def _read_block(self, state: ReviewState) -> Block:
        item = state.item
        if item is None:
            return ()
        mode = state.mode if state.mode in {Mode.PAGE, Mode.DIFF} else Mode.LIST
        key = (mode, item.key, item.state.blob)
        if key not in self._blocks:
            self._blocks[key] = self._render(mode, state.sheet, item)
        return self._blocks[key]

    def _render(self, mode: Mode, sheet: ReviewSheet, item: SheetItem) -> Block:
        details = self._read_details(sheet, item)
        if mode is Mode.DIFF:
            diff = read_item_diff(self._repo, sheet, item, details.base, details.commit)
            return render_diff_page(diff, f"{name_show(self._directory, item.item)} --diff")
        if mode is Mode.LIST:
            return render_pane(item, details)
        batch = self._find_batch(sheet)
        state = read_batch_state(self._repo, batch, None)
        shown = next(each for each in state.items if each.slug == item.key)
        return render_item_page(batch.id, shown, details, ())

    def _find_batch(self, sheet: ReviewSheet) -> Batch:
        return next(batch for batch in all_batches(self._repo) if batch.id == sheet.batch)

    def _read_details(self, sheet: ReviewSheet, item: SheetItem) -> ItemDetails:
        key = (item.key, item.state.blob)
        if key not in self._details:
            batch, found = self._find_batch(sheet), item.item
            entries = read_ledger(self._repo, batch.id)
            state = read_any_progress(self._repo, batch)
            details = read_item_details(self._repo, batch, found, state, entries)
            self._details[key] = complete_context(self._repo, batch, found, details, entries)
        return self._details[key]

    def write_comment(self, state: ReviewState) -> str:
        """Returns a comment about the selected item that the user wrote in their editor."""
        assert state.item  # noqa: S101 - a comment is about an item
        summary = self._read_details(state.sheet, state.item).summary
        return write_comment(find_editor(self._inherited), state.item, summary, state.typed)

    def edit_output(self, state: ReviewState) -> EditedOutput:
        """Opens the selected item's output in the user's editor, and commits what they changed."""
        assert state.item  # noqa: S101 - only an item has an output
        user = UserGit(select_user_variables(self._inherited))
        editor = partial(open_editor, find_editor(self._inherited))
        return edit_output(self._repo, state.sheet, state.item, editor, user)

    def show_all(self, state: ReviewState) -> None:
        """Shows all changes since the last pause in the user's pager."""
        diff = read_diff(self._repo, state.sheet.before, require_tip(self._repo, state.sheet.target))
        with open_screen() as screen:
            console = Terminal.of_screen(screen).console
            has_colour = console.color_system is not None and not console.no_color
            text = render_diff(diff, has_colour=has_colour)
            show_text_in_pager(self._inherited, text, console.height, screen)

    async def record_choices(self, choices: tuple[Choice, ...], *, continues: bool) -> RecordedReview | None:
        """Records choices as one review; None: there are none. `continues`: whether what is left runs after it.

        Raises:
            GitbatchError: what is in the way. Nothing has changed.
        """
        if not choices:
            return None
        if self._record:
            return await self._record(choices, self._before_run if continues else None)
        return self._record_here(choices, continues)

    def _record_here(self, choices: tuple[Choice, ...], continues: bool) -> RecordedReview:
        with advising_to_decide_again(), repository_lock(self._repo, tell_waiting, "review") as locked:
            found = find_reviewable(locked)
            runs = continues and (not found.batch.ended or any(choice.reopens for choice in choices))
            return decide_items(locked, found, choices, time.time, self._before_run if runs else None)
