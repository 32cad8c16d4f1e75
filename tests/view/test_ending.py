"""The end of a run, as text."""

from msgspec.structs import replace
from view.events import LOST

from gitbatch.batch.events import BatchFinished, CheckTime
from gitbatch.batch.model import BatchItem, FailedAttempt, ItemStatus, Outcome
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Spent, Usage
from gitbatch.text import clean_text
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


def test_checks_that_are_slower_than_their_agents_are_named() -> None:
    item = BatchItem("out/a.md", "T1", "Write a", "1-t1", 1)
    fast, slow = (CheckResult(name, CheckVerdict.PASS, seconds) for name, seconds in (("a", 1.0), ("b", 4.0)))
    tried = FailedAttempt(
        item.key, "", 1, ItemStatus.FAILED, Cause.CHECK_FAILED, clean_text(""), checks=(fast,)
    )
    done = Outcome(item, ItemStatus.SUCCEEDED, seconds=3.0, checks=(fast, slow), earlier=(tried,))
    plain = Outcome(item, ItemStatus.SUCCEEDED, seconds=60.0)
    time = CheckTime().add_outcome(plain).add_outcome(done)
    assert time == CheckTime(3.0, 5.0)
    (took,) = render_end(BatchFinished(batch="b", succeeded=2, failed=0, seconds=61, check_time=time))
    assert isinstance(took, StyledLine)
    assert plain_text(took.parts) == (
        "took      1 min 1 s; checks took 62% of the time of the items that they judged"
    )
    (took,) = render_end(
        BatchFinished(batch="b", succeeded=2, failed=0, seconds=61, check_time=CheckTime(5.0, 3.0))
    )
    assert isinstance(took, StyledLine)
    assert plain_text(took.parts) == "took      1 min 1 s"
