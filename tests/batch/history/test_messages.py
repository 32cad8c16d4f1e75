"""Messages of commits: what is worth a line."""

import pytest

from gitbatch.batch.history.messages import render_checkpoint_message
from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.batch.model import BatchGroup, BatchItem, ItemStatus, Outcome, Record
from gitbatch.batch.verdicts import GateState, GateVerdict
from gitbatch.text import clean_text


def checkpoint_message(*gates: GateVerdict) -> str:
    item = BatchItem(output="out/a.md", slug="1-a", name="a", title="A", group=1)
    group = BatchGroup(1, "G", (item,))
    record = Record("20260102-030405-abcd", 0, "refs/heads/main", "", "task.md", "at-end", "a", 1, (group,))
    done = (Outcome(item, ItemStatus.SUCCEEDED),)
    return render_checkpoint_message(record, group, done, (), (), gates)


def test_a_checkpoint_states_the_verdicts_of_its_gates() -> None:
    note = clean_text("Gitbatch-Gate: fake pass " + "3" * 40)
    gates = (
        GateVerdict("tests", GateState.PASSED, "2" * 40, seconds=1.5, runs=3),
        GateVerdict("links", GateState.RED_BEFORE, "2" * 40, note=note),
        GateVerdict("style", GateState.SKIPPED, "2" * 40),
    )
    message = checkpoint_message(*gates)
    assert (
        "\ngate       tests: pass (3 runs, 1.5 s)\ngate       links: red before this group already\n"
        in message
    )
    trailers = parse_trailers(message)
    assert trailers.kind is Kind.CHECKPOINT
    assert [(gate.name, gate.state, gate.tree) for gate in trailers.gates] == [
        (gate.name, gate.state, gate.tree) for gate in gates
    ]


@pytest.mark.parametrize(
    "value", ["tests pass", "tests green " + "2" * 40, "tests pass 22", " pass " + "2" * 40]
)
def test_a_verdict_that_cannot_be_read_makes_a_commit_invalid(value: str) -> None:
    message = checkpoint_message(GateVerdict("tests", GateState.PASSED, "2" * 40))
    broken = message.replace("tests pass " + "2" * 40, value)
    assert broken != message
    assert parse_trailers(broken).kind is None
