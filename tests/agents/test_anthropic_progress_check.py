"""How long the Claude agent may continue without progress: pure values."""

from typing import Any

import pytest

from gitbatch.agents.anthropic.blocks import NOT_AN_OBJECT, NOT_FINISHED, NOT_RUN
from gitbatch.agents.anthropic.progress_check import IDLE_TURNS, ProgressCheck
from gitbatch.agents.anthropic.tools import ToolResult

Call = tuple[dict[str, Any], ToolResult]


def done(name: str, **arguments: object) -> Call:
    return {"name": name, "input": arguments}, ToolResult("text")


def failed(name: str, text: str = "bad\nmore", **arguments: object) -> Call:
    return {"name": name, "input": arguments}, ToolResult(text, is_error=True)


def note_turns(check: ProgressCheck, *turns: tuple[Call, ...]) -> list[str]:
    return [check.note_turn(calls, "it talks") for calls in turns]


def test_ten_turns_in_a_row_without_progress_end_an_attempt() -> None:
    assert IDLE_TURNS == 10
    turns = [(failed("edit_output", old=str(number)),) for number in range(10)]
    assert note_turns(ProgressCheck(), *turns) == [
        *[""] * 9,
        "10 answers in a row without progress: edit_output: bad",
    ]
    assert note_turns(ProgressCheck(), *[()] * 10)[-1] == "10 answers in a row without progress: it talks"


def test_a_call_makes_progress_when_it_succeeds_for_the_first_time() -> None:
    check = ProgressCheck()
    again = (done("read_file", path="a"),)
    assert note_turns(check, again, *[again] * 9) == [""] * 10
    assert check.idle == 9
    note_turns(check, (failed("edit_output", old="x"), done("read_file", path="b")))
    assert check.idle == 0
    note_turns(check, (failed("read_file", path="c"),))
    assert check.idle == 1
    note_turns(check, (done("read_file", path="c"),))
    assert check.idle == 0
    assert note_turns(check, *[again] * 10)[-1] == "10 answers in a row without progress: it talks"


def test_the_third_failure_of_the_same_call_ends_an_attempt() -> None:
    turns = [(failed("edit_output", old="x", new="y"), done("read_file", path=str(n))) for n in range(3)]
    turns[1] = (failed("edit_output", new="y", old="x"), *turns[1][1:])
    said = note_turns(ProgressCheck(), *turns)
    assert said == ["", "", "the same call failed 3 times: edit_output: bad"]


@pytest.mark.parametrize("text", [NOT_RUN, NOT_AN_OBJECT, NOT_FINISHED])
def test_a_call_that_was_not_made_is_no_repeated_failure(text: str) -> None:
    said = note_turns(
        ProgressCheck(), *[(failed("finish", text), failed("search", f"e{n}", n=n)) for n in range(9)]
    )
    assert said == [""] * 9


def test_an_answer_that_is_too_large_is_refused_three_times() -> None:
    check = ProgressCheck()
    assert [check.note_too_large() for _ in range(2)] == ["", ""]
    assert "max-output-tokens" in check.note_too_large()
