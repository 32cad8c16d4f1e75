"""What workers and items cost the orchestrator: `python simulated.py ROOT WORKERS ITEMS`, with workers that are simulated in this process.

The pool, the messages as bytes and the packs are those of a run; a worker only answers, and what it does is not counted. Git is
asked for objects, and nothing is committed. Prints one JSON object: seconds of processor time, bytes, and megabytes.
"""

import asyncio
import gc
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gitbatch.agents.command.table import CommandAgent
from gitbatch.agents.protocol import Agent, Assignment, Reply
from gitbatch.batch.executor import remote_workplace
from gitbatch.batch.executor.carrier import Carrier, WorkerChannel, WorkerLink
from gitbatch.batch.executor.frames import FrameReader, pack_frame
from gitbatch.batch.executor.message_codec import decode_from_worker, decode_to_worker, encode_message
from gitbatch.batch.executor.messages import (
    ORCHESTRATOR_FRAME,
    PROTOCOL,
    WORKER_FRAME,
    FromWorker,
    Hello,
    ItemJob,
    JobChanges,
    JobChunk,
    JobResult,
    SentReply,
    ToWorker,
)
from gitbatch.batch.workplace.protocol import WorkplaceSetup
from gitbatch.concurrency import GitThread
from gitbatch.limits.budget import Budget
from gitbatch.plan.model import ItemKey
from gitbatch.project.config import Config
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository

if TYPE_CHECKING:
    from gitbatch.project.agent_table import AgentTable

_SLOTS = 4
_REPLY = SentReply("Wrote the page. It is short.")


@dataclass(slots=True)
class Tally:
    """What all simulated workers together took, and were sent."""

    seconds: float = 0.0
    sent: int = 0
    received: int = 0


@dataclass(slots=True)
class SimulatedWorker:
    """A worker, and the connection to it: messages pass as the bytes of frames."""

    number: int
    tally: Tally
    is_gone: bool = False
    _waiting: "asyncio.Queue[bytes]" = field(default_factory=asyncio.Queue)
    _to_worker: FrameReader = field(default_factory=lambda: FrameReader(ORCHESTRATOR_FRAME))
    _from_worker: FrameReader = field(default_factory=lambda: FrameReader(WORKER_FRAME))

    @property
    def name(self) -> str:
        """Its name in the run."""
        return f"ssh machine{self.number}"

    async def connect(self) -> WorkerChannel:
        """Lets it greet."""
        self._answer(Hello(PROTOCOL, "1", f"machine{self.number}", _SLOTS, "bubblewrap"))
        return self

    async def send(self, message: ToWorker) -> None:
        """Takes what the orchestrator sends, and answers it."""
        data = pack_frame(encode_message(message))
        self.tally.sent += len(data)
        began = time.thread_time()
        for content in self._to_worker.take_bytes(data):
            found = decode_to_worker(content)
            if isinstance(found, ItemJob):
                text = f"by {found.assignment.output}\n".encode()
                self._answer(JobChanges(found.token, (found.assignment.output,)))
                self._answer(JobChunk(found.token, text))
                self._answer(JobResult(found.token, _REPLY, len(text)))
        self.tally.seconds += time.thread_time() - began

    def _answer(self, message: FromWorker) -> None:
        self._waiting.put_nowait(pack_frame(encode_message(message)))

    async def receive(self) -> list[FromWorker]:
        """Returns what it has said."""
        data = await self._waiting.get()
        while not self._waiting.empty():
            data += self._waiting.get_nowait()
        self.tally.received += len(data)
        return [decode_from_worker(content) for content in self._from_worker.take_bytes(data)]

    async def close(self, patience: float) -> None:
        """Ends at once."""
        assert patience >= 0


@dataclass(frozen=True, slots=True)
class SimulatedCarrier:
    """All of them."""

    workers: tuple[SimulatedWorker, ...]
    problem: str = ""
    may_find_more: bool = False

    async def find_workers(self, join: Callable[[WorkerLink], None]) -> None:
        """Calls `join` with each."""
        for worker in self.workers:
            join(worker)


