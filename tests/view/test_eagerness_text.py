"""The sentence about early start in the header of a run."""

from io import StringIO

import pytest

from gitbatch.batch.events import BatchPaused, EarlyWork
from gitbatch.limits.usage import Spent, Usage
from gitbatch.view.eagerness import describe_eagerness, describe_early_work
from gitbatch.view.page import PlainPage
from gitbatch.view.plain import PlainView

PAID = Spent(Usage(requests=3, cost=0.4), known=3)
_PAID = "an item of a later group whose input changes runs again, and is paid twice"


@pytest.mark.parametrize(
    ("mode", "reason", "groups", "said"),
    [
        ("on", "asked", 2, f"early start on: {_PAID}"),
        ("on", "checkpoint-mode", 2, f"early start on up to the next pause: {_PAID}"),
        ("while-paused", "asked", 2, f"early start on: {_PAID}"),
        ("on", "asked", 1, ""),
        ("off", "asked", 2, ""),
        ("off", "", 2, ""),
        ("off", "checkpoint-mode", 2, ""),
        ("off", "nothing-can-start", 2, ""),
        (
            *("off", "asked-nothing-can-start", 2),
            "early start off: no item that is left can start before its group (gitbatch plan says why)",
        ),
        (
            *("off", "max-cost", 2),
            "early start off: there is a cost limit, and early items may be paid twice (--eager on starts them)",
        ),
        (
            *("off", "require-approval", 2),
            "early start off: review.require-approval: every group waits for the decisions about the one before",
        ),
    ],
)
def test_the_header_says_what_early_start_may_cost(mode: str, reason: str, groups: int, said: str) -> None:
    assert describe_eagerness(mode, reason, groups) == said


@pytest.mark.parametrize(
    ("early", "said"),
    [
        (EarlyWork(), ""),
        (EarlyWork(1), "1 item of later groups: 1 done"),
        (EarlyWork(0, 2), "2 items of later groups: 2 running"),
        (EarlyWork(2, 1, PAID), "3 items of later groups: 2 done, 1 running ($0.4000)"),
    ],
)
def test_a_pause_says_what_is_done_of_later_groups(early: EarlyWork, said: str) -> None:
    assert describe_early_work(early) == said
    stream = StringIO()
    PlainView(PlainPage(stream))(BatchPaused(batch="b", next_group="Words", early=early))
    assert stream.getvalue().splitlines()[0] == f"paused  next: Words{'; ' * bool(said)}{said}"
