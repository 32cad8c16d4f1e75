"""A run with the workers of a real Dask cluster: a scheduler and workers as processes, with certificates, on loopback."""

import asyncio
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from batch.programs import set_up, starts
from batch.runs.test_checks import check
from batch.runs.test_run_workers import hosts, spooled
from certificates import write_certificates, write_stranger
from conftest import Workspace, read_run
from history import audit, ticked
from ports import find_port
from waiting import wait_until

from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.batch.executor.dask_carrier import StreamChannel
from gitbatch.batch.executor.dask_scheduler import SchedulerConnection
from gitbatch.batch.executor.tls import connect_streams
from gitbatch.batch.planning.tls_files import make_tls_context
from gitbatch.project.cluster import TlsTable, parse_address

KEY = "sk-0123-a-key-of-the-user"
ALL = ("run", "--items", "all", "--checkpoint", "at-end", "--jobs", "4", "--json")


@dataclass
class Cluster:
    """The processes of a cluster."""

    workspace: Workspace
    tls: TlsTable
    port: int
    started: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"tls://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        return {
            "GITBATCH_TLS_CA": self.tls.ca,
            "GITBATCH_TLS_CERT": self.tls.cert,
            "GITBATCH_TLS_KEY": self.tls.key,
        }

    def start_scheduler(self) -> "subprocess.Popen[bytes]":
        """Start a scheduler, always on the same port."""
        files = ("--tls-ca-file", self.tls.ca, "--tls-cert", self.tls.cert, "--tls-key", self.tls.key)
        where = ("--host", self.url, "--dashboard-address", "127.0.0.1:0", "--no-dashboard")
        command = (sys.executable, "-m", "distributed.cli.dask_scheduler", *where, *files)
        return self._start(command, "scheduler", self.workspace.environment)

    def start_worker(self, name: str) -> "subprocess.Popen[bytes]":
        """Start a worker with a folder and a home of its own."""
        home = self.workspace.home.parent / f"far{name}"
        home.mkdir()
        options = ("--name", name, "--slots", "2", "--folder", str(home / "place"), "--sandbox", "none")
        command = (sys.executable, "-m", "gitbatch", "worker", "--connect", self.url, *options)
        return self._start(command, name, {**self.workspace.environment, **self.variables, "HOME": str(home)})

    def _start(
        self, command: tuple[str, ...], name: str, environment: dict[str, str]
    ) -> "subprocess.Popen[bytes]":
        with self.log_of(name).open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        self.started.callback(process.wait)
        self.started.callback(process.kill)
        return process

    def log_of(self, name: str) -> Path:
        return self.workspace.home.parent / f"{name}.log"

    def count_joins(self, name: str) -> int:
        """How often a worker has joined."""
        return self.log_of(name).read_text().count("has joined the cluster")

    def address_of(self, name: str) -> str:
        """The address at which a worker listens for runs."""
        [address] = re.findall(r"listens at (\S+),", self.log_of(name).read_text())
        return str(address)


@pytest.fixture
def cluster(workspace: Workspace) -> Iterator[Cluster]:
    made = Cluster(workspace, write_certificates(workspace.home.parent / "tls"), find_port())
    with made.started:
        yield made


def list_outputs(workspace: Workspace) -> str:
    """What the outputs and the plan are."""
    return workspace.git("rev-parse", "main:out", "main:task.md")


def ask_as_stranger(cluster: Cluster, address: str, *, is_scheduler: bool) -> str:
    """Connect with a certificate that another authority has signed; returns the error."""
    context = make_tls_context(
        write_stranger(cluster.workspace.home.parent / "stranger"), ssl.Purpose.SERVER_AUTH
    )

    async def ask() -> None:
        found = parse_address(address)
        assert found
        streams = await connect_streams(found, context)
        try:
            await (SchedulerConnection.open(streams) if is_scheduler else StreamChannel(*streams).receive())
        finally:
            streams[1].transport.abort()

    with pytest.raises(ChannelError) as raised:
        asyncio.run(ask())
    return str(raised.value)


