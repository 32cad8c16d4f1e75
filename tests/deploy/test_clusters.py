"""Clusters as the page about deployments describes them, its words as they stand there, on loopback; `nox -s deploy` runs them."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from batch.programs import set_up
from conftest import Workspace
from history import audit, ticked
from waiting import wait_until

pytestmark = pytest.mark.skipif("GITBATCH_DEPLOY" not in os.environ, reason="GITBATCH_DEPLOY is not set")
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/deployments.md").read_text(encoding="utf-8")
RUN = ("--items", "all", "--checkpoint", "at-end", "--no-input")
SBATCH = """#!/bin/sh
cp "$1" "$HOME/job.sh"
setsid sh -c 'echo $$ >"$HOME/job.pid"; exec bash "$HOME/job.sh"' </dev/null >"$HOME/job.log" 2>&1 &
echo "Submitted batch job 7"
"""
SCANCEL = '#!/bin/sh\nkill -TERM -- "-$(cat "$HOME/job.pid")"\n'


def read_block(heading: str, language: str) -> str:
    """The first block of a section."""
    section = PAGE.partition(f"# {heading}\n")[2]
    found = re.search(rf"(?ms)^```{language}\n(.*?)^```", section)
    assert found
    return found[1]


def name_environment(workspace: Workspace) -> dict[str, str]:
    programs = f"{Path(sys.executable).parent}:{workspace.home / 'bin'}"
    return {**workspace.environment, "PATH": f"{programs}:{workspace.environment['PATH']}", "USER": "ada"}


@contextmanager
def starting(*commands: str, environment: dict[str, str], folder: Path) -> Iterator[None]:
    """Lets commands of a shell work meanwhile."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            with (folder / f"log{len(started)}").open("wb") as log:
                words = ["sh", "-c", f"exec {command}"]
                started.append(subprocess.Popen(words, env=environment, cwd=folder, stdout=log, stderr=log))
        yield
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
            process.wait()


def run_shell(workspace: Workspace, script: str, code: int = 0) -> str:
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=workspace.root,
        env=name_environment(workspace),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def make_certificates(workspace: Workspace, *names: str) -> None:
    script = ROOT / "deploy/make-certificates.sh"
    run_shell(workspace, f'sh {script} "$HOME/cluster" {" ".join(names)}')


@pytest.fixture
def planned(workspace: Workspace) -> Workspace:
    """Two items whose agents run in the best sandbox, and leave nothing in the home folder."""
    set_up(workspace, "ok", "ok")
    workspace.write("agent.sh", 'mkdir -p "${GITBATCH_OUTPUT%/*}"; echo "A page." >"$GITBATCH_OUTPUT"\n')
    workspace.edit("gitbatch.toml", 'sandbox = "none"\n', "")
    workspace.commit("The agent")
    return workspace


def test_three_programs(planned: Workspace) -> None:
    """A scheduler, a worker, and a run with a user's certificate, which is refused as a worker's."""
    workspace = planned
    make_certificates(workspace, "node:head", "node:build1", "user:ada")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    block = read_block("A Dask cluster", "sh")
    script = re.sub(r"tls://(0\.0\.0\.0|head):8786", f"tls://127.0.0.1:{port}", block)
    lines = [line for line in script.replace("\\\n", " ").splitlines() if not line.startswith("#")]
    scheduler, worker, export, run = lines
    with starting(scheduler, worker, environment=name_environment(workspace), folder=workspace.home):
        joined = workspace.home / "log1"
        wait_until(lambda: b"has joined" in joined.read_bytes(), joined.read_text)
        check = worker.replace("worker --connect", "worker --check --connect")
        assert "1 worker there, besides this one" in run_shell(workspace, check)
        refused = check.replace("build1.pem", "ada.pem").replace("build1-key", "ada-key")
        assert "CERTIFICATE_VERIFY_FAILED" in run_shell(workspace, refused, code=1)
        run_shell(workspace, f"{export}\n{run} {shlex.join(RUN)}")
    assert ticked(workspace) == ["T1", "T2"]
    assert len(audit(workspace).items) == 2


def test_local_cluster(planned: Workspace) -> None:
    planned.home.joinpath("local.py").write_text(read_block("LocalCluster", "python"))
    said = run_shell(planned, f"python3 ~/local.py {shlex.join(RUN)}")
    assert ticked(planned) == ["T1", "T2"]
    assert "worker one: 4 slots" in said
    hosts = planned.git("log", "--format=%(trailers:key=Gitbatch-Host,valueonly)", "main").split()
    assert hosts
    assert {*hosts} <= {"one", "two", "three"}


def test_slurm_by_dask_jobqueue(planned: Workspace) -> None:
    """The script is what it should be; and where `sbatch` starts it, the run ends, and so does the job."""
    pytest.importorskip("dask_jobqueue")
    workspace = planned
    make_certificates(workspace, "node:all")
    folder = workspace.home / "bin"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    export = read_block("SLURM", "sh").splitlines()[1]
    program = (
        f"{export}\nexport DASK_JOBQUEUE__SLURM__INTERFACE=lo\npython3 {ROOT}/deploy/slurm/run_on_slurm.py"
    )
    script = run_shell(workspace, f"{program} --print")
    assert "#SBATCH -n 1\n" in script
    assert "--signal" not in script  # agents would get it too
    (command,) = [line.split() for line in script.splitlines() if "dask_worker" in line]
    assert "--no-nanny" in command
    assert "--nworkers" not in command
    assert command[command.index("--lifetime") + 1] == "225m"
    assert "#SBATCH -t 4:00:00\n" in script
    limits = [command[at + 1] for at, word in enumerate(command) if word == "--memory-limit"]
    assert limits[-1] == "0"
    assert command[command.index("--preload") + 1] == "gitbatch.cli.dask_preload"
    assert not {"--pty", "--label"} & {*script.split()}
    run_shell(workspace, f"{program} 1 {shlex.join(RUN)}")
    assert ticked(workspace) == ["T1", "T2"]
    job = int((workspace.home / "job.pid").read_text())
    wait_until(lambda: not Path(f"/proc/{job}").exists(), (workspace.home / "job.log").read_text)
