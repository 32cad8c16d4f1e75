"""What a scheduler can say to a run: the workers that it knows, and everything else."""

import asyncio
import pickle
import socket
import ssl
import struct
import subprocess
import sys
import tracemalloc
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec
import pytest
from batch.executor.scripted_scheduler import GREETING, Script, answering, pack, say, serving
from certificates import write_certificates, write_stranger
from msgspec.structs import replace
from waiting import DEADLINE

from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.batch.executor.dask_scheduler import ANSWER_BYTES, MOST_WORKERS, SchedulerConnection
from gitbatch.batch.executor.tls import connect_streams
from gitbatch.batch.planning.tls_files import make_tls_context
from gitbatch.project.cluster import ClusterAddress


async def talk(script: Script, questions: int = 1) -> list[frozenset[str]]:
    """Ask a scheduler that follows a script; returns its answers."""
    async with serving(script) as address:
        connection = await SchedulerConnection.open(await connect_streams(address, None))
        try:
            return [await connection.find_workers() for _ in range(questions)]
        finally:
            connection.close()


def bomb(path: Path) -> bytes:
    """A pickle that makes a file when it is loaded."""
    return pickle.dumps(_Bomb(path), protocol=4)


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return subprocess.run, (["touch", str(self.path)],)


def test_workers_are_those_that_announce_an_address() -> None:
    cores = say({"tls://10.0.0.1:4000": 4, "tls://10.0.0.2:4000": 4})
    one = {"type": "Worker", "name": "w1-ab", "metrics": {1: [2.5, None]}, "gitbatch": "tls://10.0.0.1:4001"}
    other = {"type": "Worker", "gitbatch": "tls://10.0.0.2:4001", "last_seen": 1.5}
    plain = [{"type": "Worker"}, {"gitbatch": 7}, {"gitbatch": "a" * 300}, {"gitbatch": ["tls://h:1"]}]
    identity = say(
        {
            "type": "Scheduler",
            "workers": {"a": one, "b": other, **{f"c{n}": each for n, each in enumerate(plain)}},
        }
    )
    same = say({"c3": 1, "c1": 1, "c2": 1, "c0": 1, "a": 4, "b": 2})
    fewer = (say({"a": 4}), say({"workers": {"a": one}}))
    found = asyncio.run(talk(answering(cores, identity, same, *fewer), questions=3))
    both = {"tls://10.0.0.1:4001", "tls://10.0.0.2:4001"}
    assert found == [both, both, {"tls://10.0.0.1:4001"}]


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    """In each place where Dask's own decoder loads one, which it does even if it is to deserialise nothing."""
    with warnings.catch_warnings(action="ignore"):  # those of a library while it is imported
        from distributed.protocol import core  # noqa: PLC0415 - it takes a second

    ours, theirs = tmp_path / "ours", tmp_path / "theirs"

    def pickled(path: Path) -> bytes:
        return msgspec.msgpack.encode({"pickled-obj": bomb(path), "num-sub-frames": 0})

    worker = {"name": {"__Pickled__": 1}, "gitbatch": "tls://h:1", "event": {"__Serialized__": 1}}
    identity = {"workers": {"a": worker, "b": {"gitbatch": {"__Pickled__": 1}}}}
    core.loads(  # type: ignore[no-untyped-call]
        [msgspec.msgpack.encode(identity["workers"]["b"]), pickled(theirs)], deserialize=False
    )
    assert theirs.exists(), "the bomb works"
    raised = {"status": "uncaught-error", "exception": {"__Pickled__": 1}, "text": "no"}
    answers = (say({"a": 1}), say(identity, pickled(ours)), say(raised, pickled(ours)))
    with pytest.raises(ChannelError, match="does not answer as a scheduler does"):
        asyncio.run(talk(answering(*answers), questions=2))
    assert asyncio.run(talk(answering(*answers[:2]))) == [{"tls://h:1"}]
    assert not ours.exists()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (struct.pack("<QQQ", 216, 1, 200_000_000), "200,000,000 bytes"),
        (struct.pack("<QQQQ", 16, 2, ANSWER_BYTES, 1), "the most are"),
        (struct.pack("<QQ", 8, 2**63), "parts"),
        (struct.pack("<QQ", 8, 0), "0 parts"),
        (pack(b"\xc1"), "does not answer as a scheduler does"),
        (say(["a"]), "does not answer as a scheduler does"),
        (say({"a": "much"}), "does not answer as a scheduler does"),
        (pack(b"\x91" * 5000), "does not answer as a scheduler does"),
        (pack(b"\xdf" + struct.pack(">I", MOST_WORKERS + 1)), "does not answer as a scheduler does"),
    ],
    ids=["200 MB", "a byte too many", "parts", "no part", "junk", "list", "text", "nested", "many"],
)
def test_what_is_not_an_answer_ends_the_connection(answer: bytes, words: str) -> None:
    with pytest.raises(ChannelError, match=words) as found:
        asyncio.run(talk(answering(answer)))
    assert "\n" not in str(found.value)


def test_answer_may_be_as_long_as_its_workers_need() -> None:
    """One that lies about itself cannot make a run read what thousands of workers would be, nor keep long names."""
    few = say({"a": 1}), pack(bytes(4 * 1024 * 1024))
    with pytest.raises(ChannelError, match=r"an answer of 4,194,304 bytes \(the most are 598,016\)"):
        asyncio.run(talk(answering(*few)))
    many = {f"tls://10.0.{number // 250}.{number % 250}:4000": 1 for number in range(1_000)}
    workers = {name: {"gitbatch": name, "metrics": "x" * 6_000} for name in many}
    assert asyncio.run(talk(answering(say(many), say({"workers": workers})))) == [frozenset(many)]
    with pytest.raises(ChannelError, match="length <= 300"):
        asyncio.run(talk(answering(say({"a" * 301: 1}))))


