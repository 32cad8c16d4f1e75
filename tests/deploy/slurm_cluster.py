"""A real SLURM of one node on loopback, in a folder of its own: its authentication, its controller and its node."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from waiting import wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scancel", "squeue")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
IS_THERE = os.geteuid() == 0 and all(shutil.which(name, path=PATH) for name in PROGRAMS)

_CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/node.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=32 RealMemory=65536 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def _find_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@contextmanager
def serve_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Runs a cluster; yields the variables by which its commands find it."""
    controller, node = _find_ports()
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(mode=0o755)
    (folder / "munge/key").write_bytes(os.urandom(1024))
    (folder / "munge/key").chmod(0o400)
    config = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    config.write_text(_CONFIG.format(host=host, controller=controller, node=node, folder=folder))
    environment = {"PATH": PATH, "SLURM_CONF": str(config)}
    munge = [f"--{key}-file={folder}/munge/{key}" for key in ("key", "pid", "log", "seed")]
    commands = (
        ["munged", "--foreground", "--force", f"--socket={folder}/munge/socket", *munge],
        ["slurmctld", "-D", "-i"],
        ["slurmd", "-D"],
    )
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.log").open("wb") as log:
                started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            if command[0] == "munged":
                wait_until((folder / "munge/socket").exists, "munged listens")
        wait_until(lambda: "idle" in run_slurm(environment, "sinfo", "-h"), "the node is there")
        yield {"SLURM_CONF": str(config)}
    finally:
        for process in reversed(started):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def run_slurm(environment: dict[str, str], *command: str) -> str:
    """What a command of SLURM says; nothing while no controller answers."""
    found = {**environment, "PATH": PATH}
    done = subprocess.run(command, env=found, capture_output=True, text=True, check=False)
    return done.stdout
