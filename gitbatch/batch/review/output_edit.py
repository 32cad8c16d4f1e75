"""A person edits an output at a review: what they change is their own commit on the branch, made by their own git.

Where the branch is checked out, they edit the file of their checkout, in its surroundings. Else it is a private checkout
that exists as long as the editor is open. A commit that is refused, by a hook for example, leaves branch and file as
they were, and the edited text in a file that is named.
"""

import filecmp
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from gitbatch.batch.history.target import require_not_checked_out_elsewhere, require_tip
from gitbatch.batch.review.sheet import ReviewSheet, SheetItem
from gitbatch.errors import GitbatchError, GitError
from gitbatch.paths import quote_path
from gitbatch.repo.checkout.branch import require_nothing_under_way
from gitbatch.repo.checkout.follow import find_uncommitted
from gitbatch.repo.refs.names import short
from gitbatch.repo.repository import Repository
from gitbatch.repo.user_commit import UserGit
from gitbatch.text import clean_text

_BEFORE, _KEPT = "gitbatch-before-", "gitbatch-edited-"
_SAID = 300
"""Characters of what a refused commit printed."""


class EditedOutput(Struct, frozen=True):
    """How the edit of an output ended."""

    commit: str = ""
    """The user's commit; empty: nothing was changed."""


def edit_output(
    repo: Repository, sheet: ReviewSheet, item: SheetItem, open_editor: Callable[[Path], None], user: UserGit
) -> EditedOutput:
    """Lets a person edit an output, and commits what they changed as their own commit.

    Args:
        repo: the repository.
        sheet: as the person sees it.
        item: one of its items, with an output on the branch.
        open_editor: opens a file, and returns when it is closed.
        user: the user's git.

    Raises:
        GitbatchError: the file cannot be edited, or its commit was refused. The branch is as it was.
    """
    tip = require_tip(repo, sheet.target)
    entry = repo.objects.find_entry(repo.objects.tree_of(tip), item.item.output)
    if entry is None or entry.oid != item.state.blob:
        raise GitbatchError(
            f"changed since it was looked at: {quote_path(item.item.output)}", "look again, then edit it"
        )
    if repo.head_branch() == sheet.target:
        return _edit_here(repo, item, open_editor, user)
    require_not_checked_out_elsewhere(repo, sheet.target)
    return _edit_apart(repo, sheet.target, tip, item, open_editor, user)


def _edit_here(
    repo: Repository, item: SheetItem, open_editor: Callable[[Path], None], user: UserGit
) -> EditedOutput:
    require_nothing_under_way(repo)
    path = item.item.output
    if find_uncommitted(repo, (path,)):
        raise GitbatchError(
            f"{quote_path(path)} has changes in your checkout that are not committed",
            f"commit them, or set them aside, then edit it here: git stash push --include-untracked -- {shlex.quote(path)}",
        )
    with _kept_unless_committed(repo.root / path):
        open_editor(repo.root / path)
        if not find_uncommitted(repo, (path,)):
            return EditedOutput()
        _require_file(repo.root / path, item)
        return EditedOutput(_commit_output(user, repo.root, item))


def _edit_apart(
    repo: Repository,
    target: str,
    tip: str,
    item: SheetItem,
    open_editor: Callable[[Path], None],
    user: UserGit,
) -> EditedOutput:
    with user.check_out(repo.root, tip) as folder, _kept_unless_committed(folder / item.item.output):
        open_editor(folder / item.item.output)
        if not user.run_git(folder, "status", "--porcelain", "--", item.item.output)[1].strip():
            return EditedOutput()
        _require_file(folder / item.item.output, item)
        commit = _commit_output(user, folder, item)
        if not repo.commit_point(target, commit, tip, "gitbatch: edited by the user at a review"):
            raise GitbatchError(
                f"branch {short(target)} has moved while you edited", "look again, then edit it again"
            )
        return EditedOutput(commit)


def _require_file(file: Path, item: SheetItem) -> None:
    if file.is_symlink() or not file.is_file():
        raise GitbatchError(
            f"{quote_path(item.item.output)} is not a file any more", "to take it back, reject the item"
        )


def _commit_output(user: UserGit, folder: Path, item: SheetItem) -> str:
    path = item.item.output
    try:
        return user.commit_path(folder, path, f"Edit {quote_path(path)} in the review of {item.item.name}")
    except GitError as error:
        said = clean_text(" ".join(error.stderr.split()[-60:]), _SAID) or f"git ended with {error.status}"
        raise GitbatchError(f"your commit was refused: {said}", "nothing was committed") from error


@contextmanager
def _kept_unless_committed(file: Path) -> Iterator[None]:
    """Puts a file back if its commit is refused; the edited text stays in another file.

    Raises:
        GitbatchError: the commit was refused, with the path of that file in its advice.
    """
    with tempfile.TemporaryDirectory(prefix=_BEFORE, ignore_cleanup_errors=True) as made:
        before = Path(made) / file.name
        shutil.copy2(file, before, follow_symlinks=False)
        try:
            yield
        except GitbatchError as error:
            kept = _put_back(file, before)
            if kept is None:
                raise
            raise GitbatchError(error.message, f"what you wrote is kept: {kept}") from error


def _put_back(file: Path, before: Path) -> Path | None:
    """Puts a file back; returns where its edited text is kept. None: nothing was written."""
    kept = None
    if os.path.lexists(file):
        if not file.is_symlink() and file.is_file() and filecmp.cmp(before, file, shallow=False):
            return None
        kept = Path(tempfile.mkdtemp(prefix=_KEPT)) / file.name
        shutil.move(file, kept)
    shutil.copy2(before, file, follow_symlinks=False)
    return kept
