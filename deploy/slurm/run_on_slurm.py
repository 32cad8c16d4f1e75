"""Asks SLURM for workers through dask-jobqueue, and runs gitbatch on them.

    python3 run_on_slurm.py --print               the script of a job; nothing is submitted
    python3 run_on_slurm.py 10 --items all        ten jobs, and `gitbatch run --cluster … --items all` in this folder

A job is one process without Dask's nanny and limit of memory, which would kill agents that are paid for. The files of the
certificate are those of GITBATCH_TLS_CA, _CERT and _KEY, in a folder that the nodes share.
"""

import os
import subprocess
import sys

from dask_jobqueue import SLURMCluster
from distributed import Security

SLOTS = 8
"""Agents that work at the same time in one job, each on one processor."""
LIFETIME = ("--lifetime", "225m")
"""Shorter than the wall time: then a worker takes nothing further, and finishes what runs."""


def open_cluster() -> SLURMCluster:
    """Starts the scheduler, in this process, on the machine where SLURM is asked."""
    ca, cert, key = (os.environ[f"GITBATCH_TLS_{name}"] for name in ("CA", "CERT", "KEY"))
    files = {
        f"tls_{role}_{name}": file
        for role in ("scheduler", "worker", "client")
        for name, file in (("cert", cert), ("key", key))
    }
    return SLURMCluster(
        cores=SLOTS,
        processes=1,
        memory="16 GB",  # of the job; a node that is not shared has more: job_extra_directives=["--mem=0"], and job_directives_skip=["--mem="]
        walltime="4:00:00",
        nanny=False,
        death_timeout=600,
        worker_extra_args=[
            "--memory-limit",
            "0",
            "--no-dashboard",
            *LIFETIME,
            "--preload",
            "gitbatch.cli.dask_preload",
        ],
        security=Security(require_encryption=True, tls_ca_file=ca, **files),
        scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
    )


def main() -> int:
    """Runs what the command line says; returns the exit code."""
    count, *run = sys.argv[1:] or ["--print"]
    with open_cluster() as cluster:
        if count == "--print":
            print(cluster.job_script())
            return 0
        cluster.scale(jobs=int(count))
        command = ["gitbatch", "run", "--cluster", cluster.scheduler_address, *run]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
