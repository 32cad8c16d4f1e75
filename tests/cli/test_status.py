"""`gitbatch status` from a second terminal while a batch runs."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from conftest import Here, Workspace
from waiting import wait_until

from gitbatch.repo.holder import name_plan
from gitbatch.repo.lock import repository_lock
from gitbatch.repo.repository import Repository


@contextmanager
def running_batch(workspace: Workspace) -> Iterator["subprocess.Popen[str]"]:
    """A batch that runs until its end is asked for."""
    command = [sys.executable, "-m", "gitbatch", "run", "--items", "all", "--checkpoint", "at-end", "--json"]
    process = subprocess.Popen(
        command,
        cwd=workspace.root,
        env=workspace.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def test_status_of_a_running_batch(three: Workspace) -> None:
    three.edit("task.md", "Write a →", "Write a do: hang →")
    three.edit("task.md", "Write b →", "Write b do: fail →")
    three.commit()
    with running_batch(three) as process:
        rows: dict[str, dict[str, object]] = {}

        def is_drawn() -> bool:
            state = json.loads(three.gitbatch("status", "--json", code=0).stdout)
            rows.update({item["name"]: item for item in state.get("items", ())})
            waiting = {"running": 1, "failed": 1, "not-merged": 2, "waiting": 8}
            statuses = [item["status"] for item in rows.values()]
            counted = {status: statuses.count(status) for status in statuses}
            return counted == waiting and rows["T101"]["last_line"] != ""

        wait_until(is_drawn, rows)
        assert rows["T101"]["last_line"] == "working on out/letters/a.md"
        assert rows["T102"]["reason"] == "the source is not there (exit 3)"
        said = three.gitbatch("status", code=0).stdout
        assert f"by process {process.pid} of " in said
        assert "(running)" in said
        assert "on main: 0 of 3 groups" in said
        assert "s: working on out/letters/a.md" in said
        assert "gitbatch run" not in said
        assert f"kill -INT {process.pid}" in said
    said = three.gitbatch("status", code=0).stdout
    assert "(unfinished)" in said
    assert "resume: gitbatch run" in said
    assert "running" not in said


def test_a_run_that_has_not_begun_its_batch_yet(three: Workspace, repo: Repository) -> None:
    """As while it asks which items to run: nothing tells the user to run what runs already."""
    with repository_lock(repo, lambda _: None):
        assert "has run here yet; process" in three.gitbatch("status", code=0).stdout
    three.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", code=0)
    with repository_lock(repo, lambda _: None):
        said = three.gitbatch("status", code=0).stdout
        assert said.endswith(" is starting a run\n")
        name_plan(repo.own_dir, "other/task.md")
        assert three.gitbatch("status", code=0).stdout.endswith(" runs other/task.md\n")
    with repository_lock(repo, lambda _: None, "gc"):
        assert "process" not in three.gitbatch("status", code=0).stdout


def test_a_word_that_names_no_plan_and_no_batch(three: Workspace, here: Here) -> None:
    assert here("status", "task.md") == (0, "no batch of task.md has run yet; start one: gitbatch run\n", "")
    code, _, error = here("status", "nope")
    assert (code, error.splitlines()) == (
        2,
        ["gitbatch: nope names neither a batch nor a plan", "  list the batches: gitbatch batches"],
    )
    assert three.git("for-each-ref", "refs/gitbatch") == ""
