"""The carrier `dask`: workers that join and leave, a scheduler that dies and is back, and what cannot be connected to."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from batch.executor.scripted_scheduler import answering, knowing, say, serving
from ports import find_port
from waiting import wait_until_async

from gitbatch.batch.executor.carrier import CarrierTools, ChannelError, WorkerLink
from gitbatch.batch.executor.dask_carrier import DaskCarrier, StreamChannel
from gitbatch.batch.executor.frames import MAGIC, pack_frame
from gitbatch.batch.executor.message_codec import encode_message
from gitbatch.batch.executor.messages import Alive, Bye, Hello
from gitbatch.batch.executor.pool_members import PoolMembers
from gitbatch.project.executor_table import ExecutorTable

HELLO = Hello(1, "1", "far", 2, "bubblewrap")


class Announced(list[str]):
    """Addresses that know how often a scheduler has looked at them."""

    looked = 0

    def __iter__(self) -> Iterator[str]:
        self.looked += 1
        return super().__iter__()


def open_carrier(url: str, told: list[str]) -> DaskCarrier:
    return DaskCarrier(CarrierTools(ExecutorTable(kind="dask", cluster=url), {}, Path(), told.append))


def test_workers_join_and_leave_and_outlive_the_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitbatch.batch.executor.dask_carrier._POLL", 0.01)
    found: list[WorkerLink] = []
    told: list[str] = []
    announced = ["tcp://127.0.0.1:1", "tcp://127.0.0.1:2"]

    async def scene() -> None:
        async with serving(knowing(announced), find_port()) as address:
            carrier = open_carrier(str(address), told)
            finding = asyncio.create_task(carrier.find_workers(found.append))
            await wait_until_async(lambda: len(found) == 2, found)
            announced[:] = ["tcp://127.0.0.1:2", "tcp://127.0.0.1:3"]
            await wait_until_async(lambda: len(found) == 3, found)
            assert [link.name[-1] for link in found if link.is_gone] == ["1"]
            announced.append("tcp://127.0.0.1:1")
            await wait_until_async(lambda: len(found) == 4, found)  # as another one
        await wait_until_async(lambda: carrier.problem, "it is missed")
        assert [link.is_gone for link in found] == [True, False, False, False]
        [said] = told
        assert said.startswith(f"the scheduler {address} cannot be reached: the connection is gone")
        assert said.endswith("(3 known workers)")
        async with serving(knowing(announced), address.port):
            await wait_until_async(lambda: not carrier.problem, "it is there again")
        assert told[-1] == f"the scheduler {address} is there"
        assert len(found) == 4
        finding.cancel()
        await asyncio.wait((finding,))

    asyncio.run(scene())


def test_worker_that_is_connected_stays_the_same_under_a_new_scheduler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new scheduler knows no worker at first. One that comes back after its connection has ended is another one."""
    monkeypatch.setattr("gitbatch.batch.executor.dask_carrier._POLL", 0.01)
    found: list[WorkerLink] = []
    announced: list[str] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(MAGIC + pack_frame(encode_message(HELLO)))
        await reader.read()

    async def scene() -> None:
        async with serving(greet) as worker, serving(knowing(announced)) as address:
            carrier = open_carrier(str(address), [])
            finding = asyncio.create_task(carrier.find_workers(found.append))
            await wait_until_async(lambda: carrier.problem, "none is there")
            assert carrier.problem == f"scheduler {address}: it knows no worker"
            announced.append(str(worker))
            await wait_until_async(lambda: found, "it has joined")
            assert not carrier.problem
            channel = await found[0].connect()
            announced.clear()
            await wait_until_async(lambda: found[0].is_gone, "it is not known")
            announced.append(str(worker))
            await wait_until_async(lambda: not found[0].is_gone, "it is known again")
            await channel.close(0.0)
            announced.clear()
            await wait_until_async(lambda: found[0].is_gone, "it is not known")
            announced.append(str(worker))
            await wait_until_async(lambda: len(found) == 2, "it has joined as another one")
            assert [link.is_gone for link in found] == [True, False]
            finding.cancel()
            await asyncio.wait((finding,))

    asyncio.run(scene())


