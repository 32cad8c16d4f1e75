"""The gate that all agents of a batch wait at."""

import asyncio
from math import inf

import pytest
from waiting import run_skipping

from gitbatch.limits import rate_limit as gate
from gitbatch.limits.rate_limit import RateLimit


def test_an_open_gate_makes_nobody_wait() -> None:
    assert run_skipping(RateLimit().wait()) == 0.0


def test_everybody_waits_as_long_as_the_server_says() -> None:
    async def scene() -> list[float]:
        shared = RateLimit()
        assert shared.start_wait(0.2)
        return await asyncio.gather(*(shared.wait() for _ in range(20)))

    waited = run_skipping(scene())
    assert min(waited) >= 0.2
    assert len({round(seconds, 3) for seconds in waited}) > 1  # they do not all come back at once


def test_a_wait_that_is_longer_than_the_cap_is_refused_and_closes_nothing() -> None:
    async def scene(shared: RateLimit) -> tuple[bool, float]:
        return shared.start_wait(0.3), await shared.wait()

    assert run_skipping(scene(RateLimit(cap=0.2)))[0] is False
    assert run_skipping(scene(RateLimit(cap=0.2)))[1] == 0.0
    assert run_skipping(scene(RateLimit(cap=inf)))[0] is True


def test_waits_grow_until_the_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_FIRST", 0.02)
    monkeypatch.setattr(gate, "_SPREAD", 0.0)

    async def scene() -> list[float]:
        shared, waits = RateLimit(), []
        for _ in range(3):
            shared.start_wait(None)
            waits.append(await shared.wait())
        shared.note_success()
        shared.start_wait(None)
        return [*waits, await shared.wait()]

    assert run_skipping(scene()) == pytest.approx([0.02, 0.04, 0.08, 0.02])


def test_a_server_that_says_at_once_is_not_asked_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_FIRST", 0.02)
    monkeypatch.setattr(gate, "_SPREAD", 0.0)

    async def scene() -> list[float]:
        shared, waits = RateLimit(), []
        for _ in range(3):
            shared.start_wait(0.0)
            waits.append(await shared.wait())
        return waits

    assert run_skipping(scene()) == pytest.approx([0.0, 0.04, 0.08])


def test_several_failures_at_the_same_time_are_one() -> None:
    async def scene() -> RateLimit:
        shared = RateLimit()
        for _ in range(20):
            shared.start_wait(None)
        return shared

    assert run_skipping(scene())._in_a_row == 1


def test_patience_ends_where_nothing_ever_succeeds() -> None:
    async def scene(cap: float) -> bool:
        shared = RateLimit(cap=cap, patience=0.05)
        shared.start_wait(0.01)
        await asyncio.sleep(0.1)
        return shared.start_wait(0.01)

    assert run_skipping(scene(120)) is False
    assert run_skipping(scene(inf)) is True
