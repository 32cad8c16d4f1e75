"""Killed between mount, agent and end: the launcher, gitbatch or both, while worktrees are made of layers.

    GITBATCH_FAULTS=long pytest tests/faults/test_launcher_faults.py -n 0 -s

Afterwards no process of the run is left, and nothing is mounted anywhere; the batch is completed as if nothing had happened.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Workspace
from faults.test_faults import LONG, hold_trials
from faults.trials import (
    NOBODY,
    RUN,
    USERS_PYTHON,
    Bench,
    Servers,
    after_kill,
    agents,
    check_end,
    make_bench,
)
from waiting import wait_until

VICTIMS = ("launcher", "gitbatch", "both")
SAMPLE = 1


@pytest.fixture(scope="module", params=["memory", "disk", "user"] if LONG else ["memory"])
def bench(fault_servers: Servers, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Where trials are made: a step of the launcher is that of any of its processes."""
    on_disk = request.param == "disk"
    user = NOBODY if request.param == "user" else None
    if user and not is_users_python_usable():
        pytest.skip("needs root, and a Python for other users of the same version")
    with fault_servers.open(on_disk=on_disk, user=user) as (server, folder, environment):
        environment["GITBATCH_WORKTREE"] = "overlay"
        if user:  # the tests look at a repository of another owner
            environment |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
            }
        yield make_bench(server, folder, environment, user=user)


def is_users_python_usable() -> bool:
    done = subprocess.run((USERS_PYTHON, "--version"), capture_output=True, text=True, check=False)
    return os.getuid() == 0 and done.stdout.startswith("Python {}.{}.".format(*sys.version_info))


def find_left(workspace: Workspace) -> list[str]:
    """Returns the processes that work below the place, or that have something mounted there."""
    folder, found = str(workspace.root.parent), []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            mounted = (process / "mountinfo").read_text(encoding="utf-8", errors="replace")
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            if folder in mounted or folder in command or folder in str((process / "cwd").readlink()):
                found.append(f"{process.name} {command}")
    return found


def test_launcher_that_is_killed_leaves_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    steps = bench.server.run(bench.workspace(), *RUN, launcher=True).steps
    trials = [(step, victim) for step in range(1, steps + 1) for victim in VICTIMS]

    def is_held(case: tuple[int, str]) -> bool:
        workspace = bench.workspace()
        ran = bench.server.run(
            workspace, *RUN, at=case[0], victim=case[1].replace("both", "everything"), launcher=True
        )
        wait_until(lambda: not find_left(workspace), "the processes of the run are gone")
        acknowledged = after_kill(bench, workspace, ran)
        again = bench.server.run(workspace, *RUN)
        assert again.status == 0, again.said
        check_end(bench, workspace)
        verified = bench.server.run(workspace, "verify") if LONG else again
        assert verified.status == 0, verified.said
        assert all(agents(workspace).count(key) == count for key, count in acknowledged.items())
        shutil.rmtree(workspace.root.parent)
        return ran.killed

    hold_trials(capsys, trials, SAMPLE, is_held)
