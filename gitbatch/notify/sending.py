"""Sending a notification: each receiver has ten seconds, and a failure is a text, never an error of the run."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import msgspec

from gitbatch.notify.notification import Notification
from gitbatch.notify.settings import NotifySettings
from gitbatch.text import clean_text

PATIENCE = 10.0
"""Seconds that a receiver has."""


class Sending:
    """A message on its way. Nothing waits for it before `collect_problems`."""

    def __init__(
        self, settings: NotifySettings, message: Notification, environment: Mapping[str, str]
    ) -> None:
        """Starts to send.

        Args:
            settings: the receivers.
            message: the notification.
            environment: of the command.
        """
        self._problems: list[str] = []
        body = msgspec.json.encode(message)
        self._running: list[tuple[str, Thread]] = []
        if settings.command:
            arguments = [*settings.command, message.text]
            self._start("the command", lambda: run_command(arguments, body, environment))
        if settings.webhook:
            self._start("the webhook", lambda: post_message(settings.webhook, body))

    def _start(self, name: str, send: Callable[[], str]) -> None:
        def keep_problem() -> None:
            if problem := send():
                self._problems.append(f"notification: {name} failed: {problem}")

        thread = Thread(target=keep_problem, name="notification", daemon=True)
        thread.start()
        self._running.append((name, thread))

    def collect_problems(self) -> tuple[str, ...]:
        """Waits for the receivers; returns what went wrong."""
        for name, thread in self._running:
            thread.join(PATIENCE + 1)
            if thread.is_alive():  # a server may send its answer byte by byte
                self._problems.append(f"notification: {name} failed: it took longer than {PATIENCE:.0f} s")
        return tuple(self._problems)


def run_command(
    arguments: list[str], body: bytes, environment: Mapping[str, str], patience: float = PATIENCE
) -> str:
    """Runs a program without a shell, in the root folder: nothing of a repository is found by a relative name.

    Returns:
        What went wrong; empty if nothing did.
    """
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path("/"),
            env=dict(environment),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"{arguments[0]}: {getattr(error, 'strerror', None) or error}"
    with process:
        try:
            process.communicate(body, timeout=patience)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return f"{arguments[0]}: it took longer than {patience:.0f} s"
    return f"{arguments[0]}: exit code {process.returncode}" if process.returncode else ""


def post_message(address: str, body: bytes, patience: float = PATIENCE) -> str:
    """Sends JSON to an address; redirections are not followed.

    Returns:
        What went wrong, without the address: it may hold a key. Empty if nothing did.
    """
    import httpx2  # noqa: PLC0415 - only a run with a webhook needs it

    host = urlsplit(address).hostname
    try:
        answer = httpx2.post(
            address, content=body, headers={"Content-Type": "application/json"}, timeout=patience
        )
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        return clean_text(f"{host}: {type(error).__name__}")
    return "" if answer.is_success else f"{host}: status {answer.status_code}"
