"""Signals that end commands with their cleanup."""

import asyncio
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from gitbatch.cli.interruption import interrupted_by_signals
from gitbatch.cli.signals import Signals
from gitbatch.errors import ExitCode

ENDING = pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, ExitCode.TERMINATED), (signal.SIGHUP, ExitCode.HUNG_UP)]
)


@ENDING
def test_signal_in_the_step_of_a_task_does_not_cut_it(number: signal.Signals, code: ExitCode) -> None:
    """What the step begins, such as a program, is known when the task is cancelled; another signal changes nothing."""
    done: list[str] = []

    async def start_program() -> None:
        signal.raise_signal(number)
        done.append("started")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            signal.raise_signal(signal.SIGTERM)
            done.append("ended")
            raise

    async def run_all() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(start_program())

    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended, interrupted_by_signals():
        asyncio.run(run_all())
    assert (done, ended.value.code) == (["started", "ended"], code)
    assert signal.getsignal(number) is before


@ENDING
def test_signal_outside_of_a_loop_ends_the_block(number: signal.Signals, code: ExitCode) -> None:
    with pytest.raises(SystemExit) as ended, interrupted_by_signals():
        signal.raise_signal(number)
    assert ended.value.code == code


@ENDING
def test_signal_ends_the_block_where_ctrl_c_is_ignored(number: signal.Signals, code: ExitCode) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with pytest.raises(SystemExit) as ended, interrupted_by_signals():
        signal.raise_signal(number)
    assert ended.value.code == code


def test_what_nohup_started_outlives_its_terminal() -> None:
    """A run, and checks by hand, do not end when the terminal is closed in which they were started."""

    async def close_terminal() -> Any:  # noqa: ANN401 - no result of a run is looked at
        signal.raise_signal(signal.SIGHUP)
        await asyncio.sleep(0)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupted_by_signals():
            signal.raise_signal(signal.SIGHUP)
        session: Any = SimpleNamespace(notify=pytest.fail)
        assert asyncio.run(Signals(session).supervise(close_terminal())) is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_stays_what_it_is() -> None:
    with pytest.raises(KeyboardInterrupt), interrupted_by_signals():
        signal.raise_signal(signal.SIGINT)
