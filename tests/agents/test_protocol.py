"""The values that agents are given and give back."""

from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import msgspec
import pytest

from gitbatch.agents.protocol import Assignment, Contribution, EarlierOutput, Failure, LocalPlace, Reply
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.project.context import ContextFile, ContextReason
from gitbatch.text import clean_text

ASSIGNMENT = Assignment(
    item=ItemKey("out/a.md"),
    output="out/a.md",
    prompt="Write it.\n",
    context=(
        ContextFile("rules.md", "1" * 40, ContextReason.RULES),
        ContextFile("b.short.md", "2" * 40, ContextReason.DECLARED, condensed_from="b.md", filter="lfs"),
    ),
    timeout=1.5,
    attempt=2,
    previous=Failure(clean_text("it failed"), (clean_text("a line"),), Cause.TIMEOUT, 3.0, is_guess=True),
    earlier=EarlierOutput("3" * 40, may_stay=False),
    used=Usage(input=1, output=2, cost=0.5),
    group="Group: G",
    task="> - [ ] Write it",
)
REPLY = Reply(
    clean_text("Done."), (clean_text("a decision"),), (Contribution(clean_text("a.md"), clean_text("b")),)
)


@pytest.mark.parametrize("value", [ASSIGNMENT, REPLY, ASSIGNMENT.previous], ids=["given", "reply", "failure"])
@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack], ids=["json", "msgpack"])
def test_values_survive_encoding(codec: ModuleType, value: Assignment | Reply | Failure) -> None:
    assert codec.decode(codec.encode(value), type=type(value)) == value


def test_an_assignment_names_no_folder() -> None:
    assert not set(Assignment.__struct_fields__) & set(LocalPlace.__struct_fields__)
    assert Path not in get_type_hints(Assignment).values()
