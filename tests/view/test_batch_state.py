"""A batch at rest, as text."""

import pytest
from msgspec.structs import replace

from gitbatch.batch.history.activity import BatchPause
from gitbatch.batch.model import CriterionState, ItemStatus
from gitbatch.batch.verdicts import GateState
from gitbatch.limits.usage import Spent, Usage
from gitbatch.plan.model import ItemKey
from gitbatch.view.batch_state import (
    OPEN,
    BatchState,
    ItemState,
    RecordedGate,
    RunningProcess,
    find_next_step,
    render_batch,
)
from gitbatch.view.block import StyledLine, TextTable, plain_text

DONE = ItemState("out/a.md", "T1", 1, ItemKey("1-t1"), ItemStatus.SUCCEEDED)
LEFT = ItemState("out/b.md", "T2", 2, ItemKey("2-t2"), OPEN)
STATE = BatchState(
    "b", "unfinished", "refs/heads/main", "at-end", "writer", 2, 1, (DONE, LEFT), (), plan="task.md"
)


def head_and_rows(state: BatchState) -> tuple[str, list[list[str]]]:
    head, chosen, table, *_ = render_batch(state, 0.0)
    assert isinstance(chosen, StyledLine)
    assert plain_text(chosen.parts) == "  plan task.md, checkpoint at-end, agent writer"
    assert isinstance(head, StyledLine)
    assert isinstance(table, TextTable)
    return plain_text(head.parts), [[plain_text(cell) for cell in row] for row in table.rows]


def test_batch() -> None:
    head, rows = head_and_rows(STATE)
    assert head == "batch b (unfinished) on main: 1 of 2 groups, 1 of 2 items"
    assert rows == [["1", "succeeded", "T1", "out/a.md"], ["2", "open", "T2", "out/b.md"]]


def test_gates() -> None:
    _, rows = head_and_rows(replace(STATE, gates=(RecordedGate(1, "tests", GateState.PASSED, "2" * 40),)))
    assert rows[2:] == [["1", "pass", "tests", "gate"]]


def test_attempts_and_usage() -> None:
    spent = Spent(Usage(input=10, output=5))
    _, rows = head_and_rows(replace(STATE, items=(replace(DONE, attempts=2, spent=spent, seconds=1.5),)))
    assert rows[0][3].startswith("out/a.md  (2 attempts, 1.5 s, ")


def test_kept_output_is_named() -> None:
    rescued = replace(LEFT, status=ItemStatus.FAILED, reason="it broke", rescued="refs/gitbatch/b/rescue/x")
    _, rows = head_and_rows(replace(STATE, items=(rescued,)))
    assert rows[0][1] == "failed"
    assert rows[0][3].startswith("it broke")
    assert rows[0][3].endswith("\nkept: gitbatch rescue take T2")


def test_seconds_of_a_running_item_and_why_it_runs_again() -> None:
    running = replace(LEFT, status="running", since=60.0, attempts=1, reason="it broke", last_line="reading")
    _, _, table, *_ = render_batch(replace(STATE, items=(running,)), 132.0)
    assert isinstance(table, TextTable)
    assert plain_text(table.rows[0][3]) == "1 min 12 s, attempt 2 (it broke): reading"


def test_the_process_that_runs() -> None:
    process = RunningProcess(17, "ada", "host", 0.0)
    _, _, line, *_ = render_batch(replace(STATE, process=process), 7200.0)
    assert isinstance(line, StyledLine)
    assert plain_text(line.parts).endswith("(2 h) by process 17 of ada on host")


@pytest.mark.parametrize(
    ("pause", "until", "shown"),
    [
        (BatchPause.REVIEW, None, "it waits for a review in its terminal"),
        (BatchPause.SERVER, 7260.0, "it waits for a server, 1 min more"),
        (BatchPause.SERVER, 7000.0, ""),
    ],
)
def test_what_the_batch_waits_for(pause: BatchPause, until: float | None, shown: str) -> None:
    process = RunningProcess(17, "ada", "host", 0.0, pause, until)
    _, _, line, *_ = render_batch(replace(STATE, process=process), 7200.0)
    assert isinstance(line, StyledLine)
    assert plain_text(line.parts).partition("\n")[2].strip() == shown


FAILED = replace(LEFT, status=ItemStatus.FAILED)
TICKED = CriterionState(1, "a page", done=True, items=(), open_items=0)


@pytest.mark.parametrize(
    ("items", "criteria", "step"),
    [
        ((DONE,), (), ""),
        ((DONE, replace(LEFT, status=ItemStatus.REJECTED)), (), ""),
        ((DONE, FAILED, LEFT), (), "again: gitbatch run --items failed"),
        ((DONE, LEFT), (), "rest:  gitbatch run --items open"),
        ((DONE, LEFT), (replace(TICKED, done=False), TICKED), "rest:  gitbatch run --items open"),
        (
            (DONE, LEFT),
            (TICKED,),
            "1 open item does not run: every criterion is ticked; untick one to reopen",
        ),
    ],
)
def test_step_after_a_batch(
    items: tuple[ItemState, ...], criteria: tuple[CriterionState, ...], step: str
) -> None:
    """No command that would refuse: `--items failed` names nothing where no item failed (rule O6)."""
    assert find_next_step(replace(STATE, state="ended", items=items, criteria=criteria)) == step
