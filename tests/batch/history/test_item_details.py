"""Which item a word names."""

import pytest

from gitbatch.batch.history.item_details import find_item
from gitbatch.batch.history.record import Batch
from gitbatch.batch.model import BatchGroup, BatchItem, Record
from gitbatch.errors import UsageError

FIRST = BatchItem("out/a.md", "T1", "Write a", "1-t1", 1)
AGAIN = BatchItem("out/a.md", "T2", "Revise a", "2-t2", 2)
OTHER = BatchItem("out/b.md", "out/b.md", "Write b", "2-out-b", 2)


def make_batch(number: int, *items: BatchItem) -> Batch:
    groups = tuple(
        BatchGroup(group, "G", tuple(item for item in items if item.group == group)) for group in (1, 2)
    )
    record = Record(
        f"2026112{number}-120000-0000", 0, "refs/heads/main", "", "task.md", "at-end", "told", 1, groups
    )
    return Batch(record, "0" * 40, ended=True)


NEW, OLD = make_batch(7, FIRST, AGAIN), make_batch(6, FIRST, OTHER)


@pytest.mark.parametrize(
    ("wanted", "batch", "item"),
    [
        ("t2", NEW, AGAIN),
        ("2:out/a.md", NEW, AGAIN),
        ("1-t1", NEW, FIRST),
        ("out/b.md", OLD, OTHER),
    ],
)
def test_found(wanted: str, batch: Batch, item: BatchItem) -> None:
    assert find_item((NEW, OLD), wanted) == (batch, item)


@pytest.mark.parametrize(
    ("wanted", "message", "advice"),
    [
        ("out/a.md", "out/a.md is the output of 2 items", "name one: 1:out/a.md, 2:out/a.md"),
        ("T\x1b[2J11", "T11 is not an item of a batch", "items of batch 20261127-120000-0000: T1, T2"),
        ("T1x", "T1x is not an item of a batch", "did you mean T1?"),
    ],
)
def test_not_found(wanted: str, message: str, advice: str) -> None:
    with pytest.raises(UsageError) as raised:
        find_item((NEW, OLD), wanted)
    assert (raised.value.message, raised.value.advice) == (message, advice)
