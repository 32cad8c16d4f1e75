"""A run with a real Dask cluster is killed, its resume interrupted, and a worker killed; in the long round only.

GITBATCH_FAULTS=long pytest tests/faults/test_cluster_faults.py -n 0
"""

# ruff: noqa: F811 - a parameter has the name of its fixture

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from batch.programs import set_up, starts
from batch.runs.test_run_cluster import ALL, Cluster, cluster  # noqa: F401 - a fixture
from batch.runs.test_run_workers import spooled
from conftest import Workspace
from faults.test_faults import LONG
from history import ticked
from waiting import wait_until

if TYPE_CHECKING:
    import subprocess


def count_sent(workspace: Workspace) -> int:
    """How often an item was sent to a worker."""
    [log] = (workspace.root / ".git/gitbatch").glob("*/events.jsonl")
    return log.read_text().count('"item-sent"')


def find_agents(workspace: Workspace) -> list[str]:
    """The processes that work in worktrees of the workers."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            folder = (entry / "cwd").readlink()
        except OSError:
            continue
        if folder.is_relative_to(workspace.home.parent) and "trees" in folder.parts:
            found.append(entry.name)
    return found


@pytest.mark.skipif(not LONG, reason="takes 12 seconds")
def test_item_is_paid_for_once_and_no_agent_is_left(workspace: Workspace, cluster: Cluster) -> None:
    set_up(workspace, "hold", "hold", batch="retries = 0")
    workspace.write("agent.sh", workspace.read("agent.sh").replace("$HOME", str(workspace.home)))
    workspace.commit("The agent")
    cluster.start_scheduler()
    worker, _ = [cluster.start_worker(name) for name in ("w1", "w2")]
    wait_until(lambda: cluster.count_joins("w1") and cluster.count_joins("w2"), "the workers have joined")
    workspace.environment |= cluster.variables
    on = ("--cluster", cluster.url)

    running = workspace.start(*ALL, *on)
    wait_until(lambda: starts(workspace, "T1") == starts(workspace, "T2") == 1, "both have begun")
    running.kill()
    running.communicate(timeout=60)
    resumed = workspace.start("run", *on)
    wait_until(lambda: count_sent(workspace) == 4, "the run that was killed and its resume have sent both")
    assert len(find_agents(workspace)) >= 2
    resumed.send_signal(signal.SIGINT)
    resumed.communicate(timeout=60)
    assert resumed.returncode == 130
    wait_until(lambda: not find_agents(workspace), "no agent is left")
    assert spooled(workspace) == []
    assert (starts(workspace, "T1"), starts(workspace, "T2")) == (1, 1)

    last = workspace.start("run", *on)
    wait_until(lambda: starts(workspace, "T1") == starts(workspace, "T2") == 2, "both have begun again")
    worker.kill()
    wait_until(lambda: starts(workspace, "T1") + starts(workspace, "T2") == 5, "the other worker has both")
    (workspace.home / "go").touch()
    last.communicate(timeout=60)
    assert last.returncode == 0
    assert ticked(workspace) == ["T1", "T2"]


def start_plain_worker(cluster: Cluster) -> "subprocess.Popen[bytes]":
    """Start a Dask worker with the preload."""
    tls, environment = cluster.tls, cluster.workspace.environment
    files = ("--tls-ca-file", tls.ca, "--tls-cert", tls.cert, "--tls-key", tls.key)
    options = (
        "--no-nanny",
        "--memory-limit",
        "0",
        "--nthreads",
        "2",
        "--preload",
        "gitbatch.cli.dask_preload",
    )
    home = cluster.workspace.home.parent / "plain"
    command = (sys.executable, "-m", "distributed.cli.dask_worker", cluster.url, *options, *files)
    return cluster._start(
        (*command, "--local-directory", str(home)), "plain", {**environment, "HOME": str(home)}
    )


@pytest.mark.skipif(not LONG, reason="takes 6 seconds")
@pytest.mark.parametrize(
    ("number", "is_lost"), [(signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGTERM, True)]
)
def test_plain_dask_worker_that_gets_a_signal_finishes_its_items(
    workspace: Workspace, cluster: Cluster, number: signal.Signals, *, is_lost: bool
) -> None:
    """Also where its scheduler was lost, and the worker is being closed already."""
    set_up(workspace, "hold", "ok", batch="retries = 0")
    workspace.write("agent.sh", workspace.read("agent.sh").replace("$HOME", str(workspace.home)))
    workspace.edit("gitbatch.toml", 'sandbox = "none"\n', f'writable = ["{workspace.home}"]\n')
    workspace.commit("The agent")
    scheduler = cluster.start_scheduler()
    worker = start_plain_worker(cluster)
    workspace.environment |= cluster.variables
    running = workspace.start(*ALL, "--cluster", cluster.url)
    wait_until(lambda: starts(workspace, "T1") == 1, cluster.log_of("plain").read_text)
    log = cluster.log_of("plain")
    if is_lost:
        scheduler.kill()
        wait_until(lambda: "preload teardown" in log.read_text(), log.read_text)
    worker.send_signal(number)
    wait_until(lambda: "preload teardown" in log.read_text(), log.read_text)
    assert worker.poll() is None
    (workspace.home / "go").touch()
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 0, said
    assert (starts(workspace, "T1"), ticked(workspace)) == (1, ["T1", "T2"])
    worker.wait(timeout=60)


@pytest.mark.skipif(not LONG, reason="takes 3 seconds")
def test_plain_dask_worker_without_a_scheduler_ends_by_a_signal(cluster: Cluster) -> None:
    worker = start_plain_worker(cluster)
    log = cluster.log_of("plain")
    wait_until(lambda: "Waiting to connect" in log.read_text(), log.read_text)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0


@pytest.mark.skipif(not LONG, reason="takes 5 seconds")
def test_plain_dask_worker_that_gets_a_signal_with_its_scheduler_ends(cluster: Cluster) -> None:
    """A worker that was cancelled while it closed waited for ever."""
    scheduler, worker = cluster.start_scheduler(), start_plain_worker(cluster)
    log = cluster.log_of("plain")
    wait_until(lambda: "Registered to" in log.read_text(), log.read_text)
    scheduler.send_signal(signal.SIGTERM)
    wait_until(lambda: "Stopping worker" in log.read_text(), log.read_text)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) in {0, -signal.SIGTERM}  # the latter: it was about to end by itself