@pytest.mark.parametrize("rest", [b"", b"drip"], ids=["silence", "drip"])
def test_slow_answer_ends_the_connection(monkeypatch: pytest.MonkeyPatch, rest: bytes) -> None:
    """However it is slow: the whole of an answer has to be there in time."""
    monkeypatch.setattr("gitbatch.batch.executor.dask_scheduler.PATIENCE", 0.2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(say(GREETING))
        for number in range(200 if rest else 0):
            writer.write(struct.pack("<QQQ", 116, 1, 1000)[number : number + 1] or b"\0")
            await asyncio.sleep(0.01)
        await reader.read()

    with pytest.raises(ChannelError, match=r"no answer for 0\.2 seconds"):
        asyncio.run(talk(serve))


def test_scheduler_that_hangs_up_is_gone() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(say(GREETING)[:20])
        writer.close()

    with pytest.raises(ChannelError, match="the connection is gone"):
        asyncio.run(talk(hang_up))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (ClusterAddress(is_encrypted=True, host="127.0.0.1", port=1), "not encrypted as the rest"),
        (ClusterAddress(is_encrypted=False, host="10.0.0.1", port=1), "not encrypted as the rest"),
        (ClusterAddress(is_encrypted=False, host="127.0.0.1", port=1), "Connection refused"),
    ],
    ids=["without a certificate", "another machine", "nobody listens"],
)
def test_address_that_is_not_connected_to(address: ClusterAddress, words: str) -> None:
    with pytest.raises(ChannelError, match=words):
        asyncio.run(connect_streams(address, None))


@pytest.mark.skipif(
    sys.platform != "linux", reason="a full queue drops a connection there, and all of 127/8 is loopback"
)
def test_next_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one does not answer, as one by IPv6 where no router passes it on."""

    async def connect() -> str:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with socket.create_server(("127.0.0.2", port), backlog=0), ExitStack() as full:
            for _ in range(3):
                waiting = full.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(("127.0.0.2", port))
            both = [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
                for host in ("127.0.0.2", "127.0.0.1")
            ]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
            _, writer = await connect_streams(
                ClusterAddress(is_encrypted=False, host="localhost", port=port), None
            )
            host = str(writer.get_extra_info("peername")[0])
            writer.close()
        server.close()
        return host

    assert asyncio.run(connect()) == "127.0.0.1"


def test_host_that_says_nothing_or_cannot_be_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With encryption: it is silent, says something else, or has no name of a host."""
    context = make_tls_context(write_certificates(tmp_path), ssl.Purpose.SERVER_AUTH)

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()

    async def connect(script: Script) -> None:
        async with serving(script) as address:
            await connect_streams(replace(address, is_encrypted=True), context)

    refused = "WRONG_VERSION_NUMBER|RECORD_LAYER"
    for script, words, patience in ((refuse, refused, DEADLINE), (listen, "does not answer", 0.2)):
        monkeypatch.setattr("gitbatch.batch.executor.tls.PATIENCE", patience)
        with pytest.raises(ChannelError, match=words):
            asyncio.run(connect(script))
    with pytest.raises(ChannelError, match="not the name of a host"):
        asyncio.run(connect_streams(ClusterAddress(is_encrypted=True, host="a" * 70, port=1), context))


def test_why_a_certificate_is_refused_is_said(tmp_path: Path) -> None:
    """Else one that has expired would look like one of another cluster."""
    context = make_tls_context(write_certificates(tmp_path / "ours"), ssl.Purpose.SERVER_AUTH)
    strange = make_tls_context(write_stranger(tmp_path / "strange"), ssl.Purpose.CLIENT_AUTH)

    async def connect() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=strange)
        port = server.sockets[0].getsockname()[1]
        try:
            await connect_streams(ClusterAddress(is_encrypted=True, host="127.0.0.1", port=port), context)
        finally:
            server.close()

    with pytest.raises(ChannelError, match=r"\(CERTIFICATE_VERIFY_FAILED: self-signed certificate\)"):
        asyncio.run(connect())


@dataclass
class LongAnswer(asyncio.StreamReader):
    """A stream that makes what is read of it, so that it has nothing in memory itself."""

    words: list[int]
    left: int

    async def readexactly(self, n: int) -> bytes:
        assert n == 8
        return struct.pack("<Q", self.words.pop(0))

    async def read(self, n: int = -1) -> bytes:
        self.left -= n
        return bytes(n) if self.left >= 0 else b""


@pytest.mark.parametrize(("lengths", "most"), [([4_000_000], 6_000_000), ([1, *[40_000] * 100], 1_000_000)])
def test_long_answer_is_in_memory_once(lengths: list[int], most: int) -> None:
    """And the parts that are dropped never."""
    reader = LongAnswer([0, len(lengths), *lengths], sum(lengths))
    connection = SchedulerConnection(reader, cast("asyncio.StreamWriter", None))

    async def read_answer() -> tuple[int, int]:
        tracemalloc.start()
        size = len(await connection._read_message(10_000_000))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size, peak

    size, peak = asyncio.run(read_answer())
    assert size == lengths[0]
    assert peak < most
    reader = LongAnswer([0, 1, 10], 5)
    with pytest.raises(EOFError):
        asyncio.run(SchedulerConnection(reader, connection.writer)._read_message(100))
