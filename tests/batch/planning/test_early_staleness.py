"""Judging an early item in its group's turn. Pure."""

import pytest
from msgspec.structs import replace
from plan.plan_samples import parse

from gitbatch.batch.planning.early.staleness import (
    ChangedFile,
    EarlyReading,
    Staleness,
    digest_plan_item,
    judge_reading,
)

READING = EarlyReading((("status.md", "s1"), ("a.md", "a1"), ("b.md", "b1")), "digest", ("c1", "c2"))
NOW = {"status.md": "s2", "a.md": "a1", "b.md": "b1"}
IGNORED, MERGED = frozenset({"status.md"}), frozenset({"c1", "c2", "c3"})


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        (NOW, ()),
        (dict(reversed(NOW.items())), ()),
        (NOW | {"b.md": "b2"}, (ChangedFile("b.md", "b1", "b2"),)),
        ({"a.md": "a1"}, (ChangedFile("b.md", "b1", None),)),
        (NOW | {"c.md": "c1"}, (ChangedFile("c.md", None, "c1"),)),
        (
            {"a.condensed.md": "x", "b.md": "b1"},
            (ChangedFile("a.md", "a1", None), ChangedFile("a.condensed.md", None, "x")),
        ),
    ],
)
def test_files_are_compared_by_their_blobs(given: dict[str, str], changed: tuple[ChangedFile, ...]) -> None:
    found = judge_reading(READING, given.items(), "digest", IGNORED, MERGED)
    assert found == Staleness(changed)
    assert bool(found) is bool(changed)


def test_a_changed_plan_and_commits_that_are_not_merged() -> None:
    found = judge_reading(READING, NOW.items(), "other", IGNORED, frozenset({"c2"}))
    assert found == Staleness((), is_plan_changed=True, unmerged=("c1",))
    assert judge_reading(READING, NOW.items(), "other", IGNORED, MERGED)
    assert judge_reading(READING, NOW.items(), "digest", IGNORED, frozenset())


def test_the_digest_is_of_what_the_agent_is_given() -> None:
    text = "## Work Packages\n### G\nProse.\n\n- [ ] T1 Write a\n- [ ] T2 Write b\n"
    group = parse(text).groups[0]
    digest = digest_plan_item(group.items[0], group)
    moved = parse(f"# Plan\n\n{text}".replace("T2 Write b", "T2 Write something else")).groups[0]
    assert digest_plan_item(moved.items[0], moved) == digest
    others = (
        (replace(group.items[0], text="- [ ] T1 Write c"), group),
        (replace(group.items[0], output="c.md"), group),
        (group.items[0], replace(group, prose="More prose.")),
        (group.items[1], group),
    )
    assert len({digest, *(digest_plan_item(*each) for each in others)}) == 1 + len(others)
