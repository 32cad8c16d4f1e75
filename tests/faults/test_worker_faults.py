"""Harmed anywhere: a run whose items are with three workers, a worker, both, or the connection between them.

The run is resumed until it ends. Each item is then paid for once, but for those of a worker that was killed itself; the outputs
are those of a local run, and `verify` and fsck find nothing. The usual round takes a sample of the trials, the long one all:

    GITBATCH_FAULTS=long pytest tests/faults/test_worker_faults.py -n 0 -s
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name

import pytest
from conftest import IDENTITY, Workspace
from faults import liar, machines, reach
from faults.test_faults import LONG, SEED, hold_trials
from faults.trials import fsck
from round import choose_memory
from waiting import wait_until

RUN = ("run", "--items", "all", "--checkpoint", "at-end", "--jobs", "6")
ITEMS = tuple(f"T{number}" for number in range(1, 10))
SLOTS = 2
WORKERS = ("w1", "w2", "w3")
AGENT = """echo "$GITBATCH_OUTPUT" >>"LOG"
echo begun
{ echo "# $1"; cat "$GITBATCH_CONTEXT"; } >"$1"
echo "Wrote the page. It is short."
"""
CONFIG = """[agents.scripted]
kind = "command"
command = ["sh", "agent.sh", "{output}"]
sandbox = "none"
[batch]
retry-pause = "0s"
retries = 0
"""
Step = tuple[str, str, int]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

_POOL, _REMOTE = (
    "gitbatch.batch.executor.worker_pool:WorkerPool",
    "gitbatch.batch.executor.remote_workplace:RemoteWorkplace",
)
_JOB = "gitbatch.batch.executor.incoming_job:IncomingJob"
_SENDER = "gitbatch.batch.worker.message_sender:MessageSender"
_SERVICE = "gitbatch.batch.worker.orchestrator_service:OrchestratorService"
RUN_STEPS: tuple[Step, ...] = (
    ("gitbatch.batch.executor.connecting:_greet", "before", 1),
    ("gitbatch.batch.executor.connecting:_greet", "after", 3),
    (f"{_POOL}.send_job", "before", 1),
    ("gitbatch.batch.executor.object_sender:ObjectSender.send_objects", "after", 2),
    (f"{_POOL}.send_job", "after", 1),
    (f"{_POOL}.send_job", "after", 5),
    (f"{_JOB}._show_line", "before", 1),
    (f"{_JOB}._show_line", "after", 4),
    (f"{_JOB}._note_changes", "after", 1),
    (f"{_JOB}._keep_bytes", "after", 2),
    (f"{_JOB}._require_whole", "before", 1),
    (f"{_REMOTE}._work_at", "after", 3),
    (f"{_REMOTE}.collect", "after", 1),
    ("gitbatch.batch.item.commit:harvest_output", "after", 1),
    ("gitbatch.batch.item.judge:take_output", "after", 2),
    (f"{_REMOTE}.note_recorded", "before", 1),
    (f"{_POOL}.forget_results", "after", 4),
    (f"{_REMOTE}.note_recorded", "after", 2),
    (f"{_REMOTE}.discard", "before", 3),
    (f"{_POOL}.close", "before", 1),
    (f"{_POOL}.close", "after", 1),
)
"""Steps of the run: greeted, sent in parts and whole, first line, result in parts and whole, in git, forgotten, ended."""
WORKER_STEPS: tuple[Step, ...] = (
    (f"{_SERVICE}.serve", "before", 1),
    (f"{_SERVICE}._take_message", "after", 1),
    ("gitbatch.batch.worker.incoming_packs:IncomingPacks.take_message", "after", 1),
    (f"{_SERVICE}._start_job", "before", 1),
    (f"{_SERVICE}._start_job", "after", 2),
    ("gitbatch.batch.worker.repository_copy:RepositoryCopy.store_pack", "after", 1),
    ("gitbatch.batch.worker.item_job:JobTools.open_agent", "before", 1),
    (f"{_SENDER}.send_later", "before", 1),
    (f"{_SENDER}.send_later", "after", 3),
    ("gitbatch.batch.worker.item_job:_spool_result", "before", 1),
    ("gitbatch.batch.worker.item_job:_spool_result", "after", 1),
    (f"{_SENDER}.send_file", "before", 2),
    (f"{_SENDER}.write_frame", "after", 3),
    (f"{_SENDER}.send_file", "after", 1),
    ("gitbatch.batch.worker.spool:Spool.forget", "before", 1),
    ("gitbatch.batch.worker.spool:Spool.forget", "after", 2),
)
"""Steps of a worker: started, sent to in parts and whole, checked out, first line, agent ended, spooled, sent, forgotten."""


@dataclass(frozen=True)
class Harm:
    """What happens in one trial."""

    run: Step | None = None
    """Where the run is killed."""
    worker: Step | None = None
    """Where the first worker is killed."""
    cut: tuple[str, int] | None = None
    """The direction in which the connection to the first worker is cut, and after how many bytes."""


@dataclass
class Machines:
    """Where trials are made."""

    folder: Path
    environment: dict[str, str]
    process: "subprocess.Popen[str]"
    expected: str = ""
    ran: list[str] = field(default_factory=list)
    status: int = 0
    memory: int = 0
    """Kilobytes that the last run had at most."""

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    def workspace(self, workers: Path | None = None) -> Workspace:
        """A new copy of the repository, with the homes of three workers, or those that another one has."""
        folder = self.folder / f"trial-{len(self.ran)}"
        self.ran.append(folder.name)
        shutil.copytree(self.folder / "template", folder, symlinks=True)
        home = folder / "home"
        workspace = Workspace(
            folder / "repo",
            home,
            {**self.environment, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")},
        )
        for name in WORKERS if workers is None else ():
            self.set_up_worker(folder / name)
        commands = [
            [sys.executable, "-IS", reach.__file__, str(self.socket), str((workers or folder) / name)]
            for name in WORKERS
        ]
        workspace.write(
            "gitbatch.toml", f'{CONFIG}\n[executor]\nkind = "command"\nworkers = {json.dumps(commands)}\n'
        )
        workspace.write("agent.sh", AGENT.replace("LOG", str(folder / "agents.log")))
        workspace.commit("The workers")
        return workspace

    def set_up_worker(self, home: Path) -> None:
        home.mkdir()
        options = (
            "--name",
            home.name,
            "--slots",
            str(SLOTS),
            "--sandbox",
            "none",
            "--folder",
            str(home / "place"),
        )
        asked = {
            "arguments": ["worker", "--stdio", *options],
            "environment": {**self.environment, "HOME": str(home)},
            "folder": str(home),
        }
        (home / "worker.json").write_text(json.dumps(asked))

    def run(
        self,
        workspace: Workspace,
        *arguments: str,
        kill: Step | None = None,
        clock: tuple[float, float] | None = None,
    ) -> tuple[int, str]:
        """Run gitbatch; returns the exit code, and what it said."""
        with self.running(workspace, *arguments, kill=kill, clock=clock) as (_, answers):
            self.status, self.memory = map(int, next(answers).split())
            return self.status, (workspace.home / "output").read_text()

    @contextmanager
    def running(
        self,
        workspace: Workspace,
        *arguments: str,
        kill: Step | None = None,
        clock: tuple[float, float] | None = None,
    ) -> Iterator[tuple[int, Iterator[str]]]:
        """Start gitbatch; yields the process, and a line that comes with its end: exit code and memory."""
        asked = {
            "arguments": arguments,
            "environment": workspace.environment,
            "folder": str(workspace.root),
            "output": str(workspace.home / "output"),
            "kill": kill,
            "clock": clock,
        }
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(self.socket))
            connection.sendall(json.dumps(asked).encode() + b"\n")
            with connection.makefile() as answers:
                process = int(next(answers))
                try:
                    yield process, answers
                except BaseException:
                    os.kill(process, signal.SIGKILL)
                    raise


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    memory = choose_memory(tmp_path_factory.getbasetemp())
    folder = Path(tempfile.mkdtemp(prefix="gitbatch-machines-", dir=memory))
    environment = {
        "PATH": os.environ["PATH"],
        **IDENTITY,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GITBATCH_WORKTREE": "copy",
        "TERM": "dumb",
    }
    process = subprocess.Popen(
        [sys.executable, machines.__file__, str(folder / "socket")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    try:
        yield make_machines(Machines(folder, environment, process))
    finally:
        process.communicate()
        shutil.rmtree(folder)


def make_machines(far: Machines) -> Machines:
    """Make the repository, and learn what a local run makes of it."""
    home = far.folder / "template/home"
    workspace = Workspace(
        far.folder / "template/repo",
        home,
        {**far.environment, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")},
    )
    home.mkdir(parents=True)
    workspace.root.mkdir()
    workspace.git("init", "--quiet", "--initial-branch=main", "--template=")
    lines = [f"- [ ] {name} Write {name} → Output: out/{name}.md\n" for name in ITEMS]
    groups = ("### One\n\n", *lines[:6], "\n### Two\n\n", *lines[6:])
    workspace.write("task.md", "# Plan\n\n## Work Packages\n\n" + "".join(groups))
    workspace.write("agent.sh", AGENT.replace("LOG", "/dev/null"))
    workspace.write("gitbatch.toml", CONFIG)
    workspace.commit("The plan")
    local = far.workspace()
    local.write("gitbatch.toml", CONFIG)
    local.commit("No workers")
    status, said = far.run(local, *RUN)
    assert status == 0, said
    far.expected = trees(local)
    return far


def trees(workspace: Workspace) -> str:
    return workspace.git("rev-parse", "main:out", "main:task.md")


def workers_of(workspace: Workspace) -> list[int]:
    """The processes that work in the homes of the workers, agents among them."""
    found, homes = [], [workspace.root.parent / name for name in WORKERS]
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            folder = (entry / "cwd").readlink()
            if any(folder.is_relative_to(home) for home in homes):
                found.append(int(entry.name))
    return found


def spooled(workspace: Workspace) -> list[Path]:
    return [path for path in workspace.root.parent.glob("w?/place/spool/*/*") if len(path.name) == 32]


def starts(workspace: Workspace) -> list[str]:
    log = workspace.root.parent / "agents.log"
    return sorted(log.read_text().split()) if log.exists() else []


def hold(far: Machines, harm: Harm) -> bool:
    """Make one trial; false: it ended before anything was harmed."""
    workspace = far.workspace()
    fault = workspace.root.parent / "w1/fault.json"
    fault.write_text(json.dumps({"kill": harm.worker, "cut": harm.cut}))
    status, said = far.run(workspace, *RUN, kill=harm.run)
    was_killed = status == -signal.SIGKILL
    assert was_killed or status == 0, said
    assert fsck(workspace) == []
    for _ in range(3):
        if status == 0:
            break
        status, said = far.run(workspace, "run")
        assert status in {0, 2}, said  # 2: the batch had ended
        status = 0
    wait_until(lambda: not workers_of(workspace), "all workers have ended")
    check_end(far, workspace, harm, said)
    shutil.rmtree(workspace.root.parent)
    return was_killed or "was lost" in said or "cannot be reached" in said


def check_end(far: Machines, workspace: Workspace, harm: Harm, said: str) -> None:
    """What must hold when a run has ended, however often something was harmed."""
    assert trees(workspace) == far.expected
    assert fsck(workspace) == []
    status, found = far.run(workspace, "verify")
    assert status == 0, found
    begun = starts(workspace)
    assert sorted(set(begun)) == sorted(f"out/{name}.md" for name in ITEMS), begun
    assert len(begun) - len(ITEMS) <= (SLOTS if harm.worker else 0), (begun, said)
    # A run that is killed between the ref and the word about it leaves the result, and so does a worker that does not hear it.
    if not harm.run and "Spool.forget" not in str(harm.worker):
        assert spooled(workspace) == [], said


def plan_trials() -> list[Harm]:
    chance = random.Random(SEED)  # noqa: S311 - to be the same each time
    trials = [Harm(run=step) for step in RUN_STEPS]
    trials += [Harm(worker=step) for step in WORKER_STEPS]
    trials += [Harm(chance.choice(RUN_STEPS), chance.choice(WORKER_STEPS)) for _ in range(20)]
    trials += [Harm(cut=("to", chance.randint(1, 4_000))) for _ in range(20)]
    trials += [Harm(cut=("from", chance.randint(1, 1_500))) for _ in range(20)]
    trials += [Harm(chance.choice(RUN_STEPS), cut=("from", chance.randint(200, 1_500))) for _ in range(10)]
    return trials


def test_each_step_is_a_function() -> None:
    """A trial whose step is gone would end before anything is harmed."""
    assert all(callable(resolve_name(target)) for target, _, _ in (*RUN_STEPS, *WORKER_STEPS))


@pytest.mark.rule("F8")
def test_whatever_is_harmed_an_item_is_paid_for_once(
    far: Machines, capsys: pytest.CaptureFixture[str]
) -> None:
    hold_trials(capsys, plan_trials(), 2, lambda harm: hold(far, harm))


def test_interrupted_run_leaves_no_agent_where_a_connection_was_cut(far: Machines) -> None:
    """Its worker is back by another connection; the agent belongs to the process of the first one."""
    workspace = far.workspace()
    folder = workspace.root.parent
    workspace.write("agent.sh", f'touch "{folder}/begun-${{GITBATCH_OUTPUT##*/}}"; seq 30; exec sleep 600\n')
    workspace.commit("Long work")
    (folder / "w1/fault.json").write_text(json.dumps({"cut": ("from", 700)}))
    with far.running(workspace, *RUN) as (process, answers):
        wait_until(lambda: len(list(folder.glob("begun-*"))) == len(ITEMS[:6]), "all agents work")
        wait_until(
            lambda: (workspace.home / "output").read_text().count("worker w1: ") == 2, "the first is back"
        )
        os.kill(process, signal.SIGINT)
        assert next(answers).split()[0] == "130"
    wait_until(lambda: not workers_of(workspace), "no agent is left")
    assert "worker w1 was lost" in (workspace.home / "output").read_text()
    assert spooled(workspace) == []
    shutil.rmtree(folder)


LIES = {
    "lines": "an invalid message",
    "bytes": "more bytes of an output than are allowed",
    "paths": "changed paths of more than 1,000,000 characters",
    "frame": "a message of 200,000,000 bytes",
    "nested": "an invalid message",
}
"""What a worker sends 200 megabytes of, and why it is lost then."""
_MORE = 16_000
"""Kilobytes that a run may have more than with honest workers; four messages of the largest size would have half of that."""


def test_liars_get_no_memory(far: Machines) -> None:
    workspace = far.workspace()
    status, said = far.run(workspace, *RUN)
    assert status == 0, said
    honest, workspace = far.memory, far.workspace()
    commands = [[sys.executable, "-IS", liar.__file__, kind] for kind in LIES]
    table = f'[executor]\nkind = "command"\nmax-lost = 0\nworkers = {json.dumps(commands)}\n'
    workspace.write("gitbatch.toml", f"{CONFIG}\n{table}")
    workspace.commit("Liars")
    status, said = far.run(
        workspace, "run", "--items", "T1,T2,T3,T4,T5", "--checkpoint", "at-end", "--jobs", "5"
    )
    assert status == 1, said
    assert all(f"worker {kind} was lost: {why}" in said for kind, why in LIES.items()), said
    assert far.memory < honest + _MORE
    assert workspace.git("ls-tree", "main", "out/") == ""


HOUR = 3600.0


@pytest.mark.skipif(not LONG, reason="what could matter is 60 days")
def test_no_clock_matters(far: Machines) -> None:
    """That of one worker is an hour ahead, that of another jumps an hour back meanwhile, and that of the run an hour on."""
    workspace = far.workspace()
    for name, clock in zip(WORKERS, ((HOUR, HOUR), (HOUR, -HOUR), (-HOUR, -HOUR)), strict=True):
        (workspace.root.parent / name / "fault.json").write_text(json.dumps({"clock": clock}))
    status, said = far.run(workspace, *RUN, clock=(-HOUR, HOUR), kill=(f"{_REMOTE}.collect", "before", 1))
    assert status == -signal.SIGKILL
    wait_until(lambda: not workers_of(workspace), "all results are kept")
    for name, clock in zip(WORKERS, ((-HOUR, -HOUR), (-HOUR, HOUR), (HOUR, HOUR)), strict=True):
        (workspace.root.parent / name / "fault.json").write_text(json.dumps({"clock": clock}))
    status, said = far.run(workspace, "run", clock=(HOUR, -HOUR))
    assert status == 0, said
    assert "lost" not in said
    wait_until(lambda: not workers_of(workspace), "all workers have ended")
    check_end(far, workspace, Harm(), said)


def test_two_batches_share_workers(far: Machines) -> None:
    """Also one that is killed before all of its results are in git: the other one removes none of them."""
    first = far.workspace()
    other = far.workspace(first.root.parent)
    with far.running(first, *RUN, kill=(f"{_REMOTE}.collect", "before", 4)) as (_, answers):
        status, said = far.run(other, *RUN)
        assert status == 0, said
        assert next(answers).split()[0] == "-9"
    check_end(far, other, Harm(run=RUN_STEPS[0]), said)
    wait_until(lambda: not workers_of(first), "all workers have ended")
    assert spooled(first), "of the batch that was killed"
    status, said = far.run(first, "run")
    assert status == 0, said
    wait_until(lambda: not workers_of(first), "all workers have ended")
    check_end(far, first, Harm(run=RUN_STEPS[0]), said)
