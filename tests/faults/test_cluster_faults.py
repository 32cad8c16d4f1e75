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
from conftest import Place
from faults.test_faults import LONG
from history import ticked
from waiting import wait_until

if TYPE_CHECKING:
    import subprocess


def count_sent(place: Place) -> int:
    """How often an item was sent to a worker."""
    [log] = (place.root / ".git/gitbatch").glob("*/events.jsonl")
    return log.read_text().count('"item-sent"')


def find_agents(place: Place) -> list[str]:
    """The processes that work in worktrees of the workers."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            folder = (entry / "cwd").readlink()
        except OSError:
            continue
        if folder.is_relative_to(place.home.parent) and "trees" in folder.parts:
            found.append(entry.name)
    return found


@pytest.mark.skipif(not LONG, reason="takes 12 seconds")
def test_item_is_paid_for_once_and_no_agent_is_left(place: Place, cluster: Cluster) -> None:
    set_up(place, "hold", "hold", batch="retries = 0")
    place.write("agent.sh", place.read("agent.sh").replace("$HOME", str(place.home)))
    place.commit("The agent")
    cluster.start_scheduler()
    worker, _ = [cluster.start_worker(name) for name in ("w1", "w2")]
    wait_until(lambda: cluster.count_joins("w1") and cluster.count_joins("w2"), "the workers have joined")
    place.environment |= cluster.variables
    on = ("--cluster", cluster.url)

    running = place.start(*ALL, *on)
    wait_until(lambda: starts(place, "T1") == starts(place, "T2") == 1, "both have begun")
    running.kill()
    running.communicate(timeout=60)
    resumed = place.start("run", *on)
    wait_until(lambda: count_sent(place) == 4, "the run that was killed and its resume have sent both")
    assert len(find_agents(place)) >= 2
    resumed.send_signal(signal.SIGINT)
    resumed.communicate(timeout=60)
    assert resumed.returncode == 130
    wait_until(lambda: not find_agents(place), "no agent is left")
    assert spooled(place) == []
    assert (starts(place, "T1"), starts(place, "T2")) == (1, 1)

    last = place.start("run", *on)
    wait_until(lambda: starts(place, "T1") == starts(place, "T2") == 2, "both have begun again")
    worker.kill()
    wait_until(lambda: starts(place, "T1") + starts(place, "T2") == 5, "the other worker has both")
    (place.home / "go").touch()
    last.communicate(timeout=60)
    assert last.returncode == 0
    assert ticked(place) == ["T1", "T2"]


def start_plain_worker(cluster: Cluster) -> "subprocess.Popen[bytes]":
    """Start a Dask worker with the preload."""
    tls, environment = cluster.tls, cluster.place.environment
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
    home = cluster.place.home.parent / "plain"
    command = (sys.executable, "-m", "distributed.cli.dask_worker", cluster.url, *options, *files)
    return cluster._start(
        (*command, "--local-directory", str(home)), "plain", {**environment, "HOME": str(home)}
    )


@pytest.mark.skipif(not LONG, reason="takes 6 seconds")
@pytest.mark.parametrize(
    ("number", "is_lost"), [(signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGTERM, True)]
)
def test_plain_dask_worker_that_gets_a_signal_finishes_its_items(
    place: Place, cluster: Cluster, number: signal.Signals, *, is_lost: bool
) -> None:
    """Also where its scheduler was lost, and the worker is being closed already."""
    set_up(place, "hold", "ok", batch="retries = 0")
    place.write("agent.sh", place.read("agent.sh").replace("$HOME", str(place.home)))
    place.edit("gitbatch.toml", 'sandbox = "none"\n', f'writable = ["{place.home}"]\n')
    place.commit("The agent")
    scheduler = cluster.start_scheduler()
    worker = start_plain_worker(cluster)
    place.environment |= cluster.variables
    running = place.start(*ALL, "--cluster", cluster.url)
    wait_until(lambda: starts(place, "T1") == 1, cluster.log_of("plain").read_text)
    log = cluster.log_of("plain")
    if is_lost:
        scheduler.kill()
        wait_until(lambda: "preload teardown" in log.read_text(), log.read_text)
    worker.send_signal(number)
    wait_until(lambda: "preload teardown" in log.read_text(), log.read_text)
    assert worker.poll() is None
    (place.home / "go").touch()
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 0, said
    assert (starts(place, "T1"), ticked(place)) == (1, ["T1", "T2"])
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