def test_scheduler_that_names_others_each_time_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitbatch.batch.executor.dask_carrier._POLL", 0.01)
    monkeypatch.setattr("gitbatch.batch.executor.dask_carrier.MOST_NAMED", 5)
    found: list[WorkerLink] = []
    announced = Announced()
    told: list[str] = []

    def is_noted(carrier: DaskCarrier, before: int) -> bool:
        return len(found) > before or "more" in carrier.problem

    async def scene() -> None:
        async with serving(knowing(announced)) as address:
            carrier = open_carrier(str(address), told)
            finding = asyncio.create_task(carrier.find_workers(found.append))
            for first in (1, 4, 7):
                announced[:] = [f"tcp://127.0.0.1:{port}" for port in range(first, first + 3)]
                await wait_until_async(partial(is_noted, carrier, len(found)), announced)
            assert carrier.problem == f"scheduler {address}: it has named more than 5 workers"
            assert len(found) == 3
            before = announced.looked
            await wait_until_async(lambda: announced.looked > before + 8, "it is asked some more times")
            assert len(told) == 1, "it is said once"
            finding.cancel()
            await asyncio.wait((finding,))

    asyncio.run(scene())


def test_workers_that_are_not_for_runs_are_not_no_workers() -> None:
    """A `dask worker` without the preload, for example."""

    async def scene() -> None:
        plain = [
            say({"a": 1, "b": 1}),
            say({"workers": {"a": {}, "b": {"gitbatch": 7}}}),
            say({"a": 1, "b": 1}),
        ]
        async with serving(answering(*plain)) as address:
            carrier = open_carrier(str(address), [])
            finding = asyncio.create_task(carrier.find_workers(lambda _: None))
            await wait_until_async(lambda: carrier.problem, "none is there")
            assert carrier.problem.startswith(
                f"scheduler {address}: none of the 2 workers that it knows is for runs"
            )
            finding.cancel()
            await asyncio.wait((finding,))

    asyncio.run(scene())


def test_scheduler_that_comes_and_goes_without_end_is_told_of_so_often_and_no_more() -> None:
    told: list[str] = []
    carrier = open_carrier("tcp://127.0.0.1:1", told)
    for _ in range(1000):
        carrier._note_problem("tcp://127.0.0.1:1: Connection refused")
        carrier._note_problem("")
    assert len(told) == 100
    assert (
        told[0] == "the scheduler tcp://127.0.0.1:1 cannot be reached: Connection refused (0 known workers)"
    )


def test_batch_halts_if_no_worker_is_found() -> None:
    told: list[str] = []
    carrier = open_carrier("tcp://127.0.0.1:1", told)
    carrier._problem = "scheduler tcp://127.0.0.1:1: Connection refused"
    members = PoolMembers(told.append, 3600)
    members.begin_waiting(carrier)
    assert members.find_why_none() is None
    assert told == [f"waiting for a worker, for up to 3600 seconds ({carrier.problem})"]
    members.no_worker = 0.0
    missing = members.find_why_none()
    assert missing
    assert missing.reason == f"no worker is there ({carrier.problem})"
    members.no_worker = 3600
    [link] = (members.add_member(each) for each in _links("tcp://127.0.0.1:2"))
    link.is_refused = True
    assert members.find_why_none() is None, "another one may join"


