"""What a machine has for a worker, as text."""

from collections.abc import Iterator

from gitbatch.batch.worker.machine_check import WorkerReport
from gitbatch.text import clean_text, format_count


def render_worker_report(report: WorkerReport) -> Iterator[str]:
    """Yields the lines about a worker's machine."""
    yield f"worker {clean_text(report.host)}: gitbatch {report.version}, protocol {report.protocol}"
    yield f"  folder     {clean_text(report.folder, 2000)} ({format_count(report.spooled, 'result')} waiting)"
    for check in report.checks:
        yield f"  {check.name:<9}  {check.found or f'missing: {check.problem}'}"
        more = (*check.details.splitlines(), check.advice)
        yield from (f"             {clean_text(line, 2000)}" for line in more if line)
    yield f"  agents     {', '.join(report.programs) or 'none of the known programs is on PATH'}"
    yield f"  keys       {', '.join(report.keys) or 'no variable for a key of theirs is set'}"
