"""A run with a real Dask cluster is killed, its resume interrupted, and a worker killed; in the long round only.

GITBATCH_FAULTS=long pytest tests/faults/test_cluster_faults.py -n 0
"""

# ruff: noqa: F811 - a parameter has the name of its fixture

import signal
from pathlib import Path

import pytest
from batch.programs import set_up, starts
from batch.runs.test_run_cluster import ALL, Cluster, cluster  # noqa: F401 - a fixture
from batch.runs.test_run_workers import spooled
from conftest import Place
from faults.test_faults import LONG
from history import ticked
from waiting import wait_until


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
