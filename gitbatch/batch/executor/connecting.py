"""Connecting to one worker, again and again: its greeting, its messages, and the pauses after it was lost.

A worker that is lost is connected to again, after a pause that doubles. A worker that breaks the protocol is treated as lost. A
worker of another protocol is refused for good.
"""

import asyncio
from collections.abc import Sequence

from gitbatch import __version__
from gitbatch.batch.executor.carrier import ChannelError, WorkerChannel
from gitbatch.batch.executor.lacking_workers import describe_worker
from gitbatch.batch.executor.messages import PROTOCOL, CancelJob, ForgetJobs, Hello, ToWorker
from gitbatch.batch.executor.pool_member import PoolMember
from gitbatch.batch.executor.pool_members import PoolMembers
from gitbatch.text import CleanText, clean_text

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a worker that was lost is connected to again. One that was asked to stop has the longest pause at once."""
_SHORT = 0.5
"""Seconds that a worker whose connection was cut has to end."""


async def keep_connected(members: PoolMembers, member: PoolMember, greeting: Sequence[ToWorker]) -> None:
    """Connects to a worker and takes its messages, until the call is cancelled, or the worker is refused or gone for good.

    `greeting`: what is sent to it first.
    """
    pause = _FIRST_PAUSE
    while not (member.is_refused or member.link.is_gone):
        try:
            channel = await member.link.connect()
            try:
                if await _greet(members, member, channel, greeting):
                    await _read_messages(members, member, channel)
            except ChannelError as error:
                members.note_lost(member, clean_text(str(error)))
            finally:
                members.lose_jobs(member, "the connection was closed")
                await channel.close(_SHORT)
        except ChannelError as error:  # which may begin with its address, as its name does until it greets
            members.note_lost(member, clean_text(str(error).removeprefix(f"{member.host}: ")))
        pause = _FIRST_PAUSE if member.has_worked else pause
        pause = _LONGEST_PAUSE if member.has_left else pause
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    if member.link.is_gone:
        members.remove_member(member)


async def _greet(
    members: PoolMembers, member: PoolMember, channel: WorkerChannel, greeting: Sequence[ToWorker]
) -> bool:
    """Takes the greeting of a worker, and answers it; false: it is refused."""
    hello, *rest = await channel.receive()
    if not isinstance(hello, Hello) or rest:
        raise ChannelError("it does not greet as a worker does")
    member.host = choose_host(members.all, member, hello.host)
    if hello.protocol != PROTOCOL:
        _refuse(members, member, hello)
        return False
    for message in greeting:
        await channel.send(message)
    member.begin_connection(channel, hello)
    members.tell(f"worker {member.host}: {describe_worker(hello)} ({clean_text(member.link.name, 60)})")
    removable = members.note_greeting(member)
    if removable:
        await channel.send(ForgetJobs(tuple(sorted(removable))))
    for token in sorted(filter(members.is_over, member.running)):  # another worker was faster, for example
        await channel.send(CancelJob(token))
    return True


def _refuse(members: PoolMembers, member: PoolMember, hello: Hello) -> None:
    member.is_refused = True
    version = clean_text(hello.version, 50)
    member.problem = clean_text(
        f"it has gitbatch {version} (protocol {hello.protocol}), here is {__version__} (protocol {PROTOCOL})"
    )
    members.tell(f"worker {member.host} is refused: {member.problem}")
    members.changed.set()


def choose_host(members: Sequence[PoolMember], member: PoolMember, claimed: str) -> CleanText:
    """Returns the name of a worker in a run, by the one that it claims.

    With its number behind it, if another worker has the name already, or is reached by it (`ssh build1 …`) and this one is not.
    """
    host = clean_text(claimed, 90)
    if not host:
        return clean_text(member.link.name)
    others = [other for other in members if other is not member]
    is_taken = any(other.host == host and not other.problem for other in others)
    is_of_other = host not in _list_words(member) and any(host in _list_words(other) for other in others)
    number = next(number for number, each in enumerate(members, 1) if each is member)
    return clean_text(f"{host} ({number})") if is_taken or is_of_other else host


def _list_words(member: PoolMember) -> list[str]:
    return member.link.name.replace("@", " ").split()


async def _read_messages(members: PoolMembers, member: PoolMember, channel: WorkerChannel) -> None:
    while True:
        before = member.slots
        for message in await channel.receive():
            job = member.take_message(message)
            if job:
                members.note_end(member, job)
        if member.slots > before:
            members.note_room(member)
        elif member.slots < before:
            members.note_slots()
        if member.unfit and not member.unended:
            raise ChannelError(member.unfit)
