"""The connection of an agent's program to the proxy: HTTP/1.1 as the library h11 reads and writes it.

Whatever the program sends is taken apart and written again, so that both sides agree where a request ends. Heads and
bodies are limited, a program that stops in the middle is not waited for, and nothing is read ahead of what is passed on.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from http import HTTPStatus

import h11

from gitbatch.api_proxy.judgement import Head, Header

HEAD_BYTES = 64 * 1024
BODY_BYTES = 64 * 1024 * 1024
"""Twice what servers of models accept."""
CHUNK = 64 * 1024
HEAD_PATIENCE = 30.0
"""Seconds for a head, once it has begun."""
IDLE_PATIENCE = 300.0
"""Seconds without a byte in a body, between two requests, or while an answer is not read."""
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    407: "authentication_error",
    408: "timeout_error",
    413: "request_too_large",
}


class ClientError(Exception):
    """A request that cannot be read: it gets this answer, and the connection ends."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ClientGoneError(Exception):
    """The program has closed the connection."""


class ClientConnection:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self.content_length: int | None = 0
        """The bytes of the body of the request; None: unknown until its end."""

    async def read_head(self) -> Head | None:
        """Returns the head of the next request; None: the connection ends.

        Raises:
            ClientError: it is not valid, or does not come to its end.
        """
        try:
            if not self._http.trailing_data[0]:
                async with asyncio.timeout(IDLE_PATIENCE):
                    self._feed(await self.reader.read(CHUNK))
            async with asyncio.timeout(HEAD_PATIENCE):
                event = await self._next_event()
        except TimeoutError:
            if self._http.trailing_data[0]:
                raise ClientError(408, "the head of the request did not come to its end") from None
            return None
        if not isinstance(event, h11.Request):
            return None
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers)
        head = Head(event.method.decode("latin-1"), event.target.decode("latin-1"), headers)
        self._check_framing(head)
        return head

    async def read_body(self) -> AsyncIterator[bytes]:
        """Yields the body of the request, as it comes.

        Raises:
            ClientError: it is too long, not valid, or does not come to its end.
            ClientGoneError: the program has gone.
        """
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        size = 0
        while True:
            try:
                async with asyncio.timeout(IDLE_PATIENCE):
                    event = await self._next_event()
            except TimeoutError:
                raise ClientError(408, "the request did not come to its end") from None
            if not isinstance(event, h11.Data):
                return
            size += len(event.data)
            if size > BODY_BYTES:
                raise ClientError(413, f"the request is larger than {BODY_BYTES} bytes")
            yield bytes(event.data)

    async def wait_until_gone(self) -> None:
        """Returns when the program closes its side while it waits for an answer; what it sends meanwhile is kept."""
        data = await self.reader.read(CHUNK)
        while data:
            self._http.receive_data(data)
            if len(self._http.trailing_data[0]) > HEAD_BYTES:
                return  # it sends without end instead of reading
            data = await self.reader.read(CHUNK)

    async def start_answer(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Sends the head of an answer."""
        await self._send(h11.Response(status_code=status, headers=list(headers)))

    async def send_body(self, data: bytes) -> None:
        """Sends a piece of the body; returns when the program has read enough of what came before."""
        await self._send(h11.Data(data=data))

    async def finish_answer(self) -> None:
        """Ends an answer."""
        await self._send(h11.EndOfMessage())

    async def send_error(self, status: int, message: str) -> None:
        """Sends an answer of the proxy itself, in the form that clients of models show; the connection then ends."""
        error = {"type": _TYPES.get(status, "api_error"), "code": status, "message": f"gitbatch: {message}"}
        body = json.dumps({"type": "error", "error": error}).encode()
        headers: list[Header] = [
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        reason = HTTPStatus(status).phrase.encode()
        await self._send(h11.Response(status_code=status, headers=headers, reason=reason))
        await self.send_body(body)
        await self.finish_answer()

    async def accept_tunnel(self) -> bytes:
        """Says that a tunnel is there. Returns what the program has sent into it already."""
        await self._send(h11.Response(status_code=200, headers=[], reason=b"Connection established"))
        return bytes(self._http.trailing_data[0])

    async def enter_tunnel(self) -> None:
        """Says that a tunnel is there, and reads what the program sends into it as requests of its own."""
        sent = await self.accept_tunnel()
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        if sent:
            self._feed(sent)

    def start_next(self) -> bool:
        """Prepares for the next request; false: the connection ends."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    def abort(self) -> None:
        """Closes the connection in the middle: the program sees that an answer was cut."""
        self.writer.transport.abort()

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Returns the next event; never NEED_DATA."""
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise ClientError(error.error_status_hint, f"not a valid request ({error})") from None
            if event is not h11.NEED_DATA:
                return event
            self._feed(await self.reader.read(CHUNK))

    def _feed(self, data: bytes) -> None:
        self._http.receive_data(data)

    def _check_framing(self, head: Head) -> None:
        """Refuses a request that is too large, or whose end two servers could see in different places."""
        if len(head.target) + sum(len(name) + len(value) for name, value in head.headers) > HEAD_BYTES:
            raise ClientError(431, f"the head of the request is larger than {HEAD_BYTES} bytes")
        given = dict(head.headers)
        is_chunked, length = "transfer-encoding" in given, given.get("content-length")
        if is_chunked and length is not None:
            raise ClientError(400, "a request with both content-length and transfer-encoding")
        self.content_length = None if is_chunked else int(length or 0)
        if (self.content_length or 0) > BODY_BYTES:
            raise ClientError(413, f"the request is larger than {BODY_BYTES} bytes")

    async def _send(self, event: h11.Event) -> None:
        try:
            data = self._http.send(event)
            if data:
                self.writer.write(data)
                async with asyncio.timeout(IDLE_PATIENCE):
                    await self.writer.drain()
        except (
            OSError,
            TimeoutError,
            h11.LocalProtocolError,
        ) as error:  # the last one: the server's answer is not valid
            raise ClientGoneError from error
