"""The values that agents are given and give back."""

from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import msgspec
import pytest

from gitbatch.agents.protocol import AgentFolders, Assignment, Contribution, EarlierOutput, Failure, Reply
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.project.context import ContextFile, ContextReason
from gitbatch.sandbox.model import Overlay
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
    instructions="> - [ ] Write it",
)
REPLY = Reply(
    clean_text("Done."), (clean_text("a decision"),), (Contribution(clean_text("a.md"), clean_text("b")),)
)


@pytest.mark.parametrize("value", [ASSIGNMENT, REPLY, ASSIGNMENT.previous], ids=["given", "reply", "failure"])
@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack], ids=["json", "msgpack"])
def test_values_survive_encoding(codec: ModuleType, value: Assignment | Reply | Failure) -> None:
    assert codec.decode(codec.encode(value), type=type(value)) == value


def test_an_assignment_names_no_folder() -> None:
    assert not set(Assignment.__struct_fields__) & set(AgentFolders.__struct_fields__)
    assert Path not in get_type_hints(Assignment).values()


def test_worktree_is_mounted_where_it_hides_nothing_that_a_program_uses(tmp_path: Path) -> None:
    checkout, layer, own = (tmp_path / name for name in ("checkout", "layer", "own"))
    for path in (checkout / ".venv/bin", checkout / "tools", checkout / "links", layer / "tools", own):
        path.mkdir(parents=True)
    (checkout / "links/venv").symlink_to(tmp_path)
    place = AgentFolders(checkout, tmp_path / "io", overlay=Overlay((layer,), own, tmp_path / "work"))
    stays = ((), (Path("/usr/bin"), layer), (checkout / "tools",))
    moves = (
        (checkout / ".venv",),
        (checkout / "tools", checkout / ".venv/bin"),
        (checkout,),
        (checkout / "links/venv",),
    )
    assert [place.show_to(used).worktree for used in stays] == [checkout] * 3
    assert [place.show_to(used).worktree for used in moves] == [own] * 4
    plain = AgentFolders(checkout, tmp_path / "io")
    assert plain.show_to((checkout / ".venv",)) == plain
    assert (place.changed, plain.changed) == (own, checkout)
    assert [place.has_file(path) for path in ("tools", "other")] == [True, False]
