"""What must not be left half done."""

import asyncio

import pytest

from gitbatch.concurrency import shielded


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_done_to_its_end_gives_its_result_and_then_the_cancellation(*, fails: bool) -> None:
    came: list[str] = []

    async def work() -> str:
        await asyncio.sleep(0.05)
        if fails:
            raise KeyError
        return "result"

    async def caller() -> None:
        try:
            came.append(await shielded(work()))
        except KeyError:
            came.append("error")
        await asyncio.sleep(0)
        came.append("went on")

    async def scene() -> None:
        task = asyncio.ensure_future(caller())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())
    assert came == ["error" if fails else "result"]
