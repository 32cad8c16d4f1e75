"""The resources that the agents of a run share."""

from collections.abc import Mapping
from contextlib import suppress

from msgspec import Struct, field

from gitbatch.agents.process.starter import Starter
from gitbatch.limits.budget import Budget
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.sandbox.model import Sandbox, SandboxKind
from gitbatch.sandbox.selection import select_sandbox


class AgentServices(Struct, frozen=True):
    """The resources of a run that its agents share, whatever their kind."""

    environment: Mapping[str, str]
    """The user's environment."""
    sandbox: SandboxKind | None
    """The sandbox of the command line; None: each agent has that of its table."""
    starter: Starter
    rate_limit: RateLimit = field(default_factory=RateLimit)
    budget: Budget = field(default_factory=Budget)
    is_remote: bool = False
    """Whether the user names a cluster whose workers run the agents that are programs, whatever the configuration says."""

    def open_sandbox(self, configured: str) -> Sandbox:
        """Returns the sandbox for an agent that is a process, and starts the server that starts its programs, if one does.

        Raises:
            GitbatchError: it does not work here.
        """
        sandbox = select_sandbox(self.sandbox or SandboxKind(configured))
        if sandbox.kind.has_launcher:
            with suppress(OSError):  # the first item tries again, and reports the error
                self.starter.start_server()
        return sandbox
