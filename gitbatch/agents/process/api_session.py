"""The proxy around one start of an agent's program: its rules, its variables, and what it saw of the attempt."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from socket import socket

from msgspec.structs import replace

from gitbatch.agents.process.api_access import ApiAccess
from gitbatch.agents.process.spending import AttemptLimits, ReachedLimit
from gitbatch.agents.protocol import Failure, OutputStream, Progress, Reply
from gitbatch.api_proxy.record import ProxyRecord
from gitbatch.limits.usage import Usage, take_larger
from gitbatch.text import clean_text


class ApiSession:
    """One start of a program with the network `api`."""

    def __init__(self, access: ApiAccess, limits: AttemptLimits, progress: Progress) -> None:
        self._access = access
        self._limits = limits
        self._rules = access.make_rules()
        self._reached: ReachedLimit | None = None
        self.record = ProxyRecord(lambda line: progress(OutputStream.PROGRESS, line))

    def set_variables(self, variables: Mapping[str, str], address: str) -> dict[str, str]:
        """Returns the variables of the program: as they are but for its key and the address of its server.

        Args:
            variables: all that it would get.
            address: of the proxy as it sees it, such as `http://127.0.0.1:3128`.
        """
        return self._access.hide_key(variables, self._rules, address)

    def serve(self, listener: socket) -> AbstractAsyncContextManager[ProxyRecord]:
        """Serves the program within an `async with` block."""
        from gitbatch.api_proxy.server import serve_item  # noqa: PLC0415 - only an agent with this network needs h11

        return serve_item(listener, self._rules, self.record, self._find_limit)

    def add_usage(self, reported: Usage) -> Usage:
        """Returns the usage of the attempt: the larger of what the program reports and what was counted."""
        usages = self.record.usages
        counted = self._limits.sum_usage(usages, needs_cost=reported.cost is None)
        return take_larger(reported, counted)

    def judge_answer(self, answer: Reply | Failure) -> Reply | Failure:
        """Returns the answer of the program with what the proxy knows: the usage, a limit, what was refused."""
        usage = self.add_usage(answer.usage)
        if isinstance(answer, Reply):
            return replace(answer, usage=usage)
        details = (*answer.details, *self.record.refusals)
        if self._reached is None:
            return replace(answer, usage=usage, details=details)
        return Failure(clean_text(self._reached.reason), details, self._reached.cause, usage=usage)

    def _find_limit(self, usages: tuple[Usage, ...]) -> str:
        self._reached = self._limits.find_reached(usages) or self._reached
        return self._reached.reason if self._reached else ""
