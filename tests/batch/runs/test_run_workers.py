"""Runs with worker processes, each in a folder and a home of its own."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from batch.programs import set_up, starts
from conftest import Workspace, read_run
from history import audit, ticked
from processes import kill_agents
from waiting import wait_until


def name_workers(
    workspace: Workspace,
    count: int,
    *options: str,
    secrets: str = "worker",
    env: tuple[str, ...] = (),
    more: str = "",
) -> None:
    """Let the configuration start some workers."""
    commands = []
    for number in range(1, count + 1):
        home = workspace.home.parent / f"far{number}"
        home.mkdir(exist_ok=True)
        worker = [
            sys.executable,
            "-m",
            "gitbatch",
            "worker",
            "--stdio",
            "--name",
            f"w{number}",
            "--slots",
            "2",
        ]
        commands.append(["env", *env, f"HOME={home}", *worker, "--folder", str(home / "place"), *options])
    listed = ",\n".join(str(command).replace("'", '"') for command in commands)
    text = workspace.read("gitbatch.toml")
    workspace.write(
        "gitbatch.toml",
        f'{text}\n[executor]\nkind = "command"\nworkers = [\n{listed}\n]\nsecrets = "{secrets}"\n{more}',
    )
    workspace.commit("The workers")


def run_all(workspace: Workspace, *more: str, code: int = 0) -> list[Any]:
    done = workspace.gitbatch(
        "run", "--items", "all", "--checkpoint", "at-end", "--jobs", "6", "--json", *more, code=code
    )
    return read_run(done.stdout)[0]


def trees(workspace: Workspace) -> str:
    """What the plan's outputs, ticks and shared artifacts are."""
    return workspace.git("rev-parse", "main:out", "main:task.md", "main:inventory.md")


def hosts(workspace: Workspace) -> set[str]:
    lines = workspace.git("log", "--format=%(trailers:key=Gitbatch-Host,valueonly)", "main").split()
    return set(lines)


def spooled(workspace: Workspace) -> list[Path]:
    return [path for path in workspace.home.parent.glob("far*/place/spool/*/*") if len(path.name) == 32]


@pytest.mark.rule("F8")
def test_history_is_that_of_a_local_run(three: Workspace) -> None:
    """Three workers in their own sandboxes: the same blobs and trees, nothing left there, a history that is valid."""
    start = three.git("rev-parse", "main")
    run_all(three)
    local = trees(three)
    three.git("reset", "--quiet", "--hard", start)
    name_workers(three, 3)
    events = run_all(three)
    assert trees(three) == local
    assert hosts(three) <= {"w1", "w2", "w3"}
    assert len(audit(three).items) == 12
    greeted = [event["text"] for event in events if event["event"] == "notice"]
    assert all("2 slots, sandbox " in text and "none" not in text for text in greeted)
    assert spooled(three) == []
    assert not list(three.home.parent.glob("far*/place/work/*/trees"))
    three.gitbatch("verify", code=0)


def test_sent_key_is_nowhere_but_where_its_agent_has_it(workspace: Workspace) -> None:
    """The agent prints it everywhere: to the worker's place, git, logs and events comes the name of the variable."""
    value = "sk-0123-a-key-of-the-user-alone"
    set_up(workspace, "ok", agent='pass-env = ["SENT"]')
    script = (
        'cat >/dev/null\necho "${#SENT}" >"$GITBATCH_OUTPUT"\necho "$SENT"\necho "$SENT" >&2\n'
        'echo "$SENT" >>"$GITBATCH_PROGRESS"\necho "Wrote it. With $SENT."\n'
    )
    workspace.write("agent.sh", script)
    name_workers(workspace, 1, secrets="send", env=("-u", "SENT"))
    workspace.environment["SENT"] = value
    options = ("run", "--items", "all", "--checkpoint", "at-end", "--json", "--verbose")
    done = workspace.gitbatch(*options, code=0)
    assert workspace.read("out/T1.md") == f"{len(value)}\n"
    assert "[value of SENT]" in done.stdout
    shown = (
        done.stdout
        + done.stderr
        + workspace.gitbatch("logs", "T1").stdout
        + workspace.gitbatch("show", "T1").stdout
    )
    assert value not in shown
    folders = (workspace.home.parent, workspace.root)
    kept = [
        path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    ]
    assert not [path for path in kept if value.encode() in path.read_bytes()]
    assert value not in workspace.git("log", "--all", "-p", "--format=%B")


def test_killed_worker_loses_its_items_and_no_more(workspace: Workspace) -> None:
    """Its items run again on the other worker, as the same attempts."""
    set_up(workspace, "ok", "hold", "ok", batch="retries = 0")
    workspace.write("agent.sh", workspace.read("agent.sh").replace("$HOME", str(workspace.home)))
    name_workers(workspace, 1, "--sandbox", "none")
    process = workspace.start("run", "--items", "all", "--checkpoint", "at-end", "--jobs", "1", "--json")
    try:
        wait_until(lambda: starts(workspace, "T2") == 1, "T2 has started")
        [worker] = workers_of(workspace)
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: starts(workspace, "T2") == 2, "T2 has started again")
        (workspace.home / "go").touch()
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        kill_agents(workspace)
    assert process.returncode == 0
    events = read_run(said)[0]
    assert ticked(workspace) == ["T1", "T2", "T3"]
    assert (starts(workspace, "T1"), starts(workspace, "T3")) == (1, 1)
    failed = [event["outcome"]["cause"] for event in events if event["event"] == "attempt-failed"]
    assert failed == ["worker-lost"]


def workers_of(workspace: Workspace) -> list[int]:
    """The processes of workers."""
    mark = str(workspace.home.parent / "far").encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if mark in line and b"\0worker\0--stdio\0" in line:
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_run_that_ends_early(workspace: Workspace, number: signal.Signals) -> None:
    """Killed: the worker finishes what it works on, and the next run takes that. Ctrl-C: no agent is left."""
    set_up(workspace, "hold")
    workspace.write("agent.sh", workspace.read("agent.sh").replace("$HOME", str(workspace.home)))
    name_workers(workspace, 1, "--sandbox", "none")
    process = workspace.start("run", "--items", "all", "--checkpoint", "at-end", "--json")
    try:
        wait_until(lambda: starts(workspace, "T1") == 1, "the agent has started")
        process.send_signal(number)
        process.communicate(timeout=60)
        if number == signal.SIGINT:
            assert workers_of(workspace) == []
            assert starts(workspace, "T1") == 1
            return
        assert len(workers_of(workspace)) == 1
        (workspace.home / "go").touch()
        wait_until(lambda: not workers_of(workspace), "the worker has ended")
    finally:
        process.kill()
        for pid in workers_of(workspace):
            with suppress(ProcessLookupError):  # it has ended since
                os.kill(pid, signal.SIGKILL)
    assert len(spooled(workspace)) == 1
    workspace.gitbatch("run", "--json", code=0)
    assert ticked(workspace) == ["T1"]
    assert starts(workspace, "T1") == 1
    assert spooled(workspace) == []
