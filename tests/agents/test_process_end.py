"""How a program ends: by itself, by a time-out or cancelled, with all that it has started."""

import asyncio
import gc
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from agents.process_bench import (
    ERROR,
    NEVER,
    OUTPUT,
    Bench,
    Tether,
    either,
)
from agents.values import a_failure, a_reply
from waiting import loop_turns, wait_until

from gitbatch.agents.process import program
from gitbatch.agents.process.interruption import AttemptInterruptedError
from gitbatch.agents.process.watch import OutputWatch
from gitbatch.agents.protocol import Failure, Reply
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage


@either
def test_a_time_out_lets_the_program_clean_up(
    bench: Bench, tether: Tether, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.timeout = 7  # no other limit has as many
    bench.expire_at(monkeypatch, "ready")
    answer = bench.sh(f"{tether.hold}; trap 'echo cleaned up >&2; exit 0' TERM; echo ready; sleep 60 & wait")
    assert answer == a_failure("it took longer than 7 seconds", ("cleaned up",), Cause.TIMEOUT)
    assert bench.lines(OUTPUT) == ["ready"]
    tether.assert_loose()


def signals_sent(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The signals that a program's group gets, and the seconds of grace where they pass without its end."""
    sent: list[float] = []
    really_signal, really_wait = program._signal_group, program._wait_for

    def signal_group(group: int, number: signal.Signals) -> None:
        sent.append(number)
        really_signal(group, number)

    async def wait_for(event: asyncio.Event, seconds: float) -> None:
        await really_wait(event, seconds)
        if not event.is_set():
            sent.append(seconds)

    monkeypatch.setattr(program, "_signal_group", signal_group)
    monkeypatch.setattr(program, "_wait_for", wait_for)
    return sent


def test_a_time_out_ends_grandchildren_and_who_ignores_it(
    bench: Bench, tether: Tether, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_GRACE", 0.2)
    sent = signals_sent(monkeypatch)
    bench.timeout = 7  # no other limit has as many
    bench.expire_at(monkeypatch, "ready")
    answer = bench.sh(f"{tether.hold}; trap '' TERM; (sleep 60 & sleep 60) & echo ready; sleep 60; true")
    assert answer == a_failure("it took longer than 7 seconds", ("ready",), Cause.TIMEOUT)
    assert sent == [signal.SIGTERM, 0.2, signal.SIGKILL]
    assert bench.lines(OUTPUT) == ["ready"]
    tether.assert_loose()


@either
def test_what_a_program_leaves_running_ends_with_it(bench: Bench, tether: Tether) -> None:
    assert bench.sh(f"{tether.hold}; trap '' TERM HUP; sleep 60 & echo Done.") == a_reply("Done.")
    tether.assert_loose()


DAEMON = """\
import os, sys
ready, left = os.pipe()
if os.fork():
    os.read(ready, 1)
    print("Done.", flush=True)
    os._exit(int(sys.argv[1]))
os.setsid()
sys.stderr.write(f"{os.getpid()}\\nunfinished")
sys.stderr.flush()
os.write(left, b".")
os.execvp("sleep", ["sleep", "60"])
"""


@pytest.mark.parametrize("code", [0, 3])
def test_a_child_that_has_left_the_group_and_holds_the_pipes_holds_nobody_up(
    bench: Bench, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_PIPE_PATIENCE", 0.5)
    bench.prompt = "x" * 1_000_000
    answer = bench.run(sys.executable, "-c", DAEMON, str(code))
    pid, unfinished = bench.lines(ERROR)
    os.kill(int(pid), signal.SIGKILL)  # it still runs
    assert unfinished == "unfinished"
    assert answer == (a_failure("unfinished (exit 3)", (pid, unfinished)) if code else a_reply("Done."))


def test_what_such_a_child_says_soon_after_is_heard(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_PIPE_PATIENCE", NEVER)
    late = DAEMON.replace('"sleep", ["sleep", "60"]', '"sh", ["sh", "-c", "sleep 0.2; echo Late."]')
    assert bench.run(sys.executable, "-c", late, "0") == a_reply("Done. Late.")
    assert bench.lines(OUTPUT) == ["Done.", "Late."]


def cancel(bench: Bench, script: str, *, again: bool = False) -> None:
    """Cancel a program when it shows its first line, and once more when it shows the next."""

    async def whole() -> None:
        task = bench.start("sh", "-c", script)
        said: asyncio.Queue[str] = asyncio.Queue()
        bench.listen = said.put_nowait
        async with asyncio.timeout(NEVER / 2):
            await said.get()
            task.cancel()
            if again:
                await said.get()
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(whole())
    gc.collect()


@either
def test_cancelling_ends_the_whole_group(
    bench: Bench, tether: Tether, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_GRACE", NEVER)
    cancel(bench, f"{tether.hold}; (sleep 60 & sleep 60) & echo ready; sleep 60")
    tether.assert_loose()


@either
def test_cancelling_gives_the_program_its_time(bench: Bench, tether: Tether) -> None:
    script = f"{tether.hold}; trap 'sleep 0.3; echo cleaned up; exit' TERM; echo ready; sleep 60 & wait"
    cancel(bench, script)
    assert bench.lines(OUTPUT) == ["ready", "cleaned up"]
    tether.assert_loose()


def test_cancelling_twice_ends_a_program_that_ignores_it(
    bench: Bench, tether: Tether, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_GRACE", NEVER)
    script = f"{tether.hold}; trap 'echo heard' TERM; echo ready; while :; do sleep 60 & wait; done"
    cancel(bench, script, again=True)
    assert bench.lines(OUTPUT) == ["ready", "heard"]
    tether.assert_loose()


def test_cancelling_reports_what_was_used_until_then(bench: Bench) -> None:
    reply = '{"usage": {"input": 7, "cost": 0.5}}'

    async def whole() -> None:
        task = bench.start("sh", "-c", f"echo '{reply}' >\"$GITBATCH_REPLY\"; echo ready; sleep 60")
        said: asyncio.Queue[str] = asyncio.Queue()
        bench.listen = said.put_nowait
        await said.get()
        task.cancel()
        with pytest.raises(AttemptInterruptedError) as interrupted:
            await task
        assert interrupted.value.usage == Usage(input=7, requests=1, cost=0.5)

    asyncio.run(whole())


@pytest.mark.parametrize("is_known", [True, False])
@either
def test_what_has_ended_when_it_is_cancelled_has_its_reply(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, is_known: bool
) -> None:
    """The cancellation comes in the turn of the loop in which the end of the program is noted, before or after that."""
    answers: list[Reply | Failure] = []
    tasks: list[asyncio.Task[None]] = []
    noted = OutputWatch.process_exited

    def end(watch: OutputWatch) -> None:
        tasks[0].cancel()
        if is_known:
            noted(watch)
        else:
            asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, noted, watch)

    async def attempt() -> None:
        answers.append(await bench.attempt("sh", "-c", "echo Done."))
        await loop_turns()

    async def whole() -> None:
        tasks.append(asyncio.ensure_future(attempt()))
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]

    monkeypatch.setattr(OutputWatch, "process_exited", end)
    asyncio.run(whole())
    gc.collect()
    assert answers == [a_reply("Done.")]


@pytest.mark.parametrize("turns", range(1, 9))
@either
def test_cancelling_while_it_starts_ends_its_children_too(bench: Bench, tether: Tether, turns: int) -> None:
    """Its end of a pipe is held by a child as well, so that the pipe closes only with both."""
    begun = bench.worktree / "begun"

    async def whole() -> None:
        task = bench.start("sh", "-c", f"{tether.hold}; sleep 600 & : >'{begun}'; wait")
        await loop_turns(turns)
        with suppress(AssertionError):  # it has not been started yet
            wait_until(begun.exists, "the start", patience=0.3)
        task.cancel()
        async with asyncio.timeout(NEVER / 2):
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(whole())
    gc.collect()
    if begun.exists():
        tether.assert_loose()


def test_many_at_once(tmp_path: Path) -> None:
    """None of them ends before all of them run."""
    benches = [Bench(tmp_path / str(number)) for number in range(20)]
    for bench in benches:
        bench.worktree.mkdir(parents=True)
        bench.prompt = f"{bench.root.name}. " * 20_000
    script = f"tail -c 4; : >'{tmp_path}'/runs.$$; until set -- '{tmp_path}'/runs.*; [ $# = 20 ]; do sleep 0.05; done"

    async def whole() -> list[Reply | Failure]:
        async with asyncio.timeout(NEVER):
            return await asyncio.gather(*(bench.start("sh", "-c", script) for bench in benches))

    assert asyncio.run(whole()) == [a_reply(f"{bench.prompt[-4:].strip()}") for bench in benches]
