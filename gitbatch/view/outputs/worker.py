"""The output of `gitbatch worker --check --json`."""

from gitbatch.batch.worker.check import WorkerReport
from gitbatch.view.envelope import Envelope


class WorkerOutput(Envelope, frozen=True):
    """What this machine has for the agents of runs on other machines."""

    worker: WorkerReport
