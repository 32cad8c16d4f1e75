"""The review screen in a terminal: what `view/review_screen` says is drawn, and keys are given to it.

Keys that were typed before the first frame are thrown away. prompt_toolkit is imported when the screen opens.
"""

import asyncio
import errno
import sys
import termios
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from gitbatch.cli.terminal import open_prompt, open_screen
from gitbatch.view.block import Block, Cell
from gitbatch.view.encoding import fit_encoding
from gitbatch.view.review_screen.draw import SMALLEST, draw_review
from gitbatch.view.review_screen.keys import Step, paste_text, press_key
from gitbatch.view.review_screen.layout import cut_line
from gitbatch.view.review_screen.state import ReviewState, ScreenRequest
from gitbatch.view.terminal import Terminal

if TYPE_CHECKING:
    from prompt_toolkit.application import Application
    from prompt_toolkit.formatted_text import StyleAndTextTuples
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent
    from prompt_toolkit.output import Output

_NAMES = {
    "c-m": "enter",
    "c-j": "enter",
    "c-h": "backspace",
    "delete": "backspace",
    "escape": "escape",
    "up": "up",
    "down": "down",
    "home": "home",
    "end": "end",
    "pageup": "pageup",
    "pagedown": "pagedown",
    "c-c": "c-c",
    "c-e": "c-e",
}
"""prompt_toolkit's names of keys that are not characters, and ours."""
_STYLES = {
    "dim": "fg:ansibrightblack",
    **{name: f"fg:ansi{name}" for name in ("red", "green", "yellow", "magenta", "cyan")},
}
_SIGNAL_SECONDS = 1.0
"""In which the signal that a terminal was closed is waited for."""
_ESCAPE_SECONDS = 0.05
"""After which an Escape is a key of its own, and not the beginning of another one."""


def can_show_screen() -> bool:
    """Whether the terminal can be redrawn, and has room for the screen."""
    with open_screen() as screen:
        terminal = Terminal.of_screen(screen)
        columns, lines = terminal.console.size
        return terminal.can_move and columns >= SMALLEST[0] and lines >= SMALLEST[1]


async def show_review(state: ReviewState, read: Callable[[ReviewState], Block]) -> Step:
    """Shows a review until the person wants what the screen cannot do; returns the state by then, and what it is.

    `read` returns what the mode of a state shows of the selected item.
    """
    with open_prompt() as output:
        return await _Screen(state, read, output).run()


async def leave_closed(state: ReviewState, error: Exception) -> Step:
    """Leaves a terminal that was closed. The signal that says so cancels the review, before or a moment later.

    prompt_toolkit raises an error of the terminal instead of the cancellation.
    """
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError from error
    await asyncio.sleep(_SIGNAL_SECONDS)
    return state, ScreenRequest.LEAVE


class _Screen:
    """One showing of the review."""

    def __init__(self, state: ReviewState, read: Callable[[ReviewState], Block], output: "Output") -> None:
        self._state = state
        self._read = read
        self._output = output
        self._is_drawn = False

    async def run(self) -> Step:
        """Draws and follows keys until one asks for more."""
        from prompt_toolkit.application import Application
        from prompt_toolkit.layout import FormattedTextControl, Layout, Window

        control = FormattedTextControl(self._draw, focusable=True, show_cursor=False)
        app: Application[Step] = Application(
            layout=Layout(Window(control, wrap_lines=False)),
            key_bindings=self._bind_keys(),
            full_screen=True,
            output=self._output,
        )
        app.ttimeoutlen = _ESCAPE_SECONDS
        app.before_render += self._drop_typed
        try:
            return await app.run_async(handle_sigint=False, set_exception_handler=False)
        except (OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno != errno.EIO:
                raise
            return await leave_closed(self._state, error)

    def _draw(self) -> "StyleAndTextTuples":
        size = self._output.get_size()
        lines = draw_review(self._state, self._read(self._state), size.columns, size.rows)
        texts: StyleAndTextTuples = [
            fragment for line in lines for fragment in (*self._fit_line(line, size.columns), ("", "\n"))
        ]
        return texts[:-1]

    def _fit_line(self, line: Cell, columns: int) -> Iterator[tuple[str, str]]:
        """Yields a line as the terminal's encoding and prompt_toolkit's styles have it."""
        parts = ((part, "") if isinstance(part, str) else part for part in line)
        fitted = tuple((fit_encoding(text, sys.stdin), style) for text, style in parts)
        for part in cut_line(fitted, columns):
            text, style = (part, "") if isinstance(part, str) else part
            yield " ".join(_STYLES.get(word, word) for word in style.split()), text

    def _drop_typed(self, _: "Application[Step]") -> None:
        """Throws away what was typed before the first frame: it is about to be written."""
        if not self._is_drawn:
            self._is_drawn = True
            termios.tcflush(sys.stdin, termios.TCIFLUSH)

    def _bind_keys(self) -> "KeyBindings":
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.keys import Keys

        bindings = KeyBindings()
        for theirs, ours in _NAMES.items():
            bindings.add(theirs)(self._follow_key(ours))
        bindings.add(Keys.Any)(self._follow_key(""))
        bindings.add(Keys.BracketedPaste)(self._follow_paste)
        bindings.add("c-z")(lambda event: event.app.suspend_to_background())
        return bindings

    def _follow_key(self, name: str) -> "Callable[[KeyPressEvent], None]":
        def follow(event: "KeyPressEvent") -> None:
            key = name or event.data
            if self._is_drawn and (name or key.isprintable()):
                self._state, request = press_key(self._state, key)
                if request:
                    event.app.exit(result=(self._state, request))

        return follow

    def _follow_paste(self, event: "KeyPressEvent") -> None:
        text = event.data.replace("\r\n", "\n").replace("\r", "\n")
        self._state = paste_text(self._state, text)
