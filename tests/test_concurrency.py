"""Calls on the git thread, and coroutines that a cancellation does not leave half done."""

import asyncio
import threading

import pytest
from waiting import loop_turns

from gitbatch.concurrency import GitThread, shielded


@pytest.mark.parametrize("fails", [False, True])
def test_shielded_work_is_completed(*, fails: bool) -> None:
    came: list[str] = []

    async def main() -> None:
        begun, end = asyncio.Event(), asyncio.Event()

        async def work() -> str:
            begun.set()
            await end.wait()
            if fails:
                raise KeyError
            return "result"

        async def caller() -> None:
            try:
                came.append(await shielded(work()))
            except KeyError:
                came.append("error")
            await loop_turns()
            came.append("went on")

        task = asyncio.ensure_future(caller())
        await begun.wait()
        task.cancel()
        await loop_turns()
        assert came == []
        end.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert came == ["error" if fails else "result"]


def test_time_limit_around_shielded_work_is_one() -> None:
    async def main() -> None:
        end = asyncio.Event()

        async def work() -> None:
            await end.wait()

        asyncio.get_running_loop().call_later(0.01, end.set)
        async with asyncio.timeout(0):
            await shielded(work())
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(main())


def test_calls_run_in_order() -> None:
    came: list[int] = []

    async def main() -> None:
        thread = GitThread()
        await asyncio.gather(*(thread(came.append, number) for number in range(20)))
        thread.close()

    asyncio.run(main())
    assert came == list(range(20))


def test_begun_call_is_completed() -> None:
    came: list[str] = []

    async def main() -> None:
        thread, begun, end = GitThread(), threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            end.wait()
            came.append("done")

        first = asyncio.ensure_future(thread(work))
        second = asyncio.ensure_future(thread(came.append, "not begun"))
        await asyncio.to_thread(begun.wait)
        second.cancel()
        first.cancel()
        await loop_turns()
        end.set()
        for task in (first, second):
            with pytest.raises(asyncio.CancelledError):
                await task
        thread.close()

    asyncio.run(main())
    assert came == ["done"]


def test_refused_calls_are_cancelled() -> None:
    came: list[str] = []

    async def main() -> None:
        thread = GitThread()
        thread.refuse()
        with pytest.raises(asyncio.CancelledError):
            await thread(came.append, "called")
        thread.close()

    asyncio.run(main())
    assert came == []
