"""`gitbatch review`: decisions of a person about items, for scripts and from another terminal."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitbatch.batch.history.decisions import DecisionKind, clean_comment
from gitbatch.batch.review.choices import Choice, choose_rest, select_review_items, select_stale
from gitbatch.batch.review.deciding import advising_to_decide_again, decide_items
from gitbatch.batch.review.reviewable import find_reviewable, list_review_items
from gitbatch.cli.common import (
    HERE,
    Directory,
    Json,
    make_page,
    open_repository_of,
    print_output,
    tell_waiting,
)
from gitbatch.cli.terminal import can_prompt
from gitbatch.cli.verbosity import show_text
from gitbatch.cli.views import Progress, ProgressKind
from gitbatch.errors import UsageError
from gitbatch.repo.lock import repository_lock
from gitbatch.text import list_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from gitbatch.batch.group.review import RecordedReview
    from gitbatch.batch.review.deciding import StartCheck
    from gitbatch.batch.review.reviewable import Reviewable
    from gitbatch.repo.repository import Repository

ReviewItems = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ITEM[@BLOB]]...",
        help="Ids or outputs; with @BLOB the decision is refused for another version.",
    ),
]
Say = Annotated[str, typer.Option("--say", metavar="TEXT", help="A comment that is kept with the decisions.")]


Approve = Annotated[bool, typer.Option("--approve", help="Looked at, good as it is.")]
ApproveRest = Annotated[
    bool, typer.Option("--approve-rest", help="Approve every other item that succeeded and is undecided.")
]
Revise = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Send back: it runs again on its own output, with this instruction."),
]
CommentFile = Annotated[
    Path | None,
    typer.Option("--file", "-F", metavar="FILE", help="The same, with a file's text (- reads the input)."),
]
Edit = Annotated[bool, typer.Option("--edit", "-e", help="The same, with a text that you write in $EDITOR.")]
Reject = Annotated[
    bool, typer.Option("--reject", help="Put the file back to what it was; the item does not run again.")
]
Lists = Annotated[bool, typer.Option("--list", help="Only list the items and what was decided.")]


def review(
    items: ReviewItems = None,
    approve: Approve = False,
    approve_rest: ApproveRest = False,
    revise: Revise = None,
    file: CommentFile = None,
    edit: Edit = False,
    reject: Reject = False,
    say: Say = "",
    lists: Lists = False,
    progress: Progress = ProgressKind.AUTO,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Decide about items that have a checkpoint: approve, send back, reject; or list what is to be decided.

    In a terminal without options: the review screen, or plain questions with --progress plain. All decisions of one
    command are one commit. What is sent back runs again at the next gitbatch run.
    """
    has_options = bool(items or approve or approve_rest or reject or lists or json or revise or file or edit)
    if not has_options and can_prompt():
        from gitbatch.cli.reviewing import review_here

        raise typer.Exit(review_here(directory, progress))
    comment = _read_comment(revise, file, edit_for=tuple(items or ()) if edit else None, directory=directory)
    kinds = {
        DecisionKind.APPROVE: approve,
        DecisionKind.REVISE: comment is not None,
        DecisionKind.REJECT: reject,
    }
    chosen = [kind for kind, is_chosen in kinds.items() if is_chosen]
    words = tuple(items or ())
    if lists or not (chosen or words or approve_rest):
        _require_no_decision(bool(chosen or words or approve_rest))
        show_items(directory, json=json)
        return
    if len(chosen) > 1 or bool(chosen) is not bool(words):
        raise UsageError(
            "name items and one of --approve, --revise, --reject",
            "for example: gitbatch review T001 --approve",
        )

    def choose(repo: "Repository", found: "Reviewable") -> tuple[Choice, ...]:
        picked = tuple(
            Choice(chosen[0], item, seen or None, comment or say)
            for item, seen in select_review_items(found, words)
        )
        rest = choose_rest(repo, found, frozenset(c.item.key for c in picked)) if approve_rest else ()
        return (*picked, *rest)

    with open_repository_of(directory) as repo:
        record_choices(repo, choose, "review", json=json)


def _read_comment(
    text: str | None, file: Path | None, edit_for: tuple[str, ...] | None, directory: Path
) -> str | None:
    """Returns the comment that is given, None if none is. `edit_for`: the items that it is written for in an editor."""
    if sum(given is not None for given in (text, file, edit_for)) > 1:
        raise UsageError("--revise, -F and --edit each give the comment", "leave all but one of them out")
    if edit_for is not None:
        from gitbatch.cli.reviewing import write_comment_for

        return write_comment_for(edit_for, directory)
    if file is not None:
        try:
            text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {file}: {error}", "name a text file") from error
    if text is not None and not clean_comment(text).strip():
        raise UsageError("the comment is empty", "say what is to be done: the item's agent gets it")
    return text


def _require_no_decision(decides: bool) -> None:
    if decides:
        raise UsageError("--list decides nothing", "leave it out, or the decision")


def show_items(directory: Path, *, json: bool) -> None:
    """Lists the items that have a checkpoint, with what was decided. Changes nothing."""
    from gitbatch.view.outputs.review import ReviewOutput
    from gitbatch.view.review_items import render_review_items

    with open_repository_of(directory, read_only=True) as repo:
        found = find_reviewable(repo)
        shown = list_review_items(repo, found)
    if json:
        print_output(ReviewOutput(batch=found.batch.id, items=shown))
    else:
        make_page().show_block(render_review_items(shown))


def record_choices(
    unlocked: "Repository",
    choose: "Callable[[Repository, Reviewable], tuple[Choice, ...]]",
    verb: str,
    *,
    json: bool,
    is_reported: bool = True,
    before_run: "StartCheck | None" = None,
) -> None:
    """Records the choices that `choose` returns as one review, under the lock of the repository, and reports it.

    `before_run`: judges what is decided, where a run follows at once; None: what runs again waits for `gitbatch run`.
    """
    with advising_to_decide_again(), repository_lock(unlocked, tell_waiting, verb) as repo:
        found = find_reviewable(repo)
        choices = choose(repo, found)
        made = decide_items(repo, found, choices, time.time, before_run)
        if json and is_reported:
            _print_recorded(repo, made)
        elif is_reported:
            _show_recorded(choices, made)
            _show_stale(repo, choices)
            if before_run is None and any(choice.reopens for choice in choices):
                show_text("run them: gitbatch run")


def _print_recorded(repo: "Repository", made: "RecordedReview") -> None:
    from gitbatch.view.outputs.review import ReviewOutput

    after = find_reviewable(repo)
    print_output(
        ReviewOutput(
            batch=after.batch.id,
            items=list_review_items(repo, after),
            commit=made.commit,
            notes=made.notes,
            kept=made.kept,
        )
    )


def _show_stale(repo: "Repository", choices: tuple[Choice, ...]) -> None:
    """Names the items that have read what is taken back."""
    if any(choice.kind.puts_back for choice in choices):
        stale = select_stale(repo, find_reviewable(repo))
        if stale:
            names = list_names(tuple(item.name for item in stale))
            show_text(f"stale: {names} (see gitbatch status --stale; run them again: gitbatch retry --stale)")


def _show_recorded(choices: tuple[Choice, ...], made: "RecordedReview") -> None:
    for choice in choices:
        again = ", and runs again" if choice.runs_again else ""
        show_text(f"{choice.kind.word:<10} {choice.item.name}{again}")
    show_text(f"recorded: {made.commit[:10]}")
    for note in (*made.notes, *(f"kept: your own version of {path} in the checkout" for path in made.kept)):
        show_text(f"note: {note}")
