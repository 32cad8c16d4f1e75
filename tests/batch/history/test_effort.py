"""Words for what items took: only what is worth a line."""

import pytest

from gitbatch.batch.history.effort import format_effort
from gitbatch.batch.model import BatchItem, ItemStatus, Outcome


@pytest.mark.parametrize(
    ("count", "seconds", "lines"),
    [
        (0, 0.0, ()),
        (0, 0.02, ()),
        (0, 1.5, ("waited 1.5 s",)),
        (2, 0.0, ("server busy 2 times, waited 0.0 s",)),
    ],
)
def test_a_wait_of_a_moment_has_no_line(count: int, seconds: float, lines: tuple[str, ...]) -> None:
    item = BatchItem(output="out/a.md", slug="1-a", name="a", title="A")
    outcome = Outcome(item, ItemStatus.SUCCEEDED, waits=count, waited=seconds)
    assert format_effort(outcome) == lines
