"""Runs on a real SLURM of one node, where it is installed; `nox -s deploy` runs them, as root."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from batch.programs import set_up, starts
from conftest import Running, Workspace, read_run
from deploy.slurm_cluster import IS_THERE, run_slurm, serve_slurm
from history import audit, ticked
from processes import require_no_agents
from waiting import wait_until

pytestmark = pytest.mark.skipif(
    not IS_THERE or "GITBATCH_DEPLOY" not in os.environ,
    reason="SLURM is not installed, or not root, or GITBATCH_DEPLOY is not set",
)
ROOT = Path(__file__).parents[2]
RUN = ("run", "--items", "all", "--checkpoint", "at-end", "--json")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("slurm")
    with serve_slurm(folder) as variables:
        yield variables


@pytest.fixture
def cluster(slurm: dict[str, str], workspace: Workspace) -> Iterator[Workspace]:
    """Two jobs of one slot each; no attempt may fail."""
    set_up(workspace, "hold", batch="retries = 0")
    workspace.environment |= {**slurm, "PATH": os.environ["PATH"]}
    workspace.write("agent.sh", workspace.read("agent.sh").replace("$HOME", str(workspace.home)))
    worker = [sys.executable, "-m", "gitbatch", "worker", "--stdio", "--slots", "1", "--sandbox", "none"]
    commands = [
        ["srun", "-n1", "-J", name, *worker, "--name", name, "--folder", str(workspace.home.parent / name)]
        for name in ("one", "two")
    ]
    listed = str(commands).replace("'", '"')
    text = workspace.read("gitbatch.toml")
    workspace.write("gitbatch.toml", f'{text}\n[executor]\nkind = "command"\nworkers = {listed}\n')
    workspace.commit("The workers")
    yield workspace
    wait_until(lambda: not list_jobs(workspace), "no job has kept its node")


def list_jobs(workspace: Workspace) -> list[str]:
    return run_slurm(workspace.environment, "squeue", "-h", "-o", "%j").split()


def run_until_started(workspace: Workspace) -> Running:
    process = workspace.start(*RUN)
    wait_until(lambda: starts(workspace, "T1") == 1, "the agent has started")
    return process


def find_busy_job(workspace: Workspace) -> str:
    """The job in which the agent works, by its worktree's place."""
    found = {
        name
        for entry in Path("/proc").glob("[0-9]*/cwd")
        for name in ("one", "two")
        if str(read_link(entry)).startswith(f"{workspace.home.parent / name}/")
    }
    assert len(found) == 1
    return found.pop()


def read_link(path: Path) -> Path | None:
    try:
        return path.readlink()
    except OSError:
        return None


@pytest.mark.parametrize(("number", "count"), [("URG", 1), ("TERM", 2)])
def test_job_is_signalled(cluster: Workspace, number: str, count: int) -> None:
    """SLURM signals agents too: by SIGURG they finish, by SIGTERM the item runs at the other worker, with no retry used."""
    process = run_until_started(cluster)
    try:
        run_slurm(cluster.environment, "scancel", f"--signal={number}", "-n", find_busy_job(cluster))
        wait_until(lambda: starts(cluster, "T1") == count, "it has started there")
        (cluster.home / "go").touch()
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert ticked(cluster) == ["T1"]
    assert starts(cluster, "T1") == count
    failed = [event["outcome"]["cause"] for event in read_run(said)[0] if event["event"] == "attempt-failed"]
    assert failed == ["worker-lost"] * (count - 1)


def test_ctrl_c_gives_the_nodes_back(cluster: Workspace) -> None:
    process = run_until_started(cluster)
    try:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    require_no_agents(cluster)


def test_jobs_of_dask_jobqueue(slurm: dict[str, str], workspace: Workspace) -> None:
    """`sbatch` starts the script, and the jobs end with the run."""
    pytest.importorskip("dask_jobqueue")
    set_up(workspace, "ok", "ok")
    workspace.write("agent.sh", 'mkdir -p "${GITBATCH_OUTPUT%/*}"; echo "A page." >"$GITBATCH_OUTPUT"\n')
    workspace.commit("The agent")
    folder = workspace.home / "cluster"
    variables = [
        f"GITBATCH_TLS_{name}={folder}/{file}.pem"
        for name, file in (("CA", "ca"), ("CERT", "all"), ("KEY", "all-key"))
    ]
    script = f"""
    sh {ROOT}/deploy/make-certificates.sh {folder} node:all
    export {" ".join(variables)} DASK_JOBQUEUE__SLURM__INTERFACE=lo
    exec python3 {ROOT}/deploy/slurm/run_on_slurm.py 2 {shlex.join(RUN[1:-1])} --no-input
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**workspace.environment, **slurm, "PATH": path}
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=workspace.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ticked(workspace) == ["T1", "T2"]
    assert len(audit(workspace).items) == 2
    workspace.environment |= slurm
    wait_until(lambda: not list_jobs(workspace), "the jobs have ended")