def test_worker_that_has_not_answered_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be in a queue: not at once, but before the time is over."""
    told: list[str] = []
    members = PoolMembers(told.append, 3600)
    members.begin_waiting(open_carrier("tcp://127.0.0.1:1", told))
    [link] = (members.add_member(each) for each in _links("tcp://127.0.0.1:2"))
    assert members.find_why_none() is None
    assert told == []
    monkeypatch.setattr("gitbatch.batch.executor.pool_members._GREETINGS", 0.0)
    assert members.find_why_none() is None
    assert told == [f"waiting for a worker, for up to 3600 seconds ({link.host}: it has not answered yet)"]
    members.no_worker = 0.0
    missing = members.find_why_none()
    assert missing
    assert missing.reason == f"no worker is there ({link.host}: it has not answered yet)"


def _links(*announced: str) -> list[WorkerLink]:
    """The links to workers that announce these addresses."""
    found: list[WorkerLink] = []

    async def find() -> None:
        async with serving(knowing([*announced])) as address:
            finding = asyncio.create_task(open_carrier(str(address), []).find_workers(found.append))
            await wait_until_async(lambda: len(found) == len(announced), found)
            finding.cancel()
            await asyncio.wait((finding,))

    asyncio.run(find())
    return found


@pytest.mark.parametrize(
    ("announced", "words"),
    [
        ("tls://127.0.0.1:1", "not encrypted as the rest"),
        ("tcp://192.0.2.1:1", "not encrypted as the rest"),
        ("tcp://\x1b[31mhost:1", "not encrypted as the rest"),
        ("http://127.0.0.1:1/x", "not one"),
    ],
)
def test_address_of_a_lying_worker_is_not_connected_to(announced: str, words: str) -> None:
    [link] = _links(announced)
    assert "\x1b" not in link.name
    with pytest.raises(ChannelError, match=words):
        asyncio.run(_connect(link))


async def _connect(link: WorkerLink) -> None:
    await link.connect()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "the connection is gone"),
        (b"HTTP/1.1 400 Bad Request\r\n" * 9000, "something else prints"),
        (MAGIC + b"\x0b\xeb\xc2\x00\0\0\0\0", "200,000,000 bytes"),
        (MAGIC + pack_frame(b"\xc1"), "invalid message"),
        (MAGIC + pack_frame(encode_message(HELLO))[:-1], "the connection is gone"),
    ],
    ids=["nothing", "noise", "200 MB", "junk", "cut"],
)
def test_what_is_not_a_worker_is_disconnected(said: bytes, words: str) -> None:
    async def lie(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def scene() -> None:
        async with serving(lie) as address:
            channel = StreamChannel(*await asyncio.open_connection(address.host, address.port))
            with pytest.raises(ChannelError, match=words):
                await channel.receive()
            await channel.close(0.0)

    asyncio.run(scene())


@pytest.mark.parametrize("drips", [False, True], ids=["silence", "drip"])
def test_slow_worker_is_lost(monkeypatch: pytest.MonkeyPatch, drips: bool) -> None:  # noqa: FBT001
    """Whole messages count, not bytes."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(MAGIC + pack_frame(encode_message(HELLO)))
        for byte in pack_frame(bytes(1000)) if drips else b"":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
        await reader.read()

    async def scene() -> None:
        async with serving(drip) as address:
            channel = StreamChannel(*await asyncio.open_connection(address.host, address.port))
            assert await channel.receive() == [HELLO]
            monkeypatch.setattr("gitbatch.batch.executor.message_stream.SILENCE", 0.2)
            with pytest.raises(ChannelError, match=r"no message for 0\.2 seconds"):
                await channel.receive()
            await channel.close(0.0)

    asyncio.run(scene())


async def _fill(channel: StreamChannel) -> None:
    for _ in range(1000):
        await channel.send(Bye("x" * 8000))


def test_end_waits_for_the_worker_and_not_longer() -> None:
    async def end_jobs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(MAGIC + pack_frame(encode_message(HELLO)))
        await reader.read(1)
        writer.write(pack_frame(encode_message(Alive())))
        writer.close()

    async def scene() -> None:
        async with serving(end_jobs) as address:
            channel = StreamChannel(*await asyncio.open_connection(address.host, address.port))
            await channel.receive()
            receiving = asyncio.create_task(channel.receive())
            await asyncio.sleep(0)
            closing = asyncio.create_task(channel.close(40.0))
            receiving.cancel()
            await channel.send(Bye())
            await asyncio.gather(closing, channel.close(40.0))
            with pytest.raises(ChannelError, match="the connection is gone"):
                await _fill(channel)

    asyncio.run(scene())
