"""The identity of a worker, as its first message to a run says it."""

from dataclasses import dataclass

from gitbatch import __version__
from gitbatch.batch.executor.messages import PROTOCOL, Hello


@dataclass(slots=True)
class WorkerIdentity:
    """What a worker says of itself."""

    host: str
    slots: int
    sandbox: str
    spooled: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    def make_hello(self) -> Hello:
        """Returns the greeting."""
        has = (self.spooled, self.running, self.programs, self.keys)
        return Hello(PROTOCOL, __version__, self.host, self.slots, self.sandbox, *has)
