"""Which items are stale, and which have read what is taken back: derived from what their commits say that they read."""

from collections.abc import Mapping

import pytest

from gitbatch.batch.history.reads import (
    RecordedItem,
    RecordedVersion,
    StaleInput,
    find_dependants,
    find_stale,
    list_changed,
)
from gitbatch.batch.model import BatchItem


def version(
    blob: str, before: str | None = None, read: Mapping[str, str] | None = None, lacked: tuple[str, ...] = ()
) -> RecordedVersion:
    return RecordedVersion("c", blob, before, read or {}, lacked)


def item(
    name: str, group: int, *versions: RecordedVersion, output: str = "", final: bool = True
) -> RecordedItem:
    made = BatchItem(output or f"{name}.md", name, name, f"{group}-{name}", group)
    return RecordedItem(made, versions, final)


A = item("a", 1, version("a1"))
"""Writes a.md."""
B = item("b", 2, version("b1", read={"a.md": "a1", "status.md": "s1"}))
"""Reads a.md."""
NEXT = item("n", 3, version("a2", before="a1", read={"a.md": "a1"}), output="a.md")
"""Writes a.md again, in a later group."""


@pytest.mark.parametrize(
    ("items", "there", "expected"),
    [
        ((A, B), {"a.md": "a1"}, {}),
        ((A, B), {"a.md": "mine"}, {"b": [("a.md", "a1", "mine")]}),
        ((A, B), {}, {"b": [("a.md", "a1", None)]}),
        ((A, B, NEXT), {"a.md": "a2"}, {}),
        (
            (item("a", 1, version("a1"), version("a9", before="a1")), B, NEXT),
            {"a.md": "a9"},
            {"b": [("a.md", "a1", "a9")], "n": [("a.md", "a1", "a9")]},
        ),
        ((A, item("b", 2, version("b1", read={"a.md": "a1"}), final=False)), {"a.md": "x"}, {}),
        (
            (A, item("b", 2, version("b0", read={"a.md": "a0"}), version("b1", read={"a.md": "a1"}))),
            {"a.md": "a1"},
            {},
        ),
        (
            (item("b", 2, version("b1", lacked=("a.md", "z.md"))),),
            {"a.md": "a1"},
            {"b": [("a.md", None, "a1")]},
        ),
        (
            (A, item("b", 1, version("b1", read={"a.md": "a0"}))),
            {"a.md": "a1"},
            {"b": [("a.md", "a0", "a1")]},
        ),
        (
            (item("a", 1, version("a1", before="a0")), item("b", 1, version("b1", read={"a.md": "a0"}))),
            {"a.md": "a1"},
            {},
        ),
        ((item("r", 1, version("r2", before="r1", read={"r.md": "r1"})),), {"r.md": "r2"}, {}),
    ],
)
def test_what_read_another_version_is_stale(
    items: tuple[RecordedItem, ...],
    there: Mapping[str, str],
    expected: Mapping[str, list[tuple[str, str | None, str | None]]],
) -> None:
    """Not what a later item wrote by plan, nor what the item itself wrote, nor a file that every checkpoint changes."""
    found = find_stale(items, there.get, {"status.md"})
    assert {each.name: list(each.inputs) for each in found} == {
        name: [StaleInput(*each) for each in inputs] for name, inputs in expected.items()
    }


C = item("c", 3, version("c1", read={"b.md": "b1"}))
OTHER = item("o", 2, version("o1", read={"a.md": "a0", "x.md": "x"}))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["1-a"], ["b", "c", "n"]),
        (["2-b"], ["c"]),
        (["3-c"], []),
        (["2-b", "3-c"], []),
        (["1-a", "2-b"], ["c", "n"]),
        (["9-z"], []),
    ],
)
def test_what_read_an_output_depends_on_it(keys: list[str], expected: list[str]) -> None:
    """Transitively, by the blob: what read another version of the path does not."""
    found = find_dependants((A, B, OTHER, C, NEXT), keys)  # type: ignore[arg-type]
    assert [each.name for each in found] == expected


def test_what_is_written_on_top_depends_on_it() -> None:
    on_top = item("n", 3, version("a2", before="a1"), output="a.md")
    assert find_dependants((A, on_top), (A.item.key,)) == (on_top.item,)


def test_files_that_are_new_or_have_changed_are_named() -> None:
    read, given = (("a", "1"), ("b", "1")), (("a", "1"), ("b", "2"), ("c", "1"), ("s", "1"))
    assert list_changed(read, given, ("s",)) == ("b", "c")
    assert list_changed((), given, ()) == ()
