"""Notices from the git thread, which the event loop emits while the thread waits."""

import asyncio

from gitbatch.batch.event_stream import EventStream
from gitbatch.batch.events import Notice


class Notices:
    """Emits notices about a batch from any thread."""

    def __init__(self, emit: EventStream, batch: str) -> None:
        self._emit = emit
        self._batch = batch
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach_loop(self) -> None:
        """Lets the running event loop emit from now on: listeners are called on one thread only."""
        self._loop = asyncio.get_running_loop()

    def __call__(self, text: str) -> None:
        """Emits a notice."""
        notice = Notice(batch=self._batch, text=text)
        if self._loop is None:
            self._emit(notice)
        else:
            self._loop.call_soon_threadsafe(self._emit, notice)
