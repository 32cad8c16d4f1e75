"""The user's editor: which one it is, opening a file in it, and writing a comment in it.

It is chosen as git chooses it, but never from the configuration of a repository, which may come from anybody.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gitbatch.batch.review.sheet import SheetItem
from gitbatch.errors import GitbatchError
from gitbatch.paths import quote_path
from gitbatch.repo.process import Git
from gitbatch.repo.settings import read_user_setting
from gitbatch.view.review_screen.pane import list_about

_CUT = "# ------------------------ >8 ------------------------"
"""The line that git cuts a message at; what is above it is the comment, with its Markdown headings."""
_HOW = ("Do not change this line or what is below it: only what is above is the comment.",)


def find_editor(inherited: Mapping[str, str]) -> str:
    """Returns the command of the user's editor.

    Args:
        inherited: the GIT_* variables that this process was started with.

    Raises:
        GitbatchError: none is set, and the terminal cannot show vi.
    """
    is_dumb = os.environ.get("TERM", "dumb") == "dumb"
    named = (
        inherited.get("GIT_EDITOR"),
        read_user_setting(Git(Path()), inherited, "core.editor"),
        "" if is_dumb else os.environ.get("VISUAL"),
        os.environ.get("EDITOR"),
        "" if is_dumb else "vi",
    )
    found = next(filter(None, named), None)
    if found is None:
        raise GitbatchError("no editor is set, and this terminal is dumb", "set EDITOR")
    return found


def open_editor(command: str, file: Path) -> None:
    """Opens a file in an editor, and returns when it is closed.

    Raises:
        GitbatchError: the editor failed, or was not found.
    """
    done = subprocess.run(
        ["sh", "-c", f'{command} "$@"', command, str(file)],  # noqa: S607 - a command of the user's, as git runs it
        check=False,
    )
    if done.returncode:
        raise GitbatchError(f"the editor failed ({done.returncode}): {command}", "set EDITOR to another one")


def write_comment(command: str, item: SheetItem, summary: str, begun: str) -> str:
    """Returns a comment that the user wrote in their editor, below which it shows the item.

    Args:
        command: the editor.
        item: what the comment is about.
        summary: of the item's agent.
        begun: the comment as far as it is typed.

    Raises:
        GitbatchError: the editor failed.
    """
    about = (*_HOW, "", *list_about(item, summary), f"output: {quote_path(item.item.output)}")
    lines = "".join(f"# {line}".rstrip() + "\n" for line in about)
    with tempfile.TemporaryDirectory(prefix="gitbatch-comment-") as made:
        file = Path(made) / "COMMENT.md"
        file.write_text(f"{begun}\n{_CUT}\n{lines}", encoding="utf-8")
        open_editor(command, file)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise GitbatchError(f"cannot read the comment: {error}", "write it again") from error
    return text.partition(_CUT)[0].strip("\n")
