"""The log of one item, read while it is written."""

from pathlib import Path

from gitbatch.agents.protocol import OutputStream
from gitbatch.batch.event_log import open_log
from gitbatch.batch.events import (
    AttemptFailed,
    CheckFinished,
    Event,
    ItemFinished,
    ItemProgress,
    ItemStarted,
    ItemWaiting,
    Notice,
    encode_event,
)
from gitbatch.batch.history.item_log import (
    LogFile,
    LogKind,
    follow_item_log,
    list_last_errors,
    read_item_log,
    select_attempt,
)
from gitbatch.batch.model import BatchItem, ItemStatus, Outcome
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.text import CleanText

BATCH = "20261127-120000-0000"
ITEM = BatchItem("out/a.md", "T1", "Write", "1-t1", 1)


def started(attempt: int, item: BatchItem = ITEM) -> Event:
    return ItemStarted(
        batch=BATCH,
        slug=item.key,
        group=1,
        item=item.output,
        name=item.name,
        agent="told",
        attempt=attempt,
        context=(),
    )


def line(text: str, stream: OutputStream = OutputStream.OUTPUT, item: BatchItem = ITEM) -> Event:
    return ItemProgress(
        batch=BATCH, slug=item.key, group=1, item=item.output, stream=stream, line=CleanText(text)
    )


def ended(reason: str = "") -> Event:
    status = ItemStatus.FAILED if reason else ItemStatus.SUCCEEDED
    return ItemFinished(batch=BATCH, outcome=Outcome(ITEM, status, reason=CleanText(reason), seconds=2.0))


def write(folder: Path, *events: Event, end: str = "") -> None:
    with open_log(folder, BATCH) as log:
        log.write("".join(f"{encode_event(event)}\n" for event in events) + end)


def test_every_kind_of_line(tmp_path: Path) -> None:
    other = BatchItem("out/b.md", "T2", "Write", "1-t2", 1)
    red = CheckResult("lint", CheckVerdict.RED, 0.5, CleanText("bad"))
    failed = Outcome(ITEM, ItemStatus.FAILED, reason=CleanText("it broke"))
    waiting = ItemWaiting(
        batch=BATCH,
        slug=ITEM.key,
        group=1,
        item=ITEM.output,
        name="T1",
        reason=CleanText("busy"),
        usage=Usage(),
    )
    checked = CheckFinished(batch=BATCH, slug=ITEM.key, group=1, item=ITEM.output, name="T1", result=red)
    write(tmp_path, Notice(batch=BATCH, text="T1"), started(1), line("\x1b[31mred\n"), waiting)
    write(tmp_path, started(1), line("not mine", item=other), line('"slug":"1-t2"'), checked)
    write(
        tmp_path,
        AttemptFailed(batch=BATCH, outcome=failed, left=1),
        started(2, other),
        started(2),
        ended("no"),
    )
    shown = [(each.attempt, each.kind, each.text) for each in read_item_log(tmp_path, BATCH, ITEM.key)]
    assert shown == [
        (1, LogKind.START, "attempt 1 starts (agent told)"),
        (1, LogKind.LINE, "red"),
        (1, LogKind.WAIT, "waits: busy"),
        (1, LogKind.START, "attempt 1 starts (agent told)"),
        (1, LogKind.LINE, '"slug":"1-t2"'),
        (1, LogKind.CHECK, "check lint failed (0.5 s): bad"),
        (1, LogKind.AGAIN, "attempt 1 failed: it broke"),
        (2, LogKind.START, "attempt 2 starts (agent told)"),
        (2, LogKind.END, "failed after 2.0 s: no"),
    ]


def test_follows_until_the_result(tmp_path: Path) -> None:
    """Half a line is read when it is whole, and lines that are no events are passed over."""
    whole = encode_event(line("second")) + "\n"
    to_come = [
        lambda: write(tmp_path, started(1), line("first"), end=whole[:30]),
        lambda: write(tmp_path, end=whole[30:]),
        lambda: write(tmp_path, end='{"event":"item-started","slug":"1-t1","attempt":"x"}\n'),
        lambda: write(tmp_path, ended()),
    ]

    def wait() -> None:
        to_come.pop(0)()

    found = follow_item_log(tmp_path, BATCH, ITEM.key, lambda: True, wait)
    assert [each.text for each in found][1:] == ["first", "second", "succeeded after 2.0 s"]
    assert to_come == []


def test_follows_until_the_batch_no_longer_runs(tmp_path: Path) -> None:
    """What was written before its end is read."""
    running = [True, False]

    def is_running() -> bool:
        if len(running) == 1:
            write(tmp_path, started(1))
        return running.pop(0)

    found = follow_item_log(tmp_path, BATCH, ITEM.key, is_running, lambda: None)
    assert [each.kind for each in found] == [LogKind.START]


def test_last_start_of_a_log(tmp_path: Path) -> None:
    log = LogFile(tmp_path, BATCH)
    assert not log.skip_to_last(b"item-started")
    write(tmp_path, line("a"), started(1), line('"event":"item-started"'), started(2), line("b"))
    assert log.skip_to_last(b"item-started")
    assert [b'"attempt":2' in each for each in log.read_lines()] == [True, False]
    assert tuple(log.read_lines()) == ()
    assert not log.skip_to_last(b"gate-started")
    assert len(tuple(log.read_lines())) == 5


def test_parts_of_a_log(tmp_path: Path) -> None:
    error = OutputStream.ERROR
    write(tmp_path, started(1), line("a", error), started(2), line("b", error), line("c", error), line("d"))
    every = read_item_log(tmp_path, BATCH, ItemKey("1-t1"))
    assert [each.text for each in select_attempt(every, 1)][1:] == ["a"]
    assert list_last_errors(select_attempt(every, None), 5) == ("b", "c")
    assert list_last_errors(every, 1) == ("c",)
    assert select_attempt((), None) == ()
