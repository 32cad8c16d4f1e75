"""The seam of a carrier: how workers are found, and how messages get to one and back.

A new carrier is one module, and one line in `CARRIERS`. It moves messages: all decisions are in `worker_pool.py`.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, cast

from msgspec import Struct

from gitbatch.batch.executor.messages import FromWorker, ToWorker
from gitbatch.project.executor_table import ExecutorTable

CARRIERS: Mapping[str, str] = MappingProxyType(
    {
        "command": "gitbatch.batch.executor.command_carrier:CommandCarrier",
        "dask": "gitbatch.batch.executor.dask_carrier:DaskCarrier",
    }
)
"""By the `kind` of the table `[executor]`."""


class ChannelError(Exception):
    """A worker cannot be reached, or has said what no worker says. The message is one line."""


class WorkerChannel(Protocol):
    """A connection to one worker."""

    async def send(self, message: ToWorker) -> None:
        """Sends a message, at the speed of the worker.

        Raises:
            ChannelError: the connection is gone.
        """
        ...

    async def receive(self) -> list[FromWorker]:
        """Waits for the next messages; at least one.

        Raises:
            ChannelError: the connection is gone, the worker is silent, or what it says is not a message.
        """
        ...

    async def close(self, patience: float) -> None:
        """Ends the connection; what is being sent may be lost. `patience`: seconds that the worker has to end."""
        ...


class WorkerLink(Protocol):
    """A worker that can be connected to, again if the connection was lost."""

    @property
    def name(self) -> str:
        """What it is called before it has said its own name."""
        ...

    @property
    def is_gone(self) -> bool:
        """Whether it is not one of the workers any more: once the connection is lost, it is not connected to again."""
        ...

    async def connect(self) -> WorkerChannel:
        """Connects to it.

        Raises:
            ChannelError: that is not possible now.
        """
        ...


class CarrierTools(Struct, frozen=True):
    """What a carrier is made of."""

    table: ExecutorTable
    environment: Mapping[str, str]
    """The user's."""
    directory: Path
    """The user's checkout."""
    tell: Callable[[str], None]


class Carrier(Protocol):
    """A way in which workers are reached."""

    @property
    def problem(self) -> str:
        """Why workers cannot be looked for now; empty: they can."""
        ...

    @property
    def may_find_more(self) -> bool:
        """Whether workers may come that are not known yet."""
        ...

    async def find_workers(self, join: Callable[[WorkerLink], None]) -> None:
        """Calls `join` with each worker, now and later, until all are known or the call is cancelled."""
        ...


def open_carrier(tools: CarrierTools) -> Carrier:
    """Returns the carrier that a configuration names, whose module is loaded now."""
    module, _, name = CARRIERS[tools.table.kind].partition(":")
    return cast("Carrier", getattr(import_module(module), name)(tools))
