"""gitbatch, with a count of what is sent to workers: `python counted.py REPORT run …` is `gitbatch run …`.

Counted are the bytes of all frames to workers and from them, of the prompts, and of the blobs in packs: an item's context.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gitbatch.__main__ import main as gitbatch
from gitbatch.batch.executor import command_carrier
from gitbatch.batch.executor.frames import FrameReader, pack_frame
from gitbatch.batch.executor.message_codec import encode_message
from gitbatch.batch.executor.messages import ItemJob, ToWorker
from gitbatch.batch.executor.object_sender import SmallPacks
from gitbatch.repo.objects.pack import parse_pack, render_entry

COUNTED = {"sent": 0, "received": 0, "prompts": 0, "context": 0, "packs": 0}


def main() -> None:
    """Runs gitbatch; then writes what was counted as JSON."""
    report = Path(sys.argv.pop(1))
    _count_sent()
    _count_received()
    _count_context()
    try:
        gitbatch()
    finally:
        report.write_text(json.dumps(COUNTED), encoding="utf-8")


def _count_sent() -> None:
    def encode_counted(message: ToWorker) -> bytes:
        if isinstance(message, ItemJob):
            COUNTED["prompts"] += len(message.assignment.prompt.encode())
        return encode_message(message)

    def pack_counted(content: bytes) -> bytes:
        frame = pack_frame(content)
        COUNTED["sent"] += len(frame)
        return frame

    vars(command_carrier).update(encode_message=encode_counted, pack_frame=pack_counted)


def _count_received() -> None:
    take = FrameReader.take_bytes

    def take_counted(self: FrameReader, data: bytes) -> Iterator[bytes]:
        COUNTED["received"] += len(data)
        return take(self, data)

    FrameReader.take_bytes = take_counted  # type: ignore[method-assign]


def _count_context() -> None:
    make = SmallPacks.make_pack

    def make_counted(self: Any, oids: tuple[str, ...]) -> bytes | None:  # noqa: ANN401
        pack = make(self, oids)
        for whole in parse_pack(pack or b"", self.objects.id_bytes) or ():
            COUNTED["context"] += len(render_entry(whole)) if whole.kind == "blob" else 0
        COUNTED["packs"] += len(pack or b"")
        return pack

    SmallPacks.make_pack = make_counted  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
