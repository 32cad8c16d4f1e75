"""Judging an early item in its group's turn. Pure."""

import pytest

from gitbatch.batch.planning.early.staleness import (
    ChangedFile,
    EarlyReading,
    Staleness,
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
