"""What the git thread waits for is shown by the event loop, or at once where none runs yet."""

import asyncio
import threading

from gitbatch.batch.event_stream import EventStream
from gitbatch.batch.events import Event, Notice
from gitbatch.batch.notices import Notices


def test_notices_come_on_the_loops_thread() -> None:
    seen: list[tuple[str, int]] = []

    def listen(event: Event) -> None:
        assert isinstance(event, Notice)
        seen.append((event.text, threading.get_ident()))

    notices = Notices(EventStream(lambda: 0.0, (listen,)), "b")

    async def run() -> None:
        notices.attach_loop()
        await asyncio.to_thread(notices, "from a thread")

    notices("before")
    asyncio.run(run())
    assert seen == [("before", threading.get_ident()), ("from a thread", threading.get_ident())]
