"""Items found again in an edited plan: by path, then by the group's title, then by its number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from plan.plan_samples import parse

from gitbatch.plan.matching import ItemPlace, match_items
from gitbatch.plan.model import Plan

OLD, NEW = ItemPlace("o/a.md", "Draft", 1), ItemPlace("o/a.md", "Revision", 2)


def plan_of(*groups: tuple[str, str]) -> Plan:
    """Returns a plan of groups with a title and the output of their one item, which may be the same."""
    text = "".join(
        f"### {title}\n- [ ] T{number} a → Output: x/{number}.md\n"
        for number, (title, _) in enumerate(groups, 1)
    )
    plan = parse(f"## Work Packages\n{text}")
    written = (
        replace(group, items=tuple(replace(item, output=output) for item in group.items))
        for group, (_, output) in zip(plan.groups, groups, strict=True)
    )
    return replace(plan, groups=tuple(written))


def numbers(places: dict[str, ItemPlace], *groups: tuple[str, str]) -> dict[str, int]:
    """Returns the number of the group in which each place is found."""
    return {key: group.number for key, (group, _) in match_items(places, plan_of(*groups)).items()}


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ((("Draft", "o/a.md"), ("Revision", "o/a.md")), {"old": 1, "new": 2}),
        ((("Revision", "o/a.md"), ("Draft", "o/a.md")), {"old": 2, "new": 1}),  # moved: the title decides
        (
            (("1. draft:", "o/a.md"), ("Review", "o/a.md")),
            {"old": 1, "new": 2},
        ),  # renamed: the number decides
        ((("Revision", "o/a.md"),), {"new": 1}),  # the other one is gone, and its number means nothing
        ((("Else", "o/a.md"),), {"old": 1}),
        ((("x", "o/b.md"), ("y", "o/b.md"), ("z", "o/a.md")), {}),  # neither the title nor the number
        ((("Draft", "o/a.md"), ("Draft", "o/a.md")), {"old": 1, "new": 2}),
        ((), {}),
    ],
)
def test_two_items_of_one_file(groups: tuple[tuple[str, str], ...], found: dict[str, int]) -> None:
    assert numbers({"old": OLD, "new": NEW}, *groups) == found


def test_the_only_item_of_a_file_is_found_wherever_it_is() -> None:
    groups = ("x", "o/b.md"), ("y", "o/b.md"), ("z", "o/a.md")
    assert numbers({"old": OLD}, *groups) == {"old": 3}
    assert numbers({"old": OLD}, *groups, ("w", "o/a.md")) == {}, "several are left"


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=5),
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(1, 5)), max_size=5),
)
def test_no_item_is_found_twice(groups: list[tuple[str, str]], places: list[tuple[str, str, int]]) -> None:
    plan = plan_of(*groups)
    wanted = {key: ItemPlace(output, title, number) for key, (title, output, number) in enumerate(places)}
    found = match_items(wanted, plan)
    assert all(item.output == wanted[key].output for key, (_, item) in found.items())
    references = [item.reference for _, item in found.values()]
    assert len(set(references)) == len(references)
