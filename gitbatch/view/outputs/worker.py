"""The output of `gitbatch worker --check --json`."""

from gitbatch.batch.worker.machine_check import WorkerReport
from gitbatch.errors import ErrorKind
from gitbatch.view.envelope import Envelope, make_report


class WorkerOutput(Envelope, frozen=True):
    """What this machine has for the agents of runs on other machines."""

    worker: WorkerReport


def worker_output(report: WorkerReport) -> WorkerOutput:
    """Returns the output of a check; where something is missing, the error is the first that is."""
    missing = next((check for check in report.checks if not check.found), None)
    if missing is None:
        return WorkerOutput(report)
    error = make_report(ErrorKind.FAILED, f"{missing.name}: {missing.problem}", missing.advice)
    return WorkerOutput(report, ok=False, error=error)
