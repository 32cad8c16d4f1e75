"""`lint --fix` fixes what is certain, and no other line of a plan means anything else afterwards."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan.plan_samples import DOD, parse
from plan.test_plan_properties import DOCUMENTS, documents

from gitbatch.plan.fixes import fix_plan
from gitbatch.plan.model import Plan, PlanOptions

OPTIONS = PlanOptions()
HEAD = f"{DOD}## Work Packages\n\n### G\n\n"


def fix_text(text: str) -> str:
    """The text with its fixes, which are made once and for all."""
    fixed = fix_plan(text.encode(), "task.md", OPTIONS)
    again = fix_plan(fixed.source, "task.md", OPTIONS)
    assert (again.source, again.fixed) == (fixed.source, ())
    return fixed.source.decode()


@pytest.mark.parametrize(
    ("line", "fixed"),
    [
        ("- [] a", "- [ ] a"),
        ("- [  ] a", "- [ ] a"),
        ("* [ x] a", "* [x] a"),
        ("1. [X ] a", "1. [x] a"),
        ("- [ ]a", "- [ ] a"),
        ("- [x]a", "- [x] a"),
        ("- [✓] a", "- [x] a"),
        ("- ☐ a", "- [ ] a"),
        ("- ☑ a", "- [x] a"),
        ("- [ ] a\n  - [] b", "- [ ] a\n  - [ ] b"),
        ("- [ ] a ⟶ DoD: #1 —> Output: a.md", "- [ ] a → DoD: #1 → Output: a.md"),
        ("- [] a ➜ DoD: #9", "- [ ] a → DoD: #9"),
        ("- [ ] T1 a\n- [ ] T1 b\n- [ ] T2 c\n- [ ] T1 d", "- [ ] T1 a\n- [ ] T3 b\n- [ ] T2 c\n- [ ] T4 d"),
        ("- [ ] **WP-09a** a\n- [ ] WP-09a b", "- [ ] **WP-09a** a\n- [ ] WP-10a b"),
        ("- [ ] a → Id: intro\n- [ ] b → Id: intro", "- [ ] a → Id: intro\n- [ ] b → Id: intro-2"),
    ],
)
def test_what_is_certain_is_fixed(line: str, fixed: str) -> None:
    assert fix_text(f"{HEAD}{line}\n") == f"{HEAD}{fixed}\n"


@pytest.mark.parametrize(
    "line",
    [
        *("- [-] a", "- [~] a", "- [ ]* a", "- [?] a", "- [✗] a", "- ☒ a", "- [ok] a", "- \uff3b \uff3d a", "> - [] a", "**[ ] a**"),
        *("- [ ] a `⟶ DoD: #1`", "- [ ] a ⟶ b", "- [ ] a <!-- sequental -->", "- [ ] a (context: b.md"),
        "- [ ] T1 a\n- [ ] T1 b\n- [ ] T2 c → After: T1",  # which one is meant?
        "- [ ] T1 a\n- [x] T1 b",  # the file of the done one has its id
        "- [ ] T1 a\n- [ ] T1 b\n\n### H\n- [ ] T2 c (context: g/T1-2.md)",
        "- [ ] T1 a ⟶ Output: b.md\n\n### H\n- [ ] T2 c (context: g/T1.md)",
    ],
)  # fmt: skip
def test_what_is_not_certain_stays(line: str) -> None:
    assert fix_text(f"{HEAD}{line}\n") == f"{HEAD}{line}\n"


def test_a_box_that_would_shift_the_numbers_stays() -> None:
    text = "## DoD\n- [] a\n- [ ] b\n- [] c\n\n## Work Packages\n### G\n- [ ] d → DoD: #1\n"
    assert fix_text(text) == text.replace("- [] c", "- [ ] c")


def test_many_fixes_are_made_at_once() -> None:
    text = HEAD + "".join(f"- [] T{number % 700} a{number}\n" for number in range(2_000))
    assert "[]" not in fix_text(text)


def meanings(plan: Plan, lines: set[int]) -> list[object]:
    """What the lines of a plan say, but for those given."""
    criteria = {c.number: c.line for c in plan.criteria}
    return [
        *(
            (i.line, i.id, i.title, i.output, i.done, i.context, i.hints, i.group, [criteria[n] for n in i.criteria])
            for i in plan.items
            if i.line not in lines
        ),
        *((c.line, c.text, c.done) for c in plan.criteria if c.line not in lines),
        *((g.line, g.title, g.hints) for g in plan.groups),
        plan.hints,
    ]  # fmt: skip


LINES = (
    *("- [] T1 a", "- [ ]b", "- [x ] c", "- [ ] T1 d", "- [x] T1 e", "- [ ] T2 f → After: T1", "  - [] g", "- ☐ h", "### H"),
    *("- [ ] T3 i ⟶ DoD: #2", "- [ ] j \u2013> Output: o/j.md", "  ➜ DoD: #1", "- [ ] k (context: g/T1.md)", "text", "", "## DoD"),
    *("- [-] l", "> - [] m", "```", "- [ ] T2 n → DoD: #3", "- [ ] i", "<!-- max: 2 -->", "## Work Packages"),
)  # fmt: skip


@st.composite
def fixable(draw: st.DrawFn) -> bytes:
    """A plan with much to fix."""
    lines = draw(st.lists(st.sampled_from(LINES), max_size=12))
    text = draw(st.sampled_from([HEAD, HEAD, ""])) + "\n".join(lines)
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"]))).encode()


@DOCUMENTS
@given(st.one_of(fixable(), documents()))
def test_no_other_line_changes_its_meaning(data: bytes) -> None:
    fixed = fix_plan(data, "task.md", OPTIONS)
    assert fix_plan(fixed.source, "task.md", OPTIONS).source == fixed.source
    before, after = (re.split(rb"(?<=\n)", text) for text in (data, fixed.source))
    assert len(before) == len(after)
    changed = {number for number, (old, new) in enumerate(zip(before, after, strict=True), 1) if old != new}
    assert changed == {diagnostic.line for diagnostic in fixed.fixed}
    plan, other = (parse(text.decode()) for text in (data, fixed.source))
    starts = [item.line for item in plan.items]
    clauses = {diagnostic.line for diagnostic in fixed.fixed if diagnostic.code != "GB201"}
    owners = {max((start for start in starts if start <= line), default=line) for line in clauses}
    assert meanings(plan, changed | owners) == meanings(other, changed | owners)
    kept = owners & set(starts)
    assert [(i.line, i.done, i.group) for i in plan.items if i.line in kept] == [
        (i.line, i.done, i.group) for i in other.items if i.line in kept
    ]
