"""The first item of a group goes alone until its answer begins: only then can the others read what the server cached."""

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Warmup:
    """For each start of a prompt, whether it has been sent. Belongs to one event loop."""

    _begun: dict[str, asyncio.Event] = field(default_factory=dict)

    async def wait_or_lead(self, key: str) -> bool:
        """Wait until a start is warm. True: it is not, and the caller is to go first."""
        while (event := self._begun.get(key)) is not None:
            if event.is_set():
                return False
            await event.wait()
        self._begun[key] = asyncio.Event()
        return True

    def mark_warm(self, key: str) -> None:
        """Note that the first answer has begun: the others may go."""
        self._begun[key].set()

    def give_up(self, key: str) -> None:
        """Let another one go first, if no answer has begun yet."""
        event = self._begun.get(key)
        if event is not None and not event.is_set():
            del self._begun[key]
            event.set()
