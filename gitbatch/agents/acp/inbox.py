"""What an agent prints, line by line: notifications are taken at once, responses and requests wait for the connection."""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from gitbatch.agents.acp.events import SessionEvents
from gitbatch.agents.acp.message import (
    PermissionRequest,
    RpcMessage,
    decode_error,
    decode_message,
    decode_permission,
    decode_value,
)
from gitbatch.agents.process.watch import ShownLine
from gitbatch.agents.protocol import OutputStream
from gitbatch.text import CleanText, clean_text

LINE_BYTES = 16 * 1024 * 1024
"""Bytes of a line: of a longer one, only the end is read, and dropped."""
PERMISSION = "session/request_permission"
_UNREAD_LINES = 20
_MESSAGES = 1000
"""Messages that wait for the connection, which takes all at once: of an agent that sends more in one go, they are dropped."""


class Decided(NamedTuple):
    """The answer to a request for permission."""

    option: str | None
    """The id of the chosen option; None: the call is cancelled."""
    denial: str = ""
    """The line that is shown, if it was not allowed."""


class Inbox:
    """The lines of one attempt."""

    def __init__(
        self, events: SessionEvents, decide: Callable[[PermissionRequest], Decided], noise: str = ""
    ) -> None:
        self.events = events
        self._decide = decide
        self._noise = re.compile(noise) if noise else None
        self._waiting: deque[dict[str, Any] | None] = deque()
        self._has_more = asyncio.Event()
        self._unread: deque[CleanText] = deque(maxlen=_UNREAD_LINES)

    @property
    def unread_lines(self) -> tuple[CleanText, ...]:
        """The last lines that are not messages: some programs print their errors so."""
        return tuple(self._unread)

    def take_line(self, stream: OutputStream, line: str) -> ShownLine | None:
        """Returns how a line is shown; None: it is not. What is not standard output is shown as it is."""
        if stream is not OutputStream.OUTPUT:
            is_noise = self._noise is not None and self._noise.match(line)
            return None if is_noise else ShownLine(stream, line)
        message = decode_message(line)
        if message is None:
            self.events.counts.not_json += 1
            if not line.lstrip().startswith("{"):
                self._unread.append(clean_text(line))
            return None
        if message.method == "session/update":
            return self.events.take_params(message.params)
        if message.method is not None and message.id is None:
            self.events.counts.unknown += 1
            return None
        if message.method == PERMISSION:
            return self._take_permission(message)
        self._put(_as_dict(message))
        said = self.events.flush_text() if message.method is None else ""
        return ShownLine(OutputStream.OUTPUT, said) if said.strip() else None

    def put_end(self) -> None:
        """Notes that nothing more will come."""
        self._waiting.append(None)
        self._has_more.set()

    async def receive_message(self) -> dict[str, Any] | None:
        """Waits for the next response or request and returns it; None: there are no more."""
        while not self._waiting:
            self._has_more.clear()
            await self._has_more.wait()
        return self._waiting.popleft()

    def _take_permission(self, message: RpcMessage) -> ShownLine | None:
        request = decode_permission(message.params)
        decided = self._decide(request) if request else Decided(None)
        self._put({"id": message.id, "method": PERMISSION, "params": decided.option})
        if not decided.denial:
            return None
        return ShownLine(OutputStream.PROGRESS, decided.denial, said_before=self.events.flush_text())

    def _put(self, message: dict[str, Any]) -> None:
        if len(self._waiting) < _MESSAGES:
            self._waiting.append(message)
            self._has_more.set()


def _as_dict(message: RpcMessage) -> dict[str, Any]:
    """Returns a message as the library takes it, with nothing in it that it does not expect."""
    if message.method is not None:
        return {"id": message.id, "method": message.method, "params": decode_value(message.params)}
    if message.has_error:
        return {"id": message.id, "error": msgspec.to_builtins(decode_error(message.error))}
    return {"id": message.id, "result": decode_value(message.result)}
