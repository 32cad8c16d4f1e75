"""A pager for output that is longer than the terminal: the one that git would take, by the user's own settings.

What the configuration of a repository names is never started (`core.pager` there may come from anybody).
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from gitbatch.cli.common import make_page
from gitbatch.repo.process import Git
from gitbatch.repo.settings import read_user_setting
from gitbatch.repo.user_commit import select_user_variables
from gitbatch.view.block import Block
from gitbatch.view.encoding import ASCII_FORMS
from gitbatch.view.page import PlainPage

_VARIABLES = {"LESS": "FRX", "LV": "-c"}
"""As git sets them: colours pass, and what fits on a screen ends at once."""


def read_git_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Returns the variables that say who the user is to git, and its programs; opening a repository removes them."""
    pager = {name: value for name, value in environment.items() if name == "GIT_PAGER"}
    return pager | select_user_variables(environment)


def show_in_pager(inherited: Mapping[str, str], block: Block) -> None:
    """Shows a block; in a terminal that is too short for it, in the pager.

    Args:
        inherited: what `read_git_variables` returned at the start.
        block: the output.
    """
    page = make_page()
    if isinstance(page, PlainPage) or not sys.stdout.isatty():
        page.show_block(block)
        return
    show_text_in_pager(inherited, page.render_text(block), page.console.height)


def show_text_in_pager(
    inherited: Mapping[str, str], text: str, height: int, screen: TextIO | None = None
) -> None:
    """Shows a text that may have colours; in the pager, if it has more lines than the terminal.

    Args:
        inherited: as above.
        text: the output, with a line break at its end.
        height: the rows of the terminal; 0: it is not a terminal.
        screen: the terminal; None: standard output.
    """
    pager = find_pager(inherited) if 0 < height <= text.count("\n") else ""
    if not pager or not _run_pager(pager, text, screen):
        shown = screen or sys.stdout
        shown.write(text)
        shown.flush()


def find_pager(inherited: Mapping[str, str]) -> str:
    """Returns the command of the user's pager; empty: none is wanted or found."""
    named = inherited.get("GIT_PAGER")
    if named is None:
        named = read_user_setting(Git(Path()), inherited, "core.pager")
    if named is None:
        named = os.environ.get("PAGER", "less" if shutil.which("less") else "")
    return "" if named == "cat" else named


def _run_pager(command: str, text: str, screen: TextIO | None) -> bool:
    """Runs a pager to its end; returns false if the shell does not find it."""
    # Ctrl-C is for the pager. A review shows it from another thread, where no handler can be set, and sets it itself.
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None
    try:
        process = subprocess.Popen(  # noqa: S602 - a command of the user's, as git runs it
            command, shell=True, stdin=subprocess.PIPE, stdout=screen, env={**_VARIABLES, **os.environ}
        )
        with suppress(BrokenPipeError):  # the user has seen enough
            process.communicate(text.encode(sys.stdout.encoding, errors=ASCII_FORMS))
        return process.wait() not in _NOT_RUN
    finally:
        if is_main:
            signal.signal(signal.SIGINT, before)


_NOT_RUN = frozenset({126, 127})
"""Exit codes of a shell for a program that it cannot run."""
