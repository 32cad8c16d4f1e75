"""A review by plain questions: a line is printed, a line is read. For small and dumb terminals and for screen readers.

The letters are the keys of the review screen, with the items that they are about: `a T101 T102`, `v T101 Say more.`
"""

import asyncio
import os
import signal
import sys
import termios
from collections.abc import Callable

from gitbatch.cli.terminal import open_screen
from gitbatch.view.block import Block, make_line
from gitbatch.view.review_screen.commands import (
    LineAnswer,
    asks_on_interrupt,
    follow_line,
    interrupt_line,
    list_notices,
    render_overview,
    render_prompt,
)
from gitbatch.view.review_screen.keys import Step
from gitbatch.view.review_screen.state import ReviewState, ScreenRequest
from gitbatch.view.terminal import Terminal

_LONGEST = 1 << 16
"""Bytes of a line; a terminal gives fewer."""
_CUT = 4_096 if sys.platform == "linux" else 1_024
"""Bytes that a line has at least which the terminal has cut: the system drops what is beyond."""
_TOO_LONG = (
    f"more than {_CUT - 1:,} bytes in a line are cut by the terminal: nothing was taken. Use your editor."
)


class LineReview:
    """Asks line by line. What was typed before a question is thrown away."""

    def __init__(self) -> None:
        self._has_begun = False

    async def show_review(self, state: ReviewState, read: Callable[[ReviewState], Block]) -> Step:
        """Asks until the person wants what the questions cannot do; returns the state by then, and what it is.

        `read` returns what the mode of a state shows of the selected item.
        """
        if not self._has_begun:
            _print_block(render_overview(state))
        self._has_begun = True
        answer = LineAnswer(state)
        while answer.request is None:
            _print_block((*answer.shown, *(make_line(text) for text in list_notices(answer.state))))
            try:
                line = await ask_line(render_prompt(answer.state), is_asked=asks_on_interrupt(answer.state))
            except LineInterruptedError:
                _print_block((make_line(""),))  # the terminal has echoed it behind the prompt
                answer = interrupt_line(answer.state)
                continue
            if line is None and asks_on_interrupt(answer.state) and sys.stdin.isatty():  # Ctrl-D
                _print_block((make_line(""),))
                answer = interrupt_line(answer.state)
                continue
            if line is None:
                return answer.state, ScreenRequest.LEAVE
            answer = follow_line(answer.state, line, read)
        return answer.state, answer.request


def _print_block(block: Block) -> None:
    with open_screen() as screen:
        Terminal.of_screen(screen).show_block(block)


class LineInterruptedError(Exception):
    """Ctrl-C was typed instead of a line."""


async def ask_line(prompt: str, *, is_asked: bool = False) -> str | None:
    """Prints a prompt, and returns the line that is typed then; None: the input has ended.

    A line that the terminal has cut counts as not typed, and the prompt says so.

    Args:
        prompt: what is printed.
        is_asked: whether Ctrl-C raises an error here, instead of what it does otherwise.

    Raises:
        LineInterruptedError: Ctrl-C was typed.
    """
    while (typed := await _read_typed(prompt, is_asked=is_asked)) and len(typed) >= _CUT:
        _print_block((make_line(_TOO_LONG),))
    return typed.decode(sys.stdin.encoding, errors="replace").rstrip("\r\n") if typed else None


async def _read_typed(prompt: str, *, is_asked: bool) -> bytes:
    loop, typed, interrupted = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def on_interrupt(_number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(interrupted.set)
        loop.call_soon_threadsafe(typed.set)

    # Before the prompt is seen: Ctrl-C may be pressed in that moment.
    before = signal.signal(signal.SIGINT, on_interrupt) if is_asked else None
    try:
        _write_prompt(prompt)
        loop.add_reader(sys.stdin.fileno(), typed.set)
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
        if is_asked:
            signal.signal(signal.SIGINT, before)
    if interrupted.is_set():
        raise LineInterruptedError
    return os.read(sys.stdin.fileno(), _LONGEST)


def _write_prompt(prompt: str) -> None:
    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    with open_screen() as screen:
        screen.write(prompt)
        screen.flush()
