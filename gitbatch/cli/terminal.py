"""The terminal for questions: also where standard output is redirected, and never answered by earlier keys."""

import io
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from gitbatch.view.encoding import ASCII_FORMS, is_limited

if TYPE_CHECKING:
    from prompt_toolkit.output import Output

_TERMINAL = Path("/dev/tty")


def can_prompt() -> bool:
    """Whether the user can see and answer a question: keys come from a terminal, and one can be written to."""
    if not sys.stdin.isatty():
        return False
    try:
        with open_screen():
            return True
    except OSError:
        return False


@contextmanager
def open_screen() -> Iterator[TextIO]:
    """Yields the terminal to write to: standard output, or where that is redirected, the one of the process.

    Raises:
        OSError: the process has no terminal.
    """
    if sys.stdout.isatty():
        yield sys.stdout
    else:
        with _TERMINAL.open("w", encoding=sys.stdin.encoding, errors=ASCII_FORMS) as screen:
            yield screen


class _TextScreen(io.TextIOBase):
    """A screen that is written as text: prompt_toolkit encodes bytes itself, without the forms in ASCII."""

    def __init__(self, screen: TextIO) -> None:
        self._screen = screen
        self.fileno, self.isatty, self.flush = screen.fileno, screen.isatty, screen.flush  # type: ignore[method-assign]

    @property
    def encoding(self) -> str:  # type: ignore[override]  # of a screen it does not change
        """The name of the screen's encoding."""
        return self._screen.encoding

    def write(self, text: str) -> int:
        """Writes a text."""
        return self._screen.write(text)


def choose_pointer() -> str:
    """Returns the mark of the chosen line of a question."""
    return ">" if is_limited(sys.stdout) else "»"


@contextmanager
def open_prompt() -> Iterator["Output"]:
    """Yields the output for one question, and discards every key that was typed before it."""
    from prompt_toolkit.application.current import get_app_session
    from prompt_toolkit.input.typeahead import clear_typeahead
    from prompt_toolkit.output import create_output

    with open_screen() as screen:
        output = create_output(cast("TextIO", _TextScreen(screen)) if is_limited(screen) else screen)
        clear_typeahead(get_app_session().input)  # keys that came with the answer of the question before
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        yield output
