"""The table `[executor]` of gitbatch.toml: where agents work that are programs."""

import shlex
from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from gitbatch.project.agent_table import ConfigTable, duration_problem
from gitbatch.project.cluster import TlsTable, find_address_problem
from gitbatch.project.private_commands import is_private

_Command = Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(min_length=1)]


_SET_THERE = 'set them at the workers, and write "worker"'


class ExecutorTable(ConfigTable, frozen=True):
    """Where items are worked on."""

    kind: Literal["local", "command", "dask"] = "local"
    """`local`: on this machine; `command`: by the workers that commands start; `dask`: by those of a Dask cluster."""
    workers: tuple[_Command, ...] = ()
    """The command that starts each worker, such as `["ssh", "build1", "gitbatch", "worker", "--stdio"]`."""
    cluster: str | None = None
    """The address of the cluster's scheduler, such as `tls://head:8786`; `--cluster` overrides it."""
    tls: TlsTable | None = None
    """The files by which a run shows a cluster who it is; needed unless all of it is on this machine."""
    no_worker: str = "5m"
    """How long a batch waits while no worker can be reached, before it halts."""
    max_lost: Annotated[int, Meta(ge=0)] = 3
    """How often an item is sent again because its worker was lost."""
    secrets: Literal["worker", "send"] = "worker"
    """Whose keys agents get: `worker`: those of the worker's own environment; `send`: those of the user's, which are sent."""

    checks_at: Literal["orchestrator", "workers"] = "orchestrator"
    """Where the programs of checks and gates run; `workers`: a worker's word decides what goes into history."""

    @property
    def is_remote(self) -> bool:
        """Whether agents that are programs work on other machines."""
        return self.kind != "local"

    def find_problems(self) -> Iterator[tuple[str, str | None]]:
        """Yields the settings whose values need more than their types checked, with their problems."""
        yield "no-worker", duration_problem(self.no_worker)
        if self.kind == "command" and not self.workers:
            yield "workers", 'it is empty, and kind = "command" needs the command of a worker at least'
        if self.kind != "command" and self.workers:
            yield "workers", 'it has a meaning with kind = "command" only'
        if any("\0" in part for command in self.workers for part in command):
            yield "workers", "a command has a NUL character in it"
        if self.kind == "dask" and not self.cluster:
            yield "cluster", 'it is empty, and kind = "dask" needs the address of a scheduler'
        if self.kind != "dask" and self.cluster:  # else items would be worked on here, and no word be said
            yield "cluster", 'it has a meaning with kind = "dask" only'
        yield "cluster", find_address_problem(self.cluster) if self.cluster else None
        yield "tls", self.tls.find_problem() if self.tls else None
        yield "secrets", self.find_secrets_problem()

    def find_secrets_problem(self) -> str | None:
        """Returns why keys cannot be sent: the way to a worker is not encrypted as far as is known; None if they can, or are not."""
        if self.secrets != "send":
            return None
        if self.kind == "dask" and not (self.cluster or "").startswith("tls://"):
            return "keys are sent over TLS only (tls://…): without it, others may listen"
        exposed = next((command for command in self.workers if not is_private(command)), None)
        if exposed is None:
            return None
        by = repr(exposed[0])
        if exposed[0] == "ssh":
            by = (
                f"this ssh, with an option that weakens it or a program that leads on ({shlex.join(exposed)})"
            )
        return f"keys are sent by ssh only, or to gitbatch on this machine, and not by {by}: {_SET_THERE}"
