"""The carrier `command`: what a process can do to the end of its pipes that is ours."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from waiting import DEADLINE, loop_turns, wait_until_async

from gitbatch.batch.executor.carrier import CarrierTools, ChannelError, WorkerLink
from gitbatch.batch.executor.command_carrier import (
    CommandCarrier,
    CommandChannel,
    CommandLink,
    shorten_command,
)
from gitbatch.batch.executor.frames import MAGIC, pack_frame
from gitbatch.batch.executor.message_codec import encode_message
from gitbatch.batch.executor.messages import Alive, Bye, Hello
from gitbatch.project.executor_table import ExecutorTable

HELLO = Hello(1, "1", "far", 2, "bubblewrap")
GREETING = MAGIC + pack_frame(encode_message(HELLO))


def ask(
    tmp_path: Path, script: str, *greeting: bytes, do: Callable[[CommandChannel], Awaitable[object]]
) -> None:
    """Connect to a shell that prints a file first, and then does what a script says."""
    (tmp_path / "greeting").write_bytes(b"".join(greeting))
    link = CommandLink(("sh", "-c", f"cat greeting; {script}"), {"PATH": "/usr/bin:/bin"}, tmp_path)

    async def connect() -> None:
        channel = await link.connect()
        try:
            await do(channel)
        finally:
            await channel.close(0.0)
            assert channel.process.returncode is not None

    asyncio.run(connect())


async def receive_all(channel: CommandChannel) -> None:
    while True:
        await channel.receive()


async def fill(channel: CommandChannel) -> None:
    while True:
        await channel.send(Bye("x" * 8_000))


def refuse(words: str) -> Callable[[CommandChannel], Awaitable[None]]:
    async def receive(channel: CommandChannel) -> None:
        with pytest.raises(ChannelError, match=words) as found:
            await receive_all(channel)
        assert "\n" not in str(found.value)

    return receive


def test_messages_pass_behind_a_greeting_of_a_shell(tmp_path: Path) -> None:
    async def exchange(channel: CommandChannel) -> None:
        assert await channel.receive() == [HELLO]
        await channel.send(Bye())
        assert await channel.receive() == [Alive()]

    more = "head -c 5 >/dev/null; cat more"
    (tmp_path / "more").write_bytes(pack_frame(encode_message(Alive())))
    ask(tmp_path, more, b"Welcome to build1!\n", GREETING, do=exchange)


@pytest.mark.parametrize(
    ("script", "greeting", "words"),
    [
        ("yes", b"", "something else prints"),
        ("yes", GREETING, "the most are"),
        ("head -c 100 /dev/zero", MAGIC, "damaged message"),
        ("echo 'ssh: no such host' >&2; exit 255", b"", "ended with 255: ssh: no such host"),
        ("echo closed >&2; exit 2", b"Welcome\r\nno tty\r\n", "ended with 2: Welcome / no tty / closed"),
        ("true", GREETING[:-1], "ended with 0$"),
        ("head -c 200000000 /dev/zero", MAGIC + b"\x0b\xeb\xc2\x00\0\0\0\0", "200,000,000 bytes"),
    ],
    ids=["noise", "text", "zeros", "exit", "terminal", "cut", "200 MB"],
)
def test_what_is_no_worker_is_refused(tmp_path: Path, script: str, greeting: bytes, words: str) -> None:
    ask(tmp_path, script, greeting, do=refuse(words))


@pytest.mark.parametrize(
    "script", ["sleep 60", "while :; do printf x; sleep 0.01; done"], ids=["silence", "drip"]
)
def test_silent_worker_is_lost(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitbatch.batch.executor.message_stream.SILENCE", 0.3)
    long = pack_frame(bytes(1_000_000))[:8]
    ask(tmp_path, script, MAGIC + long, do=refuse("no message for 0.3 seconds"))


def test_flood_that_is_not_read_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async def fill_pipe(channel: CommandChannel) -> None:
        pipe = channel.transport.get_pipe_transport(1)
        assert isinstance(pipe, asyncio.ReadTransport)
        await wait_until_async(lambda: not pipe.is_reading(), "nothing more is read")
        async with asyncio.timeout(DEADLINE):
            await channel.close(0.0)

    ask(tmp_path, "yes", GREETING, do=fill_pipe)


def test_process_is_waited_for_also_if_its_end_is_cut_short(tmp_path: Path) -> None:
    async def interrupt(channel: CommandChannel) -> None:
        closing = asyncio.create_task(channel.close(60.0))
        await loop_turns(3)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert channel.process.returncode is not None

    ask(tmp_path, "exec sleep 60", GREETING, do=interrupt)


def test_command_is_asked_to_end_before_it_is_killed(tmp_path: Path) -> None:
    """An `srun` that is killed keeps its nodes."""

    async def greet(channel: CommandChannel) -> None:
        assert await channel.receive() == [HELLO]

    (tmp_path / "more").write_bytes(GREETING)
    work = "cat more; while :; do sleep 0.01; done"
    ask(tmp_path, f"trap 'echo given back >told; exit 3' TERM; {work}", do=greet)
    assert (tmp_path / "told").read_text() == "given back\n"
    ask(tmp_path, f"trap '' TERM; {work}", do=greet)  # it has ended all the same


def test_worker_that_is_gone_cannot_be_sent_to(tmp_path: Path) -> None:
    async def send(channel: CommandChannel) -> None:
        with pytest.raises(ChannelError, match="ended with 7"):
            await fill(channel)

    ask(tmp_path, "exit 7", do=send)


def test_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    table = ExecutorTable(kind="command", no_worker="2h", workers=(("/nowhere/ssh", "build1"), ("true",)))
    found: list[WorkerLink] = []
    carrier = CommandCarrier(CarrierTools(table, {}, tmp_path, print))
    asyncio.run(carrier.find_workers(found.append))
    assert [link.name for link in found] == ["/nowhere/ssh build1", "true"]
    assert isinstance(found[0], CommandLink)
    assert found[0].greeting == 7200
    with pytest.raises(ChannelError, match="cannot start /nowhere/ssh: No such file"):
        asyncio.run(found[0].connect())


def test_worker_that_is_a_module_loads_no_file_of_the_checkout(tmp_path: Path) -> None:
    """A repository with a `types.py` at its top, for example, has no part in the worker."""
    (tmp_path / "msgspec.py").write_text("raise SystemExit('a file of the checkout')")
    module = (sys.executable, "-m", "gitbatch", "--version")
    table = ExecutorTable(kind="command", workers=(module, ("env", *module), ("gitbatch", "worker")))
    found: list[WorkerLink] = []
    asyncio.run(
        CommandCarrier(CarrierTools(table, {"PATH": "/bin"}, tmp_path, print)).find_workers(found.append)
    )
    environments = [dict(link.environment) for link in found if isinstance(link, CommandLink)]
    assert environments[0] == environments[1] == {"PATH": "/bin", "PYTHONSAFEPATH": "1"}
    assert environments[2] == {"PATH": "/bin"}

    async def ask_version() -> None:
        channel = await found[0].connect()
        with pytest.raises(ChannelError, match="ended with 0"):
            await channel.receive()
        await channel.close(1.0)

    asyncio.run(ask_version())


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (
            "ssh -T -o BatchMode=yes -o ControlMaster=no -o ControlPath=none build1 gitbatch worker --stdio",
            "ssh … build1",
        ),
        ("ssh build1 /opt/gitbatch/bin/gitbatch worker --stdio", "ssh build1"),
        ("kubectl exec -i gitbatch-0 -- gitbatch worker --stdio", "kubectl exec -i gitbatch-0"),
        ("srun -n1 python3 -m gitbatch worker --stdio", "srun -n1 python3"),
        (
            "podman run --rm -i --env KEY -v gitbatch:/home/w/gitbatch my/gitbatch gitbatch worker --stdio --name a-long-name",
            "podman … my/gitbatch",
        ),
        ("gitbatch worker --stdio", "gitbatch worker --stdio"),
        ("./start-worker build1", "./start-worker build1"),
        ("env API_KEY=sk-0123 -u B gitbatch worker --stdio", "env API_KEY=… -u B"),
        ("A=b gitbatch worker --stdio", "A=…"),
    ],
)
def test_worker_is_named_by_what_tells_it_apart(command: str, name: str) -> None:
    assert shorten_command((*command.split(),)) == name


def test_command_of_a_shell_is_known() -> None:
    assert shorten_command(("ssh", "build1", "nice gitbatch worker --stdio")) == "ssh build1"
