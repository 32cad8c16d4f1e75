"""The proxy around one start of an agent's program: its rules, its variables, and what it saw of the attempt."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from gitbatch.agents.process.api_access import ApiAccess
from gitbatch.agents.process.listener import open_listener
from gitbatch.agents.process.spending import AttemptLimits, ReachedLimit
from gitbatch.agents.protocol import Failure, OutputStream, Progress, Reply
from gitbatch.api_proxy.judgement import split_host
from gitbatch.api_proxy.proxy_log import ProxyLog
from gitbatch.api_proxy.user_proxy import LOGIN_WANTED
from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.limits.usage import Usage, take_larger
from gitbatch.sandbox.model import SandboxKind
from gitbatch.text import clean_text

_OWN_LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""The names of the loopback interface that the program has."""


def proxy_variables(address: str, allowed: Iterable[str] = ()) -> dict[str, str]:
    """Returns the variables that name the proxy to a program.

    Args:
        address: that of the proxy.
        allowed: the hosts that the user has named; those of this machine are reached through the proxy.
    """
    named = {split_host(name)[0].strip("[]") for name in allowed}
    direct = ",".join(name for name in _OWN_LOOPBACK if name not in named)
    return {
        **{f"{scheme}_PROXY": address for scheme in ("HTTPS", "HTTP", "ALL")},
        **{f"{scheme}_proxy": address for scheme in ("https", "http", "all")},
        "NO_PROXY": direct,
        "no_proxy": direct,
        "NODE_USE_ENV_PROXY": "1",  # else Node (since 24) does not read the others
    }


class ApiSession:
    """One start of a program with the network `api`. To be closed, by the end of a `with` block."""

    def __init__(
        self,
        access: ApiAccess,
        limits: AttemptLimits,
        progress: Progress,
        sandbox: SandboxKind = SandboxKind.BUBBLEWRAP,
    ) -> None:
        self._access = access
        self._limits = limits
        self._rules = access.make_rules()
        self._reached: ReachedLimit | None = None
        self._listener = open_listener(sandbox)
        self.log = ProxyLog(lambda line: progress(OutputStream.PROGRESS, line))
        self.is_served = False
        """Whether the launcher has made the listener."""

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Closes the listener, or the channel to the launcher."""
        self._listener.close()

    @property
    def channel(self) -> int | None:
        """The descriptor that the launcher of the program gets, if there is one."""
        return self._listener.channel

    @property
    def host_port(self) -> int | None:
        """The port of this machine that the sandbox must let through; None: the listener is in a namespace."""
        return self._listener.host_port

    @property
    def address(self) -> str:
        """The address of the proxy as the program sees it."""
        return f"http://127.0.0.1:{self._listener.port}"

    def set_variables(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Returns the variables of the program: all that it would get, with the address of the proxy, without its key."""
        through = proxy_variables(self.address, self._rules.named_hosts)
        return self._access.hide_key({**variables, **through}, self._rules, self.address)

    def set_arguments(self, arguments: Sequence[str]) -> list[str]:
        """Returns the command line of the program, with the address of the proxy if that is set by arguments."""
        return self._access.set_address(arguments, self._rules, self.address)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Serves the program, which was just started, within an `async with` block: if there is a listener."""
        from gitbatch.api_proxy.server import serve_item  # noqa: PLC0415 - only an agent with this network needs h11

        listener = await self._listener.receive_listener()
        if listener is None:
            yield
            return
        self.is_served = True
        async with serve_item(listener, self._rules, self.log, self._find_limit):
            yield

    def add_usage(self, reported: Usage) -> Usage:
        """Returns the usage of the attempt: the larger of what the program reports and what was counted."""
        usages = self.log.usages
        tokens = sum(usage.total_tokens for usage in usages)
        needs_cost = reported.cost is None or tokens > reported.total_tokens
        counted = self._limits.sum_usage(usages, needs_cost=needs_cost)
        return take_larger(reported, counted)

    def judge_answer(self, answer: Reply | Failure) -> Reply | Failure:
        """Returns the answer of the program with what the proxy knows: the usage, a limit, what was refused."""
        usage = self.add_usage(answer.usage)
        if isinstance(answer, Reply):
            return replace(answer, usage=usage)
        details = (*answer.details, *self.log.errors, *self.log.refusals)
        if self._reached is None:
            return replace(self._judge_failure(answer), usage=usage, details=details)
        return Failure(clean_text(self._reached.reason), details, self._reached.cause, usage=usage)

    def _judge_failure(self, failure: Failure) -> Failure:
        """Returns the failure with what the proxy knows: the program may not say why it waits, or for how long."""
        if self.log.wants_login:
            return replace(failure, reason=clean_text(LOGIN_WANTED), cause=Cause.FATAL)
        if failure.cause is not Cause.BUSY:
            return failure
        wait = self.log.retry_after if failure.retry_after is None else failure.retry_after
        reason = WaitReason.NO_CONNECTION if self.log.is_unreachable else failure.wait_reason
        return replace(failure, retry_after=wait, wait_reason=reason)

    def _find_limit(self, usages: tuple[Usage, ...]) -> str:
        self._limits.charge_usages(usages)
        self._reached = self._limits.find_reached(usages) or self._reached
        return self._reached.reason if self._reached else ""