def name_cluster(workspace: Workspace, cluster: Cluster) -> None:
    """Let the configuration name a cluster, and a check that passes only there, with a key that is sent."""
    ca, cert, key = cluster.tls.ca, cluster.tls.cert, cluster.tls.key
    tls = f'{{ ca = "{ca}", cert = "{cert}", key = "{key}" }}'
    script = f'test "${{#SENT}} ${{HOME##*/}}" = "{len(KEY)} far${{HOME##*far}}"'
    there = check("there", script, **{"pass-env": ["SENT"]})
    executor = (
        f'kind = "dask"\ncluster = "{cluster.url}"\ntls = {tls}\nsecrets = "send"\nchecks-at = "workers"'
    )
    text = workspace.read("gitbatch.toml")
    workspace.write("gitbatch.toml", f"{text}\n{there}\n[executor]\n{executor}\n")
    workspace.commit("The cluster")
    workspace.environment["SENT"] = KEY


@pytest.mark.rule("F8")
def test_cluster_and_the_death_of_its_scheduler(workspace: Workspace, cluster: Cluster) -> None:
    """The same blobs and trees as by a local run; a stranger gets nothing; nothing is lost with the scheduler."""
    processes = [cluster.start_worker(name) for name in ("w1", "w2")]  # before there is a scheduler
    scheduler = cluster.start_scheduler()
    set_up(workspace, "ok", "ok", "ok", "ok")
    start = workspace.git("rev-parse", "main")
    workspace.gitbatch(*ALL, code=0)
    local = list_outputs(workspace)
    workspace.git("reset", "--quiet", "--hard", start)
    for path in workspace.home.glob("*.starts"):
        path.unlink()
    wait_until(lambda: cluster.count_joins("w1") and cluster.count_joins("w2"), "the workers have joined")
    workspace.gitbatch(*ALL, "--cluster", cluster.url, code=0, **cluster.variables)
    assert list_outputs(workspace) == local
    assert hosts(workspace) == {"w1", "w2"}
    assert len(audit(workspace).items) == 4
    assert spooled(workspace) == []
    options = ("worker", "--check", "--connect", cluster.url, "--folder", str(workspace.home / "w"))
    said = workspace.gitbatch(*options, "--sandbox", "none", code=0, **cluster.variables).stdout
    assert "2 workers there, besides this one" in said
    refused = "it does not accept this certificate|the connection is gone"
    assert re.match(refused, ask_as_stranger(cluster, cluster.url, is_scheduler=True))
    assert re.match(refused, ask_as_stranger(cluster, cluster.address_of("w1"), is_scheduler=False))

    workspace.git("reset", "--quiet", "--hard", start)
    set_up(workspace, "hold", "ok", "ok", groups=3, batch="retries = 0")
    workspace.write("agent.sh", workspace.read("agent.sh").replace("$HOME", str(workspace.home)))
    name_cluster(workspace, cluster)
    running = workspace.start(*ALL)
    try:
        wait_until(lambda: starts(workspace, "T1") == 1, "T1 has started")
        scheduler.kill()
        scheduler.wait()
        cluster.start_scheduler()
        wait_until(lambda: cluster.count_joins("w1") == 2 and cluster.count_joins("w2") == 2, "they are back")
        (workspace.home / "go").touch()
        said, _ = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 0, said
    events = read_run(said)[0]
    assert ticked(workspace) == ["T1", "T2", "T3"]
    assert "Gitbatch-Check: there pass (0." in workspace.git("log", "--format=%B", "main")
    assert KEY not in said + cluster.log_of("w1").read_text() + cluster.log_of("w2").read_text()
    assert [starts(workspace, name) for name in ("T1", "T2", "T3")] == [1, 1, 1]
    assert [event for event in events if event["event"] == "attempt-failed"] == []
    assert hosts(workspace) <= {"w1", "w2"}, "no other name after the death of the scheduler"
    notices = [event["text"] for event in events if event["event"] == "notice"]
    assert any("the scheduler" in text and "cannot be reached" in text for text in notices)
    for process in processes:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert not [*(workspace.home.parent / "farw1/place/work").iterdir()]
