"""The gate that all agents of a batch wait at."""

import asyncio
from math import inf

import pytest

from gitbatch.agents import gate
from gitbatch.agents.gate import Gate


def test_an_open_gate_makes_nobody_wait() -> None:
    assert asyncio.run(Gate().passed()) < 0.05


def test_everybody_waits_as_long_as_the_server_says() -> None:
    async def scene() -> list[float]:
        shared = Gate()
        assert shared.close(0.2)
        return await asyncio.gather(*(shared.passed() for _ in range(20)))

    waited = asyncio.run(scene())
    assert min(waited) >= 0.2
    assert len({round(seconds, 3) for seconds in waited}) > 1  # they do not all come back at once


def test_a_wait_that_is_longer_than_the_cap_is_refused_and_closes_nothing() -> None:
    async def scene(shared: Gate) -> tuple[bool, float]:
        return shared.close(0.3), await shared.passed()

    assert asyncio.run(scene(Gate(cap=0.2)))[0] is False
    assert asyncio.run(scene(Gate(cap=0.2)))[1] < 0.1
    assert asyncio.run(scene(Gate(cap=inf)))[0] is True


def test_waits_grow_until_the_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_FIRST", 0.02)
    monkeypatch.setattr(gate, "_SPREAD", 0.0)

    async def scene() -> list[float]:
        shared, waits = Gate(), []
        for _ in range(3):
            shared.close(None)
            waits.append(await shared.passed())
        shared.succeeded()
        shared.close(None)
        return [*waits, await shared.passed()]

    first, second, third, after = asyncio.run(scene())
    assert first < second < third
    assert after < second


def test_a_server_that_says_at_once_is_not_asked_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_FIRST", 0.02)
    monkeypatch.setattr(gate, "_SPREAD", 0.0)

    async def scene() -> list[float]:
        shared, waits = Gate(), []
        for _ in range(3):
            shared.close(0.0)
            waits.append(await shared.passed())
        return waits

    first, second, third = asyncio.run(scene())
    assert first < 0.01
    assert second >= 0.04
    assert third >= 0.08


def test_several_failures_at_the_same_time_are_one() -> None:
    async def scene() -> Gate:
        shared = Gate()
        for _ in range(20):
            shared.close(None)
        return shared

    assert asyncio.run(scene())._in_a_row == 1


def test_patience_ends_where_nothing_ever_succeeds() -> None:
    async def scene(cap: float) -> bool:
        shared = Gate(cap=cap, patience=0.05)
        shared.close(0.01)
        await asyncio.sleep(0.1)
        return shared.close(0.01)

    assert asyncio.run(scene(120)) is False
    assert asyncio.run(scene(inf)) is True
