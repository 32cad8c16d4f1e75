"""A real terminal of 80 columns and 24 lines for tests: what is typed goes in, and what a person would see comes out."""

import os
import re
import sys
from copy import copy, deepcopy
from pathlib import Path
from typing import Any

import pexpect
import pyte
from conftest import Workspace
from waiting import DEADLINE, wait_until

COLUMNS, LINES = 80, 24
DOWN, ENTER = "\x1b[B", "\r"

_VOLATILE = (
    (re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{4}\b"), "20260102-030405-0000"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{10}\b"), "0123456789"),
    (re.compile(r"\b\d+\.\d s\b"), "0.1 s"),
)
"""What differs from run to run, and what stands for it in a saved screen."""


class _AlternateScreen:
    """What a terminal does for programs that use all of it: their screen is another one, and then the old one is back."""

    _before: tuple[Any, Any] | None = None

    def set_mode(self, *modes: int, **options: Any) -> None:  # noqa: ANN401 - as pyte has it
        """Enters the other screen where it is asked for."""
        super().set_mode(*modes, **options)  # type: ignore[misc]  # pyte's
        if _ALTERNATE in modes and options.get("private") and self._before is None:
            self._before = deepcopy(self.buffer), copy(self.cursor)
            self.erase_in_display(2)  # type: ignore[attr-defined]  # pyte's

    def reset_mode(self, *modes: int, **options: Any) -> None:  # noqa: ANN401 - as above
        """Leaves it."""
        super().reset_mode(*modes, **options)  # type: ignore[misc]  # pyte's
        if _ALTERNATE in modes and options.get("private") and self._before:
            (self.buffer, self.cursor), self._before = self._before, None
            self.dirty.update(range(self.lines))  # type: ignore[attr-defined]  # pyte's


_ALTERNATE = 1049


class FullScreen(_AlternateScreen, pyte.Screen):
    """A terminal with another screen."""


class _HistoryScreen(_AlternateScreen, pyte.HistoryScreen):
    """The same, with what has scrolled away."""


class Terminal:
    """Runs commands in one shell, as a person does, and remembers each screen that `look` is called for."""

    def __init__(self, workspace: Workspace) -> None:
        self._screen = _HistoryScreen(COLUMNS, LINES, history=500)
        self._stream = pyte.Stream(self._screen)
        self.screens: list[tuple[str, str]] = []
        (workspace.home / "bin").mkdir(exist_ok=True)
        program = workspace.home / "bin" / "gitbatch"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m gitbatch "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        environment = {
            **workspace.environment,
            "TERM": "xterm-256color",
            "PATH": f"{program.parent}:{workspace.environment['PATH']}",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "PS1": "$ ",
            "LANG": "C.UTF-8",
        }
        self._shell: pexpect.spawn[str] = pexpect.spawn(
            "sh", cwd=str(workspace.root), env=environment, encoding="utf-8", dimensions=(LINES, COLUMNS)
        )

    @property
    def shown(self) -> str:
        """What the screen shows now, without spaces at the ends of lines."""
        while True:
            try:
                self._stream.feed(self._shell.read_nonblocking(65536, timeout=0.05))
            except pexpect.TIMEOUT:
                break
        lines = (line.rstrip() for line in self._screen.display)
        return "\n".join(lines).rstrip()

    def type_keys(self, keys: str) -> None:
        """Types keys."""
        self._shell.send(keys)

    def clear(self) -> None:
        """Empties the screen, as Ctrl-L does."""
        self._screen.reset()

    def run(self, command: str) -> None:
        """Types a command at an empty screen."""
        wait_until(self._is_ready, command)
        self.clear()
        self.type_keys(command + ENTER)

    def wait_for(self, text: str, patience: float = DEADLINE) -> str:
        """Waits until a text is on the screen; returns the screen."""
        wait_until(lambda: text in self.shown, text, patience)
        return self.shown

    def look(self, title: str, text: str) -> str:
        """Waits for a text, and keeps the screen under a title."""
        seen = self.wait_for(text)
        for pattern, stable in _VOLATILE:
            seen = pattern.sub(stable, seen)
        self.screens.append((title, seen))
        return seen

    def finish(self, title: str) -> str:
        """Waits until the command has ended, and keeps the screen under a title."""
        wait_until(self._is_ready, title)
        return self.look(title, "$")

    def _is_ready(self) -> bool:
        return self.shown.endswith("$")

    def close(self) -> None:
        """Ends the shell, and saves the screens where SCREENS names a folder."""
        self._shell.close(force=True)

    def save(self, name: str) -> None:
        """Writes the screens as text into the folder that the variable SCREENS names, if it is set."""
        folder = os.environ.get("SCREENS")
        if folder:
            frame = "+" + "-" * COLUMNS + "+"
            texts = (
                "\n".join(
                    [
                        f"{number}. {title}",
                        frame,
                        *(f"|{line:<{COLUMNS}}|" for line in seen.split("\n")),
                        frame,
                    ]
                )
                for number, (title, seen) in enumerate(self.screens, 1)
            )
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{name}.txt").write_text("\n\n".join(texts) + "\n", encoding="utf-8")
