"""The connection to an agent: the library's JSON-RPC, over the pipes of a program that runs in a sandbox.

Only this module imports the library, and only a running agent imports this module: it takes half a second. Of what comes
in, responses and requests are passed to the library; notifications are read as they come (`Inbox.take_line`).
"""

import asyncio
import json
from typing import Any

from acp.connection import Connection
from acp.exceptions import RequestError
from acp.meta import PROTOCOL_VERSION
from acp.schema import (
    ClientCapabilities,
    FileSystemCapabilities,
    Implementation,
    InitializeRequest,
    NewSessionRequest,
    PromptRequest,
    RequestPermissionResponse,
    TextContentBlock,
)

from gitbatch.agents.acp.inbox import PERMISSION, Inbox
from gitbatch.agents.acp.message import RpcError

_UNREAD_BYTES = 1024 * 1024
"""What is written to an agent and not read by it: one that asks and asks, and reads no answers, is not answered."""


class ResponseError(Exception):
    """The agent answered a request with an error."""

    def __init__(self, error: RpcError) -> None:
        super().__init__(error.message)
        self.error = error


class LostError(Exception):
    """The agent has closed its output, or ended, before it answered."""


class AgentConnection:
    """Requests to one agent."""

    def __init__(self, stdin: asyncio.WriteTransport, inbox: Inbox) -> None:
        """Opens the connection.

        Args:
            stdin: what is written here, the agent reads.
            inbox: receives what it prints.
        """
        self._library = Connection(_answer_request, PipeTransport(stdin, inbox))

    async def send_request(self, method: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Sends a request and returns its result.

        Raises:
            ResponseError: the agent answered with an error.
            LostError: it did not answer, and never will.
        """
        try:
            return await self._library.send_request(method, parameters)
        except RequestError as error:
            raise ResponseError(RpcError(error.code, str(error), error.data)) from error
        except ConnectionError as error:
            raise LostError from error

    async def notify(self, method: str, parameters: dict[str, Any]) -> None:
        """Sends a notification; nothing happens if the connection is lost."""
        try:
            await self._library.send_notification(method, parameters)
        except ConnectionError:
            return

    async def close(self) -> None:
        """Ends its tasks. The agent does not notice."""
        await self._library.close()


class PipeTransport:
    """Messages as lines in the pipes of a program."""

    def __init__(self, stdin: asyncio.WriteTransport, inbox: Inbox) -> None:
        self._stdin = stdin
        self._inbox = inbox

    async def send(self, message: dict[str, Any]) -> None:
        """Writes a message. An answer that the agent will not read is dropped.

        Raises:
            ConnectionError: the agent does not read our request.
        """
        is_closed, is_answer = self._stdin.is_closing(), "method" not in message
        if is_answer and (is_closed or self._stdin.get_write_buffer_size() > _UNREAD_BYTES):
            return
        if is_closed:
            raise ConnectionError
        self._stdin.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    async def receive(self) -> dict[str, Any] | None:
        """Returns the next response or request; None at the end."""
        return await self._inbox.receive_message()

    async def close(self) -> None:
        """Nothing to do: the program's pipes are closed with it."""


def initialize_parameters(version: str) -> dict[str, Any]:
    """Returns the parameters of `initialize`: this client reads and writes no files for the agent, and has no terminal."""
    capabilities = ClientCapabilities(
        fs=FileSystemCapabilities(read_text_file=False, write_text_file=False), terminal=False
    )
    client = Implementation(name="gitbatch", version=version)
    return _encode(
        InitializeRequest(
            protocol_version=PROTOCOL_VERSION, client_capabilities=capabilities, client_info=client
        )
    )


def session_parameters(folder: str) -> dict[str, Any]:
    """Returns the parameters of `session/new`."""
    return _encode(NewSessionRequest(cwd=folder, mcp_servers=[]))


def prompt_parameters(session: str, text: str) -> dict[str, Any]:
    """Returns the parameters of `session/prompt`."""
    return _encode(PromptRequest(session_id=session, prompt=[TextContentBlock(type="text", text=text)]))


async def _answer_request(method: str, params: Any, is_notification: bool) -> Any:  # noqa: ANN401, FBT001 - the library's
    """Answers a request of the agent: the inbox has decided it; we read and write no files for it."""
    if method != PERMISSION or is_notification:
        raise RequestError.method_not_found(method)
    outcome = {"outcome": "selected", "optionId": params} if params else {"outcome": "cancelled"}
    return RequestPermissionResponse.model_validate({"outcome": outcome})


def _encode(model: Any) -> dict[str, Any]:  # noqa: ANN401 - of the library
    encoded: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return encoded
