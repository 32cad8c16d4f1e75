"""Sending a worker the objects that it lacks for an item: few are packed here, many by git."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from gitbatch.batch.executor.carrier import WorkerChannel
from gitbatch.batch.executor.messages import CHUNK_BYTES, PackEnd, PackPart
from gitbatch.batch.executor.shipment import HaveSet, Shipment, open_temporary, plan_shipment, write_pack
from gitbatch.batch.workplace.protocol import WorkplaceSetup
from gitbatch.concurrency import GitThread
from gitbatch.repo.objects.pack import FEW_BYTES, FEW_OBJECTS, render_entry, render_pack
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.repository import Repository


@dataclass(slots=True)
class SmallPacks:
    """Makes packs of few small objects without a git process. Used on the git thread."""

    objects: Objects
    _entries: dict[str, bytes] = field(default_factory=dict)
    """What a pack has for an object: each new worker gets the same commits and trees."""
    _kept: int = 0
    """Bytes of these."""

    def make_pack(self, oids: tuple[str, ...]) -> bytes | None:
        """Returns a pack of some objects; None: they are too many or too large, or one is missing."""
        if len(oids) > FEW_OBJECTS:
            return None
        new = tuple(oid for oid in oids if oid not in self._entries)
        found = self.objects.read_few(new, FEW_BYTES) if new else ()
        if found is None:
            return None
        made = dict(zip(new, map(render_entry, found), strict=True))
        entries = [made[oid] if oid in made else self._entries[oid] for oid in oids]
        self._keep_entries(made)
        return render_pack(entries, self.objects.id_bytes)

    def _keep_entries(self, made: dict[str, bytes]) -> None:
        self._kept += sum(map(len, made.values()))
        if self._kept > FEW_BYTES:
            self._entries.clear()
            self._kept = 0
        else:
            self._entries.update(made)


class ObjectSender:
    """Sends objects of a repository to workers. Belongs to one event loop."""

    def __init__(self, repo: Repository, git: GitThread, folder: Path) -> None:
        self._repo = repo
        self._git = git
        self._folder = folder
        self._packs = SmallPacks(repo.objects)

    async def send_objects(self, channel: WorkerChannel, setup: WorkplaceSetup, have: HaveSet) -> None:
        """Sends what a worker lacks for a setup, and notes that it has it.

        Raises:
            ChannelError: the connection is gone.
            GitError: the objects cannot be packed.
        """
        lacking, pack = await self._git(self._pack_lacking, setup, have)
        if not lacking.oids:
            return
        if pack is None:
            await self._send_large_pack(channel, lacking.oids)
        else:
            for start in range(0, len(pack), CHUNK_BYTES):
                await channel.send(PackPart(pack[start : start + CHUNK_BYTES], is_first=start == 0))
        await channel.send(PackEnd())
        have.note_shipment(lacking)

    def _pack_lacking(self, setup: WorkplaceSetup, have: HaveSet) -> tuple[Shipment, bytes | None]:
        """Returns what a worker lacks, and the pack of it; None: git has to make it. Runs on the git thread."""
        lacking = plan_shipment(self._repo.objects, setup, have)
        return lacking, self._packs.make_pack(lacking.oids)

    async def _send_large_pack(self, channel: WorkerChannel, oids: tuple[str, ...]) -> None:
        with open_temporary(self._folder) as descriptor:
            size = await self._git(write_pack, self._repo, oids, descriptor)
            for start in range(0, size, CHUNK_BYTES):
                part = os.pread(descriptor, CHUNK_BYTES, start)
                await channel.send(PackPart(part, is_first=start == 0))
