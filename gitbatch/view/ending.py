"""The end of a run: what failed and why, what it took, and the commands that come next."""

from collections.abc import Iterator

from gitbatch.batch.events import EndEvent
from gitbatch.batch.history.effort import format_usage
from gitbatch.batch.model import FailedItem
from gitbatch.limits.usage import Usage
from gitbatch.text import format_seconds
from gitbatch.view.block import Block, TextTable, make_line
from gitbatch.view.review import STYLES


def render_end(event: EndEvent) -> Block:
    """Returns the failures of a batch by id and reason, then the time of this run and the usage of the batch."""
    rows = tuple((((f.status, STYLES[f.status]),), (f.name,), (f.reason,)) for f in event.failures)
    table = (TextTable(rows, is_cut=True),) if rows else ()  # the checkpoints had the reasons in full
    took = make_line(("took", "bold"), f"      {format_seconds(event.seconds)}{_describe_checks(event)}")
    if event.spent.usage == Usage():
        return (*table, took)
    return (*table, took, make_line(("total", "bold"), f"     {format_usage(event.spent)}"))


def _describe_checks(event: EndEvent) -> str:
    """Returns that the checks took longer than the agents whose outputs they judged; empty if they did not."""
    time = event.check_time
    if time.checks <= time.agents:
        return ""
    share = time.checks / (time.agents + time.checks)
    return f"; checks took {share:.0%} of the time of the items that they judged"


def list_next_steps(failures: tuple[FailedItem, ...], folder_option: str, plan: str = "") -> Iterator[str]:
    """Yields the commands for the failures of a batch that has ended.

    A checkpoint's commit has what the agents said, for all failures of its group.

    Args:
        failures: of the batch.
        folder_option: the option `-C` with a space before it.
        plan: the argument that names the plan, with a space before it; empty if none is needed.
    """
    for commit in dict.fromkeys(failure.commit for failure in failures):
        named = ", ".join(failure.name for failure in failures if failure.commit == commit)
        yield f"look:  git{folder_option} show {commit[:10]}   ({named})"
    if any(failure.rescued for failure in failures):
        yield f"kept:  gitbatch rescue{folder_option}   (what failed agents had written)"
    if failures:
        yield f"again: gitbatch run{folder_option}{plan} --items failed"
