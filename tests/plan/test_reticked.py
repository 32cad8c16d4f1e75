"""A plan of which only ticks have changed is as parsing it says, or it is parsed."""

from hypothesis import example, given
from hypothesis import strategies as st
from plan.plan_samples import parse

from gitbatch.plan.reticked import retick_plan

TEXT = """\
# Plan

## Work Packages

### First

Some prose with a [ ] box.

- [ ] T1 Write `[ ]` → Output: a.md → DoD: #1
  - [ ] a step of its own
  more of it
- [x] T2 Ü → Output: b.md
1. [ ] T3 in a numbered list → Output: c.md

### Second

* [ ] T4 Ä - [ ] T1 Write → Output: d.md (context: a.md)

## Definition of Done

- [ ] first
- [x] second
"""


@given(st.sets(st.integers(0, 40)), st.booleans(), st.sampled_from(["\n", "\r\n"]))
@example({0}, False, "\n")
def test_it_is_as_parsed(numbers: set[int], is_edited: bool, newline: str) -> None:  # noqa: FBT001 - hypothesis draws it
    """Any marks are turned, those of boxes that are none too; then perhaps a letter is another."""
    before = TEXT.replace("\n", newline)
    plan = parse(before)
    assert plan.diagnostics == ()
    marks = [at + 1 for at in range(len(before)) if before[at : at + 3] in {"[ ]", "[x]"}]
    text = list(before)
    for at in (marks[number] for number in numbers if number < len(marks)):
        text[at] = "x" if text[at] == " " else " "
    if is_edited:
        text[before.index("Ü")] = "Ö"
    source = "".join(text)
    found = retick_plan(plan, before.encode(), source.encode())
    assert found is None or found == parse(source)
    boxes = {item.box.offset for item in plan.items} | {each.box.offset for each in plan.criteria}
    changed = {at for at, (a, b) in enumerate(zip(before.encode(), source.encode(), strict=True)) if a != b}
    assert (found is not None) == (changed <= boxes)


def test_a_plan_with_diagnostics_is_parsed() -> None:
    text = "## Work Packages\n\n### G\n\n- [ ] T1 Write\n"
    plan = parse(text + "- [ ]\n")
    assert plan.diagnostics
    assert retick_plan(plan, (text + "- [ ]\n").encode(), (text + "- [x]\n").encode()) is None
    assert retick_plan(parse(text), text.encode(), text.replace("[ ]", "[?]").encode()) is None
    assert retick_plan(parse(text), text.encode(), text.encode()[:-1]) is None
