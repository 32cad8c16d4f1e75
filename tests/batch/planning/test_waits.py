"""Who waits for whom in a group. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan.plan_samples import parse

from gitbatch.batch.planning.schedule import plan_steps
from gitbatch.batch.planning.waits import Waits, find_waits

HEAD = "## Work Packages\n"


def waits(text: str) -> dict[str, str]:
    """Returns for each item of the first group the ids of all that it waits for."""
    plan = parse(f"{HEAD}{text}")
    assert not plan.errors
    found = find_waits(plan.groups[0], plan)
    return {
        item.name: "".join(other.name[1:] for other in found.find_all(item)) for item in plan.groups[0].items
    }


def items(*more: str) -> str:
    return "".join(f"- [ ] T{number} a {text}\n" for number, text in enumerate(more, 1))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"### G\n{items('', '→ After: T1', '→ After: T2', '')}", ["", "1", "12", ""]),
        (f"### G\n<!-- sequential -->\n\n{items('', '', '')}", ["", "1", "12"]),
        (f"<!-- sequential -->\n\n### G\n{items('', '')}", ["", "1"]),
        (f"<!-- sequential -->\n\n### G\n<!-- max: 2 -->\n\n{items('', '')}", ["", ""]),
        (f"### G\n{items('', '', '<!-- sequential -->', '', '')}", ["", "", "12", "123", "123"]),
        (f"### G\n{items('<!-- sequential -->', '', '<!-- sequential -->')}", ["", "1", "12"]),
        (f"### G\n<!-- sequential -->\n\n{items('→ After: T3', '', '')}", ["23", "", "2"]),
        (f"### G\n{items('→ After: T2', '<!-- sequential -->', '')}", ["2", "", "2"]),
    ],
)
def test_waits(text: str, found: list[str]) -> None:
    assert list(waits(text).values()) == found


@given(
    st.lists(st.tuples(st.booleans(), st.lists(st.integers(1, 7), max_size=2)), min_size=1, max_size=7),
    st.permutations(range(1, 8)),
    st.booleans(),
)
def test_every_item_has_its_turn(
    rows: list[tuple[bool, list[int]]],
    rank: list[int],
    is_row: bool,  # noqa: FBT001 - hypothesis draws it
) -> None:
    """Whatever order `after` wants, and whatever runs alone: no item waits for itself, and all of them run."""
    said = []
    for number, (single, after) in enumerate(rows, 1):
        earlier = [f"T{n}" for n in after if n <= len(rows) and rank[n - 1] < rank[number - 1]]
        clause = f"→ After: {', '.join(earlier)}" if earlier else ""
        said.append(f"{clause}{' <!-- sequential -->' * single}")
    plan = parse(f"{HEAD}### G\n{'<!-- sequential -->' * is_row}\n\n{items(*said)}")
    (group,) = plan.groups
    assert not plan.errors
    found = find_waits(group, plan)
    assert all(item not in found.find_all(item) for item in group.items)
    steps = plan_steps(group, plan, 3)
    assert sorted(item.name for step in steps for item in step) == sorted(item.name for item in group.items)
    assert not is_row or all(len(step) == 1 for step in steps)


@given(st.lists(st.sets(st.integers(0, 6)), min_size=1, max_size=7), st.sets(st.integers(0, 6)))
def test_waiting_for_all_that_others_wait_for(direct: list[set[int]], chosen: set[int]) -> None:
    """Also in a circle, which is an error of the plan."""
    group = parse(f"{HEAD}### G\n{items(*[''] * len(direct))}").groups[0].items
    edges = [sorted(number for number in numbers if number < len(group)) for numbers in direct]
    found = Waits(
        group,
        {item.reference: tuple(group[n] for n in edge) for item, edge in zip(group, edges, strict=True)},
    )
    among = found.mark_items(lambda item: group.index(item) in chosen)
    for number, item in enumerate(group):
        to_do, expected = [number], set[int]()
        while to_do:
            new = set(edges[to_do.pop()]) - expected
            expected |= new
            to_do += new
        assert found.find_all(item) == tuple(group[n] for n in sorted(expected))
        assert found.find_all(item, among) == tuple(group[n] for n in sorted(expected & chosen))
        assert found.has_any(item, among) == bool(expected & chosen)


def test_long_row() -> None:
    """All that a row of items waits for is found without a set for each."""
    plan = parse(f"{HEAD}### G\n<!-- sequential -->\n\n{items(*[''] * 2000)}")
    found = find_waits(plan.groups[0], plan)
    first, last = plan.groups[0].items[0], plan.groups[0].items[-1]
    assert found.find_all(last) == plan.groups[0].items[:-1]
    assert not found.has_any(first)
    assert found.has_any(last, found.mark_items(lambda item: item is first))
