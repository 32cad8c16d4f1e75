"""Signals that end a run in good order, and what each of them does."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress

from gitbatch.batch.events import Notice
from gitbatch.batch.item.run import Run
from gitbatch.batch.loop import Result
from gitbatch.errors import ExitCode

ENDING_SIGNALS = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.HUNG_UP,
}
"""Signals that end a run in good order: Ctrl-C, a system that shuts down, a terminal that is closed."""


class Signals:
    """What ends a run in good order. The handlers are set again after each prompt, which takes them away.

    The first signal: no further item starts, running agents are ended (SIGTERM, and SIGKILL to those that take too
    long), what agents have finished is committed. The second: running agents are killed, and nothing more is begun,
    not even cleaning up; only the git command that is at work is finished.
    """

    def __init__(self, run: Run) -> None:
        self.received: list[signal.Signals] = []
        self._run = run
        self._main: asyncio.Task[Result | signal.Signals] | None = None
        self._work: asyncio.Task[Result] | None = None

    async def supervise(self, work: Coroutine[None, None, Result]) -> Result | signal.Signals:
        """Do the work to its end, or until a signal, which is then what is returned."""
        self._main = asyncio.current_task()
        self._work = asyncio.get_running_loop().create_task(work)
        self.listen()
        try:
            return await self._work
        except asyncio.CancelledError:
            if not self.received:
                raise
            for number in ENDING_SIGNALS:  # what is left is to say so
                signal.signal(number, signal.SIG_IGN)
            return self.received[0]

    def listen(self) -> None:
        """Set the handlers; not by the loop, which would take them away while it closes."""
        loop = asyncio.get_running_loop()

        def hear(number: int, _frame: object) -> None:
            with suppress(RuntimeError):  # the loop is closed: it is over
                loop.call_soon_threadsafe(self._stop, signal.Signals(number))

        for number in ENDING_SIGNALS:
            signal.signal(number, hear)

    def _stop(self, number: signal.Signals) -> None:
        self.received.append(number)
        if len(self.received) == 1:
            text = "interrupted: running agents are being ended; once more, and they are killed"
            self._run.emit(Notice(batch=self._run.batch.id, text=text))
            if self._work:
                self._work.cancel()
        else:
            self._run.git.refuse()
            self._run.repo.objects.stop_signing()
            for task in asyncio.all_tasks() - {self._main}:
                task.cancel()
