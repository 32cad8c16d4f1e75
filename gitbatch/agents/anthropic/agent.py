"""The agent kind `anthropic`: the state that the conversations of all its items share.

The library is imported when the first item starts, on a thread: it takes a second or more, and no other part of
gitbatch needs it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gitbatch.agents.anthropic.api_key import ApiKey
from gitbatch.agents.anthropic.prices import Prices
from gitbatch.agents.anthropic.table import AnthropicAgent
from gitbatch.agents.anthropic.warmup import Warmup
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, Progress, Reply
from gitbatch.agents.services import AgentServices
from gitbatch.errors import GitbatchError
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.limits.usage import FREE
from gitbatch.text import CleanText, clean_text

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

_WINDOW = 200_000
"""Tokens that a model can read, where that is not known."""
_SUBSCRIPTION = "sk-ant-oat"
"""The beginning of a token of `claude setup-token`: the API refuses it."""
_CONNECT, _SILENCE = 15.0, 300.0
"""Seconds to wait for a connection, and for the next piece of an answer."""


class ConnectionSetupError(GitbatchError):
    """No connection can be made with the settings of the environment and the configuration."""


@dataclass(slots=True, eq=False)
class ClaudeAgent:
    """Claude, for all items of a run that use it. `make_anthropic_agent` makes one."""

    name: str
    table: AnthropicAgent
    key: str = field(repr=False)
    base_url: str | None
    rate_limit: RateLimit
    budget: Budget
    prices: Prices
    warmup: Warmup = field(default_factory=Warmup)
    answers: int = 0
    """Whole answers of the server, to any item: more than 0 shows that the server works."""
    is_nameless: bool = False
    """The server sends events without names, and a notice about it was shown."""
    can_count: bool = True
    """False once the server has answered that it does not count tokens."""
    _client: "AsyncAnthropic | None" = None
    _has_begun: bool = False
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def sandbox_kind(self) -> str:
        """Empty: it has no process."""
        return ""

    @property
    def notes(self) -> tuple[CleanText, ...]:
        """Nothing."""
        return ()

    def find_missing_program(self, _has_file: Callable[[str], bool]) -> str:
        """Returns nothing: it has no process."""
        return ""

    def read_in_checkouts(self, _checkouts: tuple[Path, ...]) -> tuple[Path, ...]:
        """Returns nothing: it has no process."""
        return ()

    def find_used_in(self, _checkouts: tuple[Path, ...]) -> tuple[Path, ...]:
        """Returns nothing: it has no process."""
        return ()

    @property
    def knows_usage(self) -> bool:
        """True: the server reports it with each answer."""
        return True

    @property
    def knows_cost(self) -> bool:
        """Whether there are prices for its models."""
        return all(map(self.prices.knows_price, filter(None, (self.table.model, self.table.fallback_model))))

    @property
    def cost_limit(self) -> float | None:
        """US dollars for an item; None: no limit."""
        return self.table.max_cost

    def is_first_use(self) -> bool:
        """Whether this is the first call: then things are shown that are shown once."""
        was, self._has_begun = self._has_begun, True
        return not was

    def window_of(self, model: str) -> int:
        """Returns the number of tokens that a model can read."""
        configured = self.table.context_window if model == self.table.model else None
        return configured or self.prices.window_of(model) or _WINDOW

    async def run(self, assignment: Assignment, folders: AgentFolders, progress: Progress) -> Reply | Failure:
        """Works on an assignment in a conversation of its own."""
        from gitbatch.agents.anthropic.conversation import hold_conversation  # noqa: PLC0415 - used when it runs

        try:
            client = await self._get_client()
        except ConnectionSetupError as error:
            return Failure(
                clean_text(ApiKey(self.key).remove_from(error.message)), cause=Cause.FATAL, usage=FREE
            )
        return await hold_conversation(self, client, assignment, folders, progress)

    async def close(self) -> None:
        """Closes the connections."""
        if self._client:
            await self._client.close()

    async def _get_client(self) -> "AsyncAnthropic":
        async with self._lock:
            if self._client is None:
                self._client = await asyncio.to_thread(self._make_client)
            return self._client

    def _make_client(self) -> "AsyncAnthropic":
        import genai_prices  # noqa: F401, PLC0415 - on this thread it delays nothing
        import httpx2  # noqa: PLC0415
        from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient  # noqa: PLC0415

        timeout = httpx2.Timeout(_SILENCE, connect=_CONNECT)
        try:  # a client of our own: if the library cannot make one, it prints a traceback when that is collected
            if is_loopback(self.base_url or ""):
                # With a transport, the environment is not searched for proxies.
                transport = httpx2.AsyncHTTPTransport(
                    trust_env=False, limits=httpx2.Limits(max_connections=1_000)
                )
                http = DefaultAsyncHttpxClient(
                    timeout=timeout, trust_env=False, transport=transport, follow_redirects=False
                )
            else:
                http = DefaultAsyncHttpxClient(timeout=timeout, follow_redirects=False)
            client = AsyncAnthropic(
                api_key=self.key, base_url=self.base_url, max_retries=0, timeout=timeout, http_client=http
            )
        # The settings for proxies and certificates in the environment can be wrong in many ways.
        except (ImportError, OSError, ValueError, httpx2.InvalidURL) as error:
            # The messages of the libraries quote addresses, which may have a password.
            why = error.strerror if isinstance(error, OSError) else type(error).__name__
            raise ConnectionSetupError(
                f"cannot set up a connection (HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE, the base URL): {why}"
            ) from error
        client.messages  # noqa: B018 - imports what it needs
        return client


def _require_base_url(name: str, url: str | None) -> None:
    """Refuses an invalid base URL; it is not quoted, as it may have a password."""
    if url is None:
        return
    try:
        parts = urlsplit(url)
        is_valid = bool(parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0)
    except ValueError:
        is_valid = False
    if not is_valid:
        raise GitbatchError(
            f"agent {name}: invalid base URL",
            f"set base-url under [agents.{name}], or ANTHROPIC_BASE_URL, to http://HOST or https://HOST",
        )


def is_loopback(url: str) -> bool:
    """Whether a server is on this machine: it is reached without a proxy."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def make_anthropic_agent(name: str, table: AnthropicAgent, services: AgentServices) -> ClaudeAgent:
    """Makes an agent of this kind.

    Raises:
        GitbatchError: its key is missing, its base URL is invalid, or there is a cost limit and a price is unknown.
    """
    environment = services.environment
    key = environment.get(table.api_key_env, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        problem = "has characters that no key has" if key else "is not set"
        raise GitbatchError(
            f"agent {name} needs a key, and {table.api_key_env} {problem}",
            f"export {table.api_key_env}=… (a server of your own that needs none takes any)",
        )
    if key.startswith(_SUBSCRIPTION):
        raise GitbatchError(
            f"agent {name}: {table.api_key_env} has the token of a subscription, which only Claude Code may use",
            f'set kind = "claude-code" under [agents.{name}], or export {table.api_key_env}=… with a key of the API',
        )
    agent = ClaudeAgent(
        name=name,
        table=table,
        key=key,
        base_url=table.base_url or environment.get("ANTHROPIC_BASE_URL") or None,
        rate_limit=services.rate_limit,
        budget=services.budget,
        prices=Prices(table.model, table.price),
    )
    _require_base_url(name, agent.base_url)
    _require_prices(agent)
    return agent


def _require_prices(agent: ClaudeAgent) -> None:
    """Refuses a cost limit that cannot be kept, because the price of a model is unknown."""
    if agent.budget.max_cost is None and agent.table.max_cost is None:
        return
    for model in filter(None, (agent.table.model, agent.table.fallback_model)):
        if not agent.prices.knows_price(model):
            raise GitbatchError(
                f"a cost limit is set but the price of model {model} (agent {agent.name}) is unknown",
                f"set price = {{input = …, output = …}} under [agents.{agent.name}], or limit tokens",
            )
