"""What a person sees of one program in a terminal of any size."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pexpect
import pyte
from conftest import Workspace
from forked_terminal import open_terminal
from screens import FullScreen
from waiting import DEADLINE


class Eyes:
    """What a person sees of a program in a terminal."""

    def __init__(self, child: "pexpect.spawn[str]", width: int, height: int) -> None:
        self.child = child
        self.screen = FullScreen(width, height)
        self.stream = pyte.Stream(self.screen)
        self.heard = ""
        """Everything that was written, with what is not shown."""

    @property
    def text(self) -> str:
        """The rows of the terminal that are not empty."""
        return "\n".join(row.rstrip() for row in self.screen.display if row.strip())

    def look_until(self, condition: Callable[[str], object]) -> str:
        """Returns what is shown once a condition holds."""
        while not condition(self.text):
            try:
                written = self.child.read_nonblocking(65536, timeout=DEADLINE)
            except (pexpect.EOF, pexpect.TIMEOUT):
                raise AssertionError(self.text) from None
            self.heard += written
            self.stream.feed(written)
        return self.text

    def look_for(self, pattern: str) -> str:
        """Returns what is shown once it has a pattern in it."""
        return self.look_until(lambda text: re.search(pattern, text))

    def resize(self, width: int, height: int) -> None:
        """Gives the terminal another size."""
        self.screen.resize(height, width)
        self.child.setwinsize(height, width)


@contextmanager
def watched(workspace: Workspace, command: list[str], width: int, height: int, **more: str) -> Iterator[Eyes]:
    environment = {
        **workspace.environment,
        "TERM": "xterm-256color",
        "TERM_PROGRAM": "ghostty",
        "PROMPT_TOOLKIT_NO_CPR": "1",
        "PAGER": "cat",
        **more,
    }
    child = open_terminal(workspace, command, env=environment, timeout=120, dimensions=(height, width))
    try:
        yield Eyes(child, width, height)
    finally:
        child.close(force=True)
