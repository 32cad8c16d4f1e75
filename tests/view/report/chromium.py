"""A real Chromium without a window, driven through a pipe: no port, no package, nothing but the browser itself."""

import fcntl
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_READ, _WRITE = 3, 4
"""The descriptors at which a browser with --remote-debugging-pipe expects its commands and writes its answers."""

_FREE = 10
"""Descriptors from here on are not those two."""


class Browser:
    """A page of a browser, with the events that it has reported."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._rest = b""
        self._number = 0
        self._session = ""
        self.events: list[Any] = []

    def open_page(self) -> None:
        """Opens an empty page, whose events are reported from here on."""
        self._session = ""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network", "Accessibility"):
            self.send(f"{domain}.enable")
        self.events.clear()

    def show_file(self, file: Path) -> None:
        """Shows a file, and waits until it is loaded and laid out."""
        self.send("Page.navigate", url=file.as_uri())
        self.await_event("Page.loadEventFired")
        assert self.evaluate("document.body.offsetHeight") > 0

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - any value of JavaScript
        """Returns the value of an expression on the page."""
        return self.send("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def send(self, method: str, **parameters: object) -> Any:  # noqa: ANN401 - JSON
        """Returns the answer to a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read_message()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def await_event(self, method: str) -> None:
        """Waits for an event, unless it has been reported already."""
        while not any(event["method"] == method for event in self.events):
            self._read_message()

    def _read_message(self) -> Any:  # noqa: ANN401 - JSON
        while b"\0" not in self._rest:
            read = os.read(self._answers, 1 << 20)
            assert read, "the browser has ended"
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(line)
        if "method" in message:
            self.events.append(message)
        return message


@contextmanager
def run_browser(program: str, folder: Path) -> Iterator[Browser]:
    """Yields a browser; ends it afterwards. `folder`: for its profile."""
    read, commands = os.pipe()
    answers, write = os.pipe()
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FREE) for end in (read, write)]
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run")
    process = os.posix_spawn(
        program,
        (program, *options, f"--user-data-dir={folder}", "about:blank"),
        os.environ,
        file_actions=[
            *((os.POSIX_SPAWN_OPEN, end, os.devnull, os.O_RDWR, 0) for end in (0, 1, 2)),
            (os.POSIX_SPAWN_DUP2, ends[0], _READ),
            (os.POSIX_SPAWN_DUP2, ends[1], _WRITE),
        ],
    )
    for end in (read, write, *ends):
        os.close(end)
    try:
        yield Browser(commands, answers)
    finally:
        os.kill(process, signal.SIGTERM)
        os.waitpid(process, 0)
        os.close(commands)
        os.close(answers)
