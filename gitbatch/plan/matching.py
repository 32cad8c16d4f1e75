"""Finding items again in a plan that may have been edited since: by path, then by the group's title, then by its number.

Several items may write one path, each in a group of its own. No item of the plan is found twice.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

from msgspec import Struct

from gitbatch.plan.model import Group, Plan, WorkItem
from gitbatch.plan.titles import normalise
from gitbatch.text import clean_text

_Key = TypeVar("_Key", bound=Hashable)
PlannedItem = tuple[Group, WorkItem]
"""An item of a plan, with its group."""


class ItemPlace(Struct, frozen=True):
    """Where an item was in the plan: its path, and its group."""

    output: str
    title: str
    number: int


def match_items(places: Mapping[_Key, ItemPlace], plan: Plan) -> dict[_Key, PlannedItem]:
    """Returns the item of a plan for each place that has exactly one; the others are left out.

    Args:
        places: the items, by any key: all that may be in the plan, or one of them may be taken for another.
        plan: the plan as it is now.
    """
    wanted: dict[str, dict[_Key, ItemPlace]] = {}
    for key, place in places.items():
        wanted.setdefault(place.output, {})[key] = place
    there = list_by_output(plan)
    found: dict[_Key, PlannedItem] = {}
    for output, several in wanted.items():
        found |= _match_path(several, there.get(output, []))
    return found


def list_by_output(plan: Plan) -> dict[str, list[PlannedItem]]:
    """Returns the items of a plan by the paths that they write."""
    there: dict[str, list[PlannedItem]] = {}
    for group in plan.groups:
        for item in group.items:
            there.setdefault(item.output, []).append((group, item))
    return there


def match_place(place: ItemPlace, there: list[PlannedItem]) -> PlannedItem | None:
    """Returns the item that was at a place, of those that write its path; None: it is not known which."""
    return _match_path({place: place}, there).get(place)


def _match_path(places: Mapping[_Key, ItemPlace], there: list[PlannedItem]) -> dict[_Key, PlannedItem]:
    """Matches the places that name one path."""
    if len(places) == len(there) == 1:
        return dict(zip(places, there, strict=True))
    by_title = _match_by(
        lambda place: _comparable(place.title), lambda planned: _comparable(planned[0].title), places, there
    )
    left = {key: place for key, place in places.items() if key not in by_title}
    taken = {id(planned) for planned in by_title.values()}
    rest = [planned for planned in there if id(planned) not in taken]
    return by_title | _match_by(lambda place: place.number, lambda planned: planned[0].number, left, rest)


def _comparable(title: str) -> str:
    """Returns a title as it is compared, from a plan or from a trailer, which is one clean line."""
    return normalise(clean_text(title))


def _match_by(
    name_place: Callable[[ItemPlace], Hashable],
    name_planned: Callable[[PlannedItem], Hashable],
    places: Mapping[_Key, ItemPlace],
    there: list[PlannedItem],
) -> dict[_Key, PlannedItem]:
    """Matches places and items that have a name in common which no other place and no other item has."""
    found: dict[_Key, PlannedItem] = {}
    for key, place in places.items():
        name = name_place(place)
        same = [planned for planned in there if name_planned(planned) == name]
        if len(same) == 1 and sum(name_place(other) == name for other in places.values()) == 1:
            found[key] = same[0]
    return found
