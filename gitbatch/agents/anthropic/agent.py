"""The agent kind `anthropic`: what the conversations of all its items share, and how one of them is begun.

The library is imported when the first item starts, on a thread: it takes a second or more, and nothing else of
gitbatch needs it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gitbatch.agents.anthropic.prices import Prices
from gitbatch.agents.anthropic.secret import Secret
from gitbatch.agents.anthropic.warmup import Warmup
from gitbatch.agents.protocol import Assignment, Failure, LocalPlace, Progress, Reply
from gitbatch.errors import GitbatchError
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.limits.usage import FREE
from gitbatch.project.config import AnthropicAgent
from gitbatch.text import clean_text

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

_WINDOW = 200_000
"""Tokens, where it is not known how many a model can read."""
_CONNECT, _SILENCE = 15.0, 300.0
"""Seconds to wait for a connection, and for the next piece of an answer."""


class ConnectionSetupError(GitbatchError):
    """No connection can be made by what the environment and the configuration say."""


@dataclass(slots=True, eq=False)
class ClaudeAgent:
    """Claude, for all items of a run that want it. Made by `make`."""

    name: str
    table: AnthropicAgent
    key: str = field(repr=False)
    base_url: str | None
    rate_limit: RateLimit
    budget: Budget
    prices: Prices
    warmup: Warmup = field(default_factory=Warmup)
    answers: int = 0
    """Whole answers of the server, to any item: does it work at all?"""
    is_nameless: bool = False
    """The server sends events without names, and that was said."""
    can_count: bool = True
    """Until the server says that it does not count tokens."""
    _client: "AsyncAnthropic | None" = None
    _has_begun: bool = False
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    def make(
        cls,
        name: str,
        table: AnthropicAgent,
        environment: Mapping[str, str],
        rate_limit: RateLimit,
        budget: Budget,
    ) -> "ClaudeAgent":
        """The agent, if it can work.

        Raises:
            GitbatchError: its key is missing, its server's address is none, or it can't be known what it costs and there is a limit.
        """
        key = environment.get(table.api_key_env, "").strip()
        if not key or not key.isascii() or not key.isprintable():
            what = "has characters that no key has" if key else "is not set"
            raise GitbatchError(
                f"agent {name} needs a key, and {table.api_key_env} {what}",
                f"export {table.api_key_env}=… (a server of your own that needs none takes any)",
            )
        made = cls(
            name=name,
            table=table,
            key=key,
            base_url=table.base_url or environment.get("ANTHROPIC_BASE_URL") or None,
            rate_limit=rate_limit,
            budget=budget,
            prices=Prices(table.model, table.price),
        )
        _require_host(name, made.base_url)
        made._require_prices()
        return made

    def _require_prices(self) -> None:
        """Refuse a limit in money that can't be held."""
        if self.budget.max_cost is None and self.table.max_cost is None:
            return
        for model in filter(None, (self.table.model, self.table.fallback_model)):
            if not self.prices.knows(model):
                raise GitbatchError(
                    f"there is a limit in money, and what {model} (agent {self.name}) costs is not known",
                    f"set price = {{input = …, output = …}} under [agents.{self.name}], or limit tokens",
                )

    @property
    def knows_usage(self) -> bool:
        """The server says it with each answer."""
        return True

    @property
    def knows_cost(self) -> bool:
        """Whether there are prices for its models."""
        return all(map(self.prices.knows, filter(None, (self.table.model, self.table.fallback_model))))

    @property
    def cost_limit(self) -> float | None:
        """US dollars for an item; None: not limited."""
        return self.table.max_cost

    def first(self) -> bool:
        """True the first time that it is asked: what is to be said once."""
        was, self._has_begun = self._has_begun, True
        return not was

    def window(self, model: str) -> int:
        """Tokens that a model can read."""
        configured = self.table.context_window if model == self.table.model else None
        return configured or self.prices.window(model) or _WINDOW

    async def run(self, assignment: Assignment, place: LocalPlace, progress: Progress) -> Reply | Failure:
        """Work on an assignment in a conversation of its own."""
        from gitbatch.agents.anthropic.conversation import converse  # noqa: PLC0415 - used when it runs

        try:
            client = await self._connected()
        except ConnectionSetupError as error:
            return Failure(clean_text(Secret(self.key).cut(error.message)), cause=Cause.FATAL, usage=FREE)
        return await converse(self, client, assignment, place, progress)

    async def close(self) -> None:
        """Close the connections."""
        if self._client:
            await self._client.close()

    async def _connected(self) -> "AsyncAnthropic":
        async with self._lock:
            if self._client is None:
                self._client = await asyncio.to_thread(self._connect)
            return self._client

    def _connect(self) -> "AsyncAnthropic":
        import genai_prices  # noqa: F401, PLC0415 - here it holds up nobody
        import httpx2  # noqa: PLC0415
        from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient  # noqa: PLC0415

        timeout = httpx2.Timeout(_SILENCE, connect=_CONNECT)
        try:  # a client of our own: the library's, if it can't be made, prints a traceback when it is collected
            if is_loopback(self.base_url or ""):
                # With a transport, nobody asks the environment for proxies.
                transport = httpx2.AsyncHTTPTransport(
                    trust_env=False, limits=httpx2.Limits(max_connections=1_000)
                )
                http = DefaultAsyncHttpxClient(timeout=timeout, trust_env=False, transport=transport)
            else:
                http = DefaultAsyncHttpxClient(timeout=timeout)
            client = AsyncAnthropic(
                api_key=self.key, base_url=self.base_url, max_retries=0, timeout=timeout, http_client=http
            )
        # What the environment says of proxies and certificates can be wrong in many ways.
        except (ImportError, OSError, ValueError, httpx2.InvalidURL) as error:
            # The words of the libraries quote addresses, which may have a password.
            why = error.strerror if isinstance(error, OSError) else type(error).__name__
            raise ConnectionSetupError(
                f"no connection can be set up (HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE, the server's address): {why}"
            ) from error
        client.messages  # noqa: B018 - imports what it needs
        return client


def _require_host(name: str, url: str | None) -> None:
    """Refuse an address that nobody can be reached at; it is not quoted, as it may have a password."""
    if url is None:
        return
    try:
        parts = urlsplit(url)
        is_one = bool(parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0)
    except ValueError:
        is_one = False
    if not is_one:
        raise GitbatchError(
            f"the server's address of agent {name} is none",
            f"set base-url under [agents.{name}], or ANTHROPIC_BASE_URL, to http://HOST or https://HOST",
        )


def is_loopback(url: str) -> bool:
    """Whether a server is on this machine: no proxy leads to it."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
