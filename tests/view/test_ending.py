"""The end of a run, as text."""

from msgspec.structs import replace
from view.events import LOST

from gitbatch.batch.events import BatchFinished
from gitbatch.limits.usage import Spent, Usage
from gitbatch.view.block import StyledLine, plain_text
from gitbatch.view.ending import list_next_steps, render_end

FIRST = replace(LOST, rescued="refs/gitbatch/b/rescue/1-t1-1")
SECOND = replace(LOST, name="T2")
LATER = replace(LOST, name="T3", commit="2" * 40)


def test_commands_for_failures() -> None:
    assert list(list_next_steps((FIRST, SECOND, LATER), " -C /r")) == [
        "look:  git -C /r show 1111111111   (T1, T2)",
        "look:  git -C /r show 2222222222   (T3)",
        "kept:  gitbatch rescue -C /r   (what failed agents had written)",
        "again: gitbatch run -C /r --items failed",
    ]
    assert list(list_next_steps((SECOND,), ""))[1:] == ["again: gitbatch run --items failed"]
    assert list(list_next_steps((), "")) == []


def test_time_and_usage() -> None:
    spent = Spent(Usage(input=10, output=5, requests=1))
    took, total = render_end(BatchFinished(batch="b", succeeded=1, failed=0, seconds=61, spent=spent))
    assert isinstance(took, StyledLine)
    assert isinstance(total, StyledLine)
    assert plain_text(took.parts) == "took      1 min 1 s"
    assert plain_text(total.parts).startswith("total     15 tokens in 1 request")
