"""Stopping one item while it runs: apart from a cancellation of the run, and from an answer that is there already."""

import asyncio

import pytest
from waiting import loop_turns

from gitbatch.agents.process.interruption import AttemptInterruptedError
from gitbatch.agents.protocol import Failure, Reply
from gitbatch.batch.item.stop import RunningAgents
from gitbatch.concurrency import shielded
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import FREE, Usage
from gitbatch.plan.model import ItemKey
from gitbatch.text import clean_text

KEY = ItemKey("t1")
DONE = Reply(clean_text("It is done."))


async def work_for_ever() -> Reply | Failure:
    await asyncio.Event().wait()
    return DONE


async def report_usage() -> Reply | Failure:
    try:
        return await work_for_ever()
    except asyncio.CancelledError as error:
        raise AttemptInterruptedError(Usage(input=5, requests=1)) from error


async def answer_anyway() -> Reply | Failure:
    try:
        return await work_for_ever()
    except asyncio.CancelledError:
        return DONE


@pytest.mark.parametrize(
    ("work", "usage"), [(work_for_ever, FREE), (report_usage, Usage(input=5, requests=1))]
)
def test_stopped_item_fails_with_what_it_used(work: object, usage: Usage) -> None:
    async def scene() -> Failure | Reply:
        agents = RunningAgents()
        task = asyncio.create_task(agents.run_stoppable(KEY, work()))  # type: ignore[operator]  # one of the two above
        await loop_turns(2)
        assert agents.stop_item(KEY)
        assert not agents.stop_item(KEY), "it ends already"
        answer = await task
        assert task.cancelling() == 0
        assert not agents.stop_item(KEY), "it has ended"
        return answer

    assert asyncio.run(scene()) == Failure(
        clean_text("stopped by the user"), cause=Cause.STOPPED, usage=usage
    )


def test_agent_that_answers_while_it_is_stopped_has_answered() -> None:
    async def scene() -> tuple[Failure | Reply, int]:
        agents = RunningAgents()
        task = asyncio.create_task(agents.run_stoppable(KEY, answer_anyway()))
        await loop_turns(2)
        agents.stop_item(KEY)
        return await task, task.cancelling()

    assert asyncio.run(scene()) == (DONE, 0)


@pytest.mark.parametrize("is_stopped", [False, True])
def test_cancelled_run_ends_the_item_without_an_answer(*, is_stopped: bool) -> None:
    async def scene() -> None:
        agents = RunningAgents()
        task = asyncio.create_task(agents.run_stoppable(KEY, work_for_ever()))
        await loop_turns(2)
        if is_stopped:
            agents.stop_item(KEY)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_work_with_shielded_steps(*, is_cancelled: bool) -> None:
    """A step that is completed although its task is cancelled makes a stop no cancellation of the run."""

    async def scene() -> object:
        agents, step = RunningAgents(), asyncio.Event()

        async def work() -> Reply:
            await shielded(step.wait())
            await asyncio.Event().wait()
            return DONE

        task = asyncio.create_task(agents.run_stoppable(KEY, work()))
        await loop_turns(3)
        assert agents.stop_item(KEY)
        if is_cancelled:
            task.cancel()
        step.set()
        answer = await task
        assert not agents.stop_item(KEY)
        return answer

    if is_cancelled:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(scene())
    else:
        stopped = clean_text("stopped by the user")
        assert asyncio.run(scene()) == Failure(stopped, cause=Cause.STOPPED, usage=FREE)


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_answer_of_a_last_step_that_was_completed_counts(*, is_cancelled: bool) -> None:
    async def scene() -> object:
        agents, step = RunningAgents(), asyncio.Event()

        async def finish() -> Reply:
            await step.wait()
            return DONE

        async def answer() -> object:
            found = await agents.run_stoppable(KEY, shielded(finish()))
            await loop_turns(2)
            return found

        task = asyncio.create_task(answer())
        await loop_turns(3)
        assert agents.stop_item(KEY)
        await loop_turns(2)
        step.set()
        if is_cancelled:
            await loop_turns(1)
            task.cancel()
        return await task

    if is_cancelled:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(scene())
    else:
        assert asyncio.run(scene()) == DONE


def test_item_that_does_not_run_is_not_stopped() -> None:
    assert not RunningAgents().stop_item(KEY)
