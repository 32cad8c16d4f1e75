"""Comparing long folders by the bytes between what both versions have in common: as comparing all of their entries."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitbatch.batch.history.verify import folders
from gitbatch.batch.history.verify.folders import FolderReader
from gitbatch.repo.objects.codec import REGULAR, TREE, TreeEntry, parse_tree, render_tree
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.process import Git

READER = FolderReader(Objects(Git(Path()), Path()))
NAMES = ["a", "a-", "a.b", "a0", "b", "c", "i1", "i10", "i2", "z"]
OIDS = ["00" * 20, "20" * 20, "2061" + "00" * 18, "61" * 20]
"""Some have the bytes that end a name, or look like one."""
ENTRY = st.builds(TreeEntry, st.sampled_from([REGULAR, TREE]), st.sampled_from(NAMES), st.sampled_from(OIDS))


def join(entries: list[TreeEntry]) -> bytes:
    """The bytes of entries in the given order, whatever git would say of it."""
    return b"".join(render_tree([entry]) for entry in entries)


def is_sound(content: bytes) -> bool:
    entries = list(parse_tree(content, 20))
    return render_tree(entries) == content and len({entry.name for entry in entries}) == len(entries)


@settings(max_examples=400)
@given(
    st.lists(ENTRY, unique_by=lambda entry: entry.name),
    st.lists(ENTRY, max_size=3),
    st.integers(0, 9),
    st.booleans(),
)
def test_the_middle_says_what_all_entries_say(
    before: list[TreeEntry],
    more: list[TreeEntry],
    at: int,
    is_sorted: bool,  # noqa: FBT001 - hypothesis draws it
) -> None:
    old = render_tree(before)
    there = list(parse_tree(old, 20))
    mixed = [*there[:at], *more, *there[at + 1 :]]
    new = render_tree(mixed) if is_sorted else join(mixed)
    found = READER._compare_middle(old, new)
    if not is_sound(new):
        assert found is None
    elif found is not None:
        whole = ({e.name: e for e in parse_tree(each, 20)} for each in (old, new))
        part = (found.before, found.after)
        one, other = ({n: (b.get(n), a.get(n)) for n in {*b, *a}} for b, a in (whole, part))
        assert {n: pair for n, pair in one.items() if pair[0] != pair[1]} == {
            n: pair for n, pair in other.items() if pair[0] != pair[1]
        }


@pytest.mark.parametrize(
    "added", [["i0500x.md"], ["a.md", "z.md"], [f"i05{n:02}y.md" for n in range(16)], []]
)
def test_little_of_a_long_folder_is_parsed(added: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    there = [TreeEntry(REGULAR, f"i{n:04}.md", f"{n:040x}") for n in range(1000)]
    old, new = (
        render_tree(there),
        render_tree([*there, *(TreeEntry(REGULAR, name, "ab" * 20) for name in added)]),
    )
    parsed = 0

    def parse(data: bytes, width: int) -> list[TreeEntry]:
        nonlocal parsed
        found = list(parse_tree(data, width))
        parsed += len(found)
        return found

    monkeypatch.setattr(folders, "parse_tree", parse)
    found = READER._compare_middle(old, new)
    assert found is not None
    assert found.after.keys() - found.before.keys() == set(added)
    assert parsed <= (2100 if added == ["a.md", "z.md"] else 50)