class _NoLocal:
    """No agent works here."""

    async def close(self, *, in_hurry: bool) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class _Named:
    name: str = "shell"


def main() -> None:
    """Simulates a batch, and prints what it took."""
    root, workers, items = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    gc.set_threshold(200_000)  # as in gitbatch
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8 * workers + 100)), hard))
    with closing(open_repository(root, read_only=True)) as repo, tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_simulate(repo, Path(folder), workers, items))
    print(json.dumps(found))


async def _simulate(repo: Repository, folder: Path, workers: int, items: int) -> dict[str, float]:
    tally = Tally()
    carrier = SimulatedCarrier(tuple(SimulatedWorker(number, tally) for number in range(workers)))
    git = GitThread()
    agents: dict[str, AgentTable] = {
        "shell": CommandAgent(command=("sh", "-c", 'echo "$1" > "$1"', "sh", "{output}"))
    }
    tools = remote_workplace.RemoteTools(
        repo, git, folder, Config(agents=agents), {}, Budget(), lambda _: None, lambda *_: None
    )
    carriers = remote_workplace.__dict__
    carriers["open_carrier"] = lambda _: cast("Carrier", carrier)
    places = remote_workplace.open_remote(tools, cast("Any", _NoLocal()))
    before = _processor_time()
    places.pool.start()
    while not _have_greeted(places):  # noqa: ASYNC110 - nothing says so
        await asyncio.sleep(0)
    greeted = _processor_time()
    memory = _memory()
    make, left = _make_setups(repo), iter(range(items))
    began = time.monotonic()
    runners = (_run_items(places, make, left) for _ in range(min(items, workers * _SLOTS)))
    await asyncio.gather(*runners)
    wall = time.monotonic() - began
    repo.objects.close()  # the processor time of git's processes is known when they have ended
    done = _processor_time()
    grown = _memory() - memory
    await places.close(in_hurry=False)
    git.close()
    return {
        "greetings": (greeted - before) / workers,
        "own": (done - greeted - tally.seconds) / items,
        "wall": (wall - tally.seconds) / items,
        "sent": tally.sent / items,
        "received": tally.received / items,
        "grown": grown,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _processor_time() -> float:
    """The processor time of this process, and of those of its own that have ended."""
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _have_greeted(places: remote_workplace.RemoteWorkplaces) -> bool:
    members = places.pool.members.all
    return bool(members) and all(member.channel for member in members)


def _memory() -> float:
    return (
        int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        * os.sysconf("SC_PAGE_SIZE")
        / 2**20
    )


async def _run_items(
    places: remote_workplace.RemoteWorkplaces, make: Callable[[int], WorkplaceSetup], left: Iterator[int]
) -> None:
    for number in left:
        await _run_item(places, make(number), number)


def _make_setups(repo: Repository) -> Callable[[int], WorkplaceSetup]:
    """Returns what makes the start of an item by its number, which reads two files."""
    commit = repo.refs.commit("HEAD") or ""
    tree = repo.objects.tree_of(commit)
    files = repo.git.read_output("ls-files", "src").splitlines()

    def make_setup(number: int) -> WorkplaceSetup:
        branch, output = f"refs/heads/gitbatch/b/1-{number}", f"docs/g01/i{number:04}.md"
        reads = (files[number * factor % len(files)] for factor in (7, 31))
        return WorkplaceSetup(branch, commit, tree, output, (*reads, "docs/g01/"), ("task.md",), None)

    return make_setup


async def _run_item(places: remote_workplace.RemoteWorkplaces, setup: WorkplaceSetup, number: int) -> None:
    workplace = places.open_workplace("b", f"1-{number}", "shell")
    await workplace.prepare(setup)
    prompt = f"Write {setup.output}. "
    assignment = Assignment(ItemKey(str(number)), setup.output, prompt, (), 3600.0, 1)
    answer = await workplace.work(cast("Agent", _Named()), assignment, lambda *_: None)
    assert isinstance(answer, Reply), answer
    collected = await workplace.collect()
    assert collected is not None
    with collected.output() as output:
        assert output.size
    await workplace.note_recorded(in_git=True)
    await workplace.discard()


if __name__ == "__main__":
    main()
