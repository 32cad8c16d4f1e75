"""The first item of a group runs alone until its answer begins: only then can the others use the server's cache."""

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Warmup:
    """The starts of prompts that have been sent. Belongs to one event loop."""

    _begun: dict[str, asyncio.Event] = field(default_factory=dict)

    async def wait_or_lead(self, key: str) -> bool:
        """Waits until a start of a prompt is cached. True: it is not, and the caller must send it first."""
        while (event := self._begun.get(key)) is not None:
            if event.is_set():
                return False
            await event.wait()
        self._begun[key] = asyncio.Event()
        return True

    def mark_warm(self, key: str) -> None:
        """Notes that the first answer has begun: the others may start."""
        self._begun[key].set()

    def give_up(self, key: str) -> None:
        """Lets another item send it first, if no answer has begun yet."""
        event = self._begun.get(key)
        if event is not None and not event.is_set():
            del self._begun[key]
            event.set()
