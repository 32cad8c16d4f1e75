"""The signals that end a run in good order."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress

from gitbatch.batch.ending import Result
from gitbatch.batch.session import Session
from gitbatch.cli.interruption import is_kept_by_nohup
from gitbatch.errors import ExitCode

ENDING_SIGNALS = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.HUNG_UP,
}
"""Signals that end a run in good order: Ctrl-C, a system that shuts down, a terminal that is closed."""


class Signals:
    """Ends a run in good order. The handlers are set again after each prompt, which takes them away.

    The first signal: no further item starts, running agents are stopped (SIGTERM, then SIGKILL to those that take
    too long), and what agents have finished is committed. The second: running agents are killed and nothing further
    is started, not even the cleanup; only the git command that runs is finished.
    """

    def __init__(self, session: Session) -> None:
        self.received: list[signal.Signals] = []
        self._session = session
        self._numbers = tuple(number for number in ENDING_SIGNALS if not is_kept_by_nohup(number))
        self._main: asyncio.Task[Result | signal.Signals] | None = None
        self._work: asyncio.Task[Result] | None = None

    async def supervise(self, work: Coroutine[None, None, Result]) -> Result | signal.Signals:
        """Runs the work until it has ended or a signal arrives; returns its result, or the signal."""
        self._main = asyncio.current_task()
        self._work = asyncio.get_running_loop().create_task(work)
        before = {number: signal.getsignal(number) for number in self._numbers}
        self.listen()
        try:
            result = await self._work
        except asyncio.CancelledError:
            if not self.received:
                raise
            for number in ENDING_SIGNALS:  # only the final message is left to print
                signal.signal(number, signal.SIG_IGN)
            return self.received[0]
        for number, handler in before.items():
            signal.signal(number, handler)
        return result

    def listen(self) -> None:
        """Sets the handlers; not through the loop, which would remove them while it closes."""
        loop = asyncio.get_running_loop()

        def on_signal(number: int, _frame: object) -> None:
            with suppress(RuntimeError):  # the loop is closed: the run has ended
                loop.call_soon_threadsafe(self._stop_work, signal.Signals(number))

        for number in self._numbers:
            signal.signal(number, on_signal)

    def _stop_work(self, number: signal.Signals) -> None:
        self.received.append(number)
        if len(self.received) == 1:
            self._session.notify("interrupted: stopping running agents (Ctrl-C again kills them)")
            if self._work:
                self._work.cancel()
        else:
            self._session.refuse_git()
            for task in asyncio.all_tasks() - {self._main}:
                task.cancel()
