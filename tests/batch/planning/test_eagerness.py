"""Whether a run starts items before their group (rule F2): what was asked for, the checkpoint mode, the limits."""

import pytest

from gitbatch.batch.model import CheckpointMode
from gitbatch.batch.planning.early.eagerness import (
    EagerMode,
    Eagerness,
    EagerReason,
    choose_eagerness,
    give_up_early,
    read_setting,
)

_ON, _OFF = EagerMode.ON, EagerMode.OFF


@pytest.mark.rule("F2")
@pytest.mark.parametrize(
    ("asked", "checkpoint", "limits", "chosen"),
    [
        (None, "after-each", "", Eagerness(_OFF, EagerReason.CHECKPOINT_MODE, True)),
        (None, "after-batch:1", "", Eagerness(_OFF, EagerReason.CHECKPOINT_MODE, True)),
        (None, "after-batch:2", "", Eagerness(_ON, EagerReason.CHECKPOINT_MODE, True)),
        (None, "at-end", "", Eagerness(_ON, EagerReason.CHECKPOINT_MODE, True)),
        (None, "at-end", "cost", Eagerness(_OFF, EagerReason.MAX_COST)),
        (None, "after-each", "cost approval", Eagerness(_OFF, EagerReason.CHECKPOINT_MODE, True)),
        (_OFF, "after-each", "approval", Eagerness(_OFF, EagerReason.ASKED, True)),
        (_ON, "at-end", "cost", Eagerness(_ON)),
        (_ON, "after-each", "", Eagerness(_ON)),
        (EagerMode.WHILE_PAUSED, "after-each", "", Eagerness(EagerMode.WHILE_PAUSED)),
        (_OFF, "at-end", "", Eagerness(_OFF)),
        (_ON, "after-each", "approval", Eagerness(_OFF, EagerReason.REQUIRE_APPROVAL)),
        (_ON, "after-batch:2", "approval", Eagerness(_ON, EagerReason.ASKED, True)),
        (None, "at-end", "approval", Eagerness(_ON, EagerReason.CHECKPOINT_MODE, True)),
    ],
)
def test_the_mode_follows_what_was_asked_for_and_the_checkpoint_mode(
    asked: EagerMode | None, checkpoint: str, limits: str, chosen: Eagerness
) -> None:
    mode = CheckpointMode.parse(checkpoint)
    made = choose_eagerness(asked, mode, has_max_cost="cost" in limits, needs_approval="approval" in limits)
    assert made == chosen
    assert made.is_on == (made.mode is not _OFF)


@pytest.mark.parametrize(
    ("setting", "mode"), [("auto", None), ("off", _OFF), ("while-paused", EagerMode.WHILE_PAUSED)]
)
def test_the_setting_names_a_mode(setting: str, mode: EagerMode | None) -> None:
    assert read_setting(setting) is mode


def test_a_run_says_whether_it_was_asked_for_what_it_cannot_do() -> None:
    assert give_up_early(Eagerness(EagerMode.WHILE_PAUSED)) == Eagerness(_OFF, EagerReason.ASKED_FOR_NOTHING)
    by_default = Eagerness(_ON, EagerReason.CHECKPOINT_MODE, stops_at_pauses=True)
    assert give_up_early(by_default) == Eagerness(_OFF, EagerReason.NOTHING)
