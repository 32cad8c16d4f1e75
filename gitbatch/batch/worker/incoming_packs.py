"""The packs that an orchestrator sends: what has come of one, and the storing of all, one after the other."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gitbatch.batch.executor.messages import PackEnd, PackPart
from gitbatch.batch.worker.item_job import JobTools
from gitbatch.repo.objects.pack import FEW_BYTES


@dataclass(slots=True)
class IncomingPacks:
    """The packs of one connection."""

    folder: Path
    """For packs that are not complete."""
    wait_for_tools: Callable[[], Coroutine[None, None, JobTools]]
    stored: "asyncio.Task[None] | None" = None
    """The storing of the last pack that came, after that of all before it. Jobs that come after it wait for it."""
    _pack: "IO[bytes] | None" = None

    def take_message(self, message: PackPart | PackEnd) -> None:
        """Takes the next bytes of a pack, or its end."""
        if isinstance(message, PackPart):
            try:
                self._take_part(message)
            except OSError as error:  # the jobs that need it say so
                self.stored = asyncio.create_task(_raise_error(error))
        elif pack := self._pack:
            self._pack = None
            self.stored = asyncio.create_task(self._store_pack(pack, self.stored))

    def _take_part(self, part: PackPart) -> None:
        if part.is_first:
            self.drop_pack()
        if self._pack is None:
            self._pack = tempfile.SpooledTemporaryFile(FEW_BYTES, dir=str(self.folder))  # noqa: SIM115 - until it is stored
        self._pack.write(part.data)

    def drop_pack(self) -> None:
        """Drops what has come of a pack."""
        pack, self._pack = self._pack, None
        with suppress(OSError):  # what is not written yet may have no room
            if pack:
                pack.close()

    async def _store_pack(self, pack: "IO[bytes]", before: "asyncio.Task[None] | None") -> None:
        with pack:
            tools = await self.wait_for_tools()
            if before:
                await before
            await tools.copy.git(tools.copy.store_pack, pack)


async def _raise_error(error: OSError) -> None:
    raise error
