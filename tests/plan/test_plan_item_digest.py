"""The digest of what a plan says to the agent of an item."""

from msgspec.structs import replace
from plan.plan_samples import parse

from gitbatch.plan.item_digest import digest_plan_item


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
