"""The conversation of one attempt: initialize, authenticate, a session, its mode and model, and one prompt."""

import asyncio
from typing import Any, TypeVar

import msgspec

from gitbatch import __version__
from gitbatch.agents.acp.connection import (
    AgentConnection,
    LostError,
    ResponseError,
    initialize_parameters,
    prompt_parameters,
    session_parameters,
)
from gitbatch.agents.acp.events import SessionEvents
from gitbatch.agents.acp.message import Initialized, NewSession, OptionsResult, PromptResult, RpcError
from gitbatch.agents.acp.outcome import Stage, Stop, TurnState
from gitbatch.agents.acp.session import SessionSetting, find_mode, find_model, offered_modes
from gitbatch.agents.acp.table import AcpAgent
from gitbatch.limits.causes import Cause

T = TypeVar("T")

_PROTOCOL = 1
START_LIMIT = 60.0
"""Seconds for each request before the prompt."""
CANCEL_LIMIT = 2.0
"""Seconds for an agent to end its turn, after `session/cancel`."""
_MODE_LIMIT = 2.0
"""Seconds for an agent to report that its mode has changed."""


class Dialogue:
    """One conversation; what it comes to is in the `TurnState` that it fills."""

    def __init__(
        self, table: AcpAgent, connection: AgentConnection, events: SessionEvents, known: TurnState
    ) -> None:
        self._table = table
        self._connection = connection
        self._events = events
        self._known = known
        self._stopped = asyncio.Event()

    async def hold(self, folder: str, prompt: str) -> None:
        """Talks until the turn has ended, or cannot begin.

        Args:
            folder: the agent's current directory.
            prompt: what is asked.
        """
        try:
            await self._initialize()
            session = await self._open_session(folder)
            await self._set_model(session)
            await self._set_mode(session)
            self._known.stage = Stage.PROMPTED
            await self._prompt(session.session_id, prompt)
        except ResponseError as failed:
            self._known.error = failed.error
        except (_StoppedError, LostError):
            return

    def stop(self) -> None:
        """Lets the agent end its turn: it gets `session/cancel`, and a short time to answer."""
        self._stopped.set()

    async def _initialize(self) -> None:
        self._known.agent = await self._ask("initialize", initialize_parameters(__version__), Initialized)
        version = self._known.agent.protocol_version
        if version != _PROTOCOL:
            raise self._stop(
                Cause.FATAL, f"it speaks version {version} of ACP, and gitbatch version {_PROTOCOL}"
            )
        self._known.stage = Stage.INITIALIZED
        if self._table.auth_method:
            await self._ask("authenticate", {"methodId": self._table.auth_method}, Any)

    async def _open_session(self, folder: str) -> NewSession:
        session = await self._ask("session/new", session_parameters(folder), NewSession)
        if not self._events.mode:  # else it was reported since: a notification is read before this
            self._events.report_mode(session.modes.current_mode_id if session.modes else "")
            self._events.take_options(session.config_options or ())
        return session

    async def _set_model(self, session: NewSession) -> None:
        """Sets the model, if the agent offers it; else it has to have it from its command line or environment."""
        model = self._table.model
        if model is None:
            return
        setting = find_model(session, model)
        if setting:
            await self._apply(session, setting, "modelId")
        elif not (self._table.known.model_option or self._table.known.model_variable):
            raise self._stop(Cause.FATAL, f"it does not offer the model {model!r}")

    async def _set_mode(self, session: NewSession) -> None:
        """Sets the mode, and reads it back: an answer alone says nothing, as some agents accept any name.

        The mode counts that was reported last: with the session, in the answer, or in a notification after it.
        """
        mode = self._table.wanted_mode
        if not mode:
            return
        setting = find_mode(session, mode)
        if setting is None:
            offered = ", ".join(offered_modes(session)) or "none"
            raise self._stop(Cause.FATAL, f"it does not offer the mode {mode!r} (offered: {offered})")
        await self._apply(session, setting, "modeId")
        try:
            async with asyncio.timeout(_MODE_LIMIT):
                while self._events.mode != mode:
                    self._events.mode_reported.clear()
                    await self._events.mode_reported.wait()
        except TimeoutError:
            reported = self._events.mode or "none"
            raise self._stop(
                Cause.FATAL, f"its mode {mode!r} was set and is not in force (reported: {reported})"
            ) from None

    async def _apply(self, session: NewSession, setting: SessionSetting, name: str) -> None:
        parameters = (
            {"configId": setting.option, "value": setting.value} if setting.option else {name: setting.value}
        )
        found = await self._ask(setting.method, {"sessionId": session.session_id, **parameters}, Any)
        if setting.option:
            self._events.take_options(_convert(found, OptionsResult).config_options)

    async def _prompt(self, session: str, text: str) -> None:
        """Sends the prompt, and waits for the end of the turn, or until the agent is stopped."""
        asked = asyncio.ensure_future(
            self._connection.send_request("session/prompt", prompt_parameters(session, text))
        )
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({asked, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                await self._connection.notify("session/cancel", {"sessionId": session})
                await asyncio.wait({asked}, timeout=CANCEL_LIMIT)
            if asked.done():
                self._known.failed_request = "session/prompt"
                self._known.result = _convert(asked.result(), PromptResult)
                self._known.failed_request = ""
                self._known.stage = Stage.ENDED
        finally:
            asked.cancel()
            stopped.cancel()

    async def _ask(self, method: str, parameters: dict[str, Any], form: type[T]) -> T:
        """Sends a request before the prompt, and returns its result."""
        self._known.failed_request = method
        try:
            async with asyncio.timeout(START_LIMIT):
                found = await self._connection.send_request(method, parameters)
        except TimeoutError:
            raise self._stop(Cause.FATAL, f"no answer to {method} in {START_LIMIT:g} s") from None
        answer = _convert(found, form)
        self._known.failed_request = ""
        return answer

    def _stop(self, cause: Cause, reason: str) -> "_StoppedError":
        self._known.stop = Stop(cause, reason)
        return _StoppedError()


class _StoppedError(Exception):
    """The conversation cannot begin; why is known."""


def _convert(found: Any, form: type[T]) -> T:  # noqa: ANN401 - JSON
    """Returns a result in its form.

    Raises:
        ResponseError: it has another one.
    """
    try:
        return msgspec.convert(found, form, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ResponseError(RpcError(message=f"invalid answer: {error}")) from error
