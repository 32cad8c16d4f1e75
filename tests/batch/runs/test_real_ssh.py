"""Runs with workers behind a real OpenSSH server on loopback; `nox -s deploy` runs them."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batch.programs import set_up, starts
from batch.real_ssh import SSHD, SshServer, serve_ssh
from conftest import Workspace, read_run
from history import audit, ticked
from processes import is_below, require_no_agents
from waiting import wait_until

pytestmark = pytest.mark.skipif(
    SSHD is None or "GITBATCH_DEPLOY" not in os.environ,
    reason="sshd is not installed, or GITBATCH_DEPLOY is not set",
)
OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", "ControlPath=none")
"""Those that the documentation names."""
RUN = ("run", "--items", "all", "--checkpoint", "at-end", "--json")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    (tmp_path / "ssh").mkdir()
    with serve_ssh(tmp_path / "ssh", f"{Path(sys.executable).parent}:/usr/bin:/bin") as running:
        yield running


def name_hosts(
    workspace: Workspace, server: SshServer, *hosts: str, options: tuple[str, ...] = OPTIONS
) -> None:
    """Let the configuration reach workers by ssh."""
    ssh = ["ssh", "-F", str(server.config), *options]
    worker = ["gitbatch", "worker", "--stdio", "--sandbox", "none"]
    listed = ",\n".join(str([*ssh, host, *worker]).replace("'", '"') for host in hosts)
    text = workspace.read("gitbatch.toml")
    table = f'[executor]\nkind = "command"\nno-worker = "20s"\nworkers = [\n{listed}\n]\n'
    workspace.write("gitbatch.toml", f"{text}\n{table}")
    workspace.write("agent.sh", workspace.read("agent.sh").replace("$HOME", str(workspace.home)))
    workspace.commit("The workers")


def find_processes(*words: str) -> list[int]:
    """The processes whose command lines have all of these words."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if all(word in line for word in words):
            found.append(int(folder.name))
    return found


def clients(server: SshServer) -> list[int]:
    return find_processes("ssh\0-F", str(server.config))


def workers(server: SshServer) -> list[int]:
    found = find_processes("worker\0--stdio\0--sandbox")
    return [pid for pid in found if is_below(pid, server.process)]


def notices(events: list[Any]) -> list[str]:
    return [event["text"] for event in events if event["event"] == "notice"]


def test_run_over_noise_and_hosts_that_fail(workspace: Workspace, server: SshServer) -> None:
    """A shell that prints, and hosts that are not there, are not known, and refuse the login: each is named with its reason."""
    set_up(workspace, "ok", "ok", "ok")
    server.write_start_up("echo Welcome to build1; seq 5000; echo motd >&2\n")
    name_hosts(workspace, server, "build1", "gone", "stranger", "locked")
    done = workspace.gitbatch(*RUN, code=0)
    events = read_run(done.stdout)[0]
    assert ticked(workspace) == ["T1", "T2", "T3"]
    said = "\n".join(notices(events))
    assert "4 slots, sandbox none" in said
    for host, words in (
        ("gone", "ssh: connect to host 127.0.0.1 port "),
        ("stranger", "Host key verification failed"),
        ("locked", "nobody@127.0.0.1: Permission denied"),
    ):
        assert f"worker ssh … {host} cannot be reached: ended with 255: {words}" in said
    assert len(audit(workspace).items) == 3
    assert workers(server) == clients(server) == []


@pytest.mark.parametrize(
    ("start_up", "words"),
    [("yes\n", "prints"), ("exit 0\n", "ended with 0"), ("PATH=/nowhere\n", "command not found")],
    ids=["flood", "silent", "path"],
)
def test_shell_that_starts_no_worker(
    workspace: Workspace, server: SshServer, start_up: str, words: str
) -> None:
    set_up(workspace, "ok")
    server.write_start_up(start_up)
    name_hosts(workspace, server, "build1")
    workspace.edit("gitbatch.toml", '"20s"', '"1s"')
    workspace.commit("No patience")
    done = workspace.gitbatch(*RUN, code=75)
    assert words in done.stdout
    assert clients(server) == []


def test_terminal_on_the_way_is_named(workspace: Workspace, server: SshServer) -> None:
    set_up(workspace, "ok")
    name_hosts(workspace, server, "build1", options=("-tt",))
    workspace.edit("gitbatch.toml", '"20s"', '"1s"')
    workspace.commit("No patience")
    done = workspace.gitbatch(*RUN, code=75)
    assert "standard input is a terminal, and not a run / by hand" in done.stderr


@pytest.mark.parametrize("victim", ["client", "server"])
def test_cut_connection_costs_nothing(workspace: Workspace, server: SshServer, victim: str) -> None:
    """The worker finishes; the next connection to the same host takes the result."""
    set_up(workspace, "hold", batch="retries = 0")
    name_hosts(workspace, server, "build1")
    process = workspace.start(*RUN)
    try:
        wait_until(lambda: starts(workspace, "T1") == 1, "the agent has started")
        [worker] = workers(server)
        pids = clients(server) if victim == "client" else [parent_of(worker)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: len(workers(server)) + len(find_processes("--stdio\0--sandbox")) > 2,
            "another worker is there",
        )
        (workspace.home / "go").touch()
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert ticked(workspace) == ["T1"]
    assert starts(workspace, "T1") == 1


def parent_of(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return int(stat.rpartition(")")[2].split()[1])


@pytest.mark.parametrize(
    ("host", "options"), [("build1", OPTIONS), ("shared", ("-T",))], ids=["as documented", "master"]
)
def test_ctrl_c_leaves_nothing(
    workspace: Workspace, server: SshServer, host: str, options: tuple[str, ...]
) -> None:
    """Also where a master connection of the user's, which stays, holds the pipes of its first client."""
    set_up(workspace, "hold", "hold")
    name_hosts(workspace, server, host, options=options)
    process = workspace.start(*RUN)
    try:
        wait_until(lambda: starts(workspace, "T1") + starts(workspace, "T2") == 2, "the agents have started")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        wait_until(lambda: not workers(server), "the worker has ended")
        require_no_agents(workspace)
    finally:
        process.kill()
        for pid in find_processes(str(server.folder / "master")):
            os.kill(pid, signal.SIGKILL)
    assert process.returncode == 130


def test_key_is_sent_where_the_configuration_says_so(workspace: Workspace, server: SshServer) -> None:
    set_up(workspace, "ok", agent='pass-env = ["MY_KEY"]')
    name_hosts(workspace, server, "build1")
    workspace.edit(
        "gitbatch.toml", 'kind = "command"\nno-worker', 'kind = "command"\nsecrets = "send"\nno-worker'
    )
    workspace.write("agent.sh", 'mkdir out; echo "${#MY_KEY} characters" >"$GITBATCH_OUTPUT"\n')
    workspace.commit("Send it")
    workspace.gitbatch(*RUN, code=0, MY_KEY="sk-0123456789")
    assert workspace.git("show", "main:out/T1.md") == "13 characters"
