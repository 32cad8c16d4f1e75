"""Ticks: exactly one byte, of exactly the right box, or nothing."""

from collections.abc import Sequence

import pytest
from plan.plan_samples import DOD

from gitbatch.plan.model import BoxPosition, PlanOptions
from gitbatch.plan.parse import parse_plan
from gitbatch.plan.tick import Ticked, tick, untick

OPTIONS = PlanOptions()
PLAN = f"{DOD}## Arbeitspakete\n### G\n- [ ] ä\n  - [ ] sub-step\n- [x] b\n- [X] c\n* [ ] d [ ] e\n"


def marks(text: str) -> list[BoxPosition]:
    plan = parse_plan(text.encode(), "task.md", OPTIONS)
    return [entry.box for entry in plan.items] + [entry.box for entry in plan.criteria]


def tick_bytes(source: bytes, wanted: Sequence[BoxPosition]) -> Ticked:
    return tick(source, wanted, parse_plan(source, "task.md", OPTIONS))


def ticked(text: str, *wanted: BoxPosition) -> Ticked:
    return tick_bytes(text.encode(), wanted)


def test_a_tick_is_one_byte_and_one_item() -> None:
    first, _, _, last, *criteria = marks(PLAN)
    for mark in (first, last, *criteria):
        done = ticked(PLAN, mark)
        different = [i for i, (a, b) in enumerate(zip(PLAN.encode(), done.source, strict=True)) if a != b]
        assert different == [mark.offset]
        assert done.source[mark.offset : mark.offset + 1] == b"x"
        assert (done.ticked, done.already, done.refused) == ((mark,), (), ())


def test_sub_steps_are_never_touched() -> None:
    done = ticked(PLAN, *marks(PLAN))
    assert b"  - [ ] sub-step\n" in done.source
    assert len(done.ticked) == 5
    assert [mark.line for mark in done.already] == [b"- [x] b", b"- [X] c"]


def test_ticking_twice_is_ticking_once() -> None:
    once = ticked(PLAN, *marks(PLAN))
    again = tick_bytes(once.source, marks(PLAN))
    assert again == Ticked(once.source, (), tuple(marks(PLAN)), ())


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff", "---\na: b\n---\n"])
@pytest.mark.parametrize("end", ["\n", ""])
def test_every_kind_of_file_stays_what_it_is(newline: str, start: str, end: str) -> None:
    text = (start + PLAN.removesuffix("\n") + end).replace("\n", newline)
    wanted = marks(text)
    done = ticked(text, *wanted)
    assert len(done.ticked) == 5
    assert done.source.decode() == text.replace("- [ ] ä", "- [x] ä").replace("* [ ] d", "* [x] d").replace(
        "- [ ] first", "- [x] first"
    ).replace("- [ ] second", "- [x] second").replace("- [ ] third", "- [x] third")


def test_mixed_line_ends() -> None:
    text = "## Arbeitspakete\r\n### G\r- [ ] a\n- [ ] b\r\n- [ ] c"
    assert ticked(text, *marks(text)).source.decode() == text.replace("[ ]", "[x]")


def test_a_line_that_moved_is_found() -> None:
    (first, *_) = marks(PLAN)
    moved = PLAN.replace("### G\n", "### G\nA new paragraph.\n\n- [ ] new\n")
    done = ticked(moved, first)
    assert done.source.decode() == moved.replace("- [ ] ä", "- [x] ä")


def test_a_line_that_moved_into_a_quote_is_not_found() -> None:
    (first, *_) = marks(PLAN)
    done = ticked(PLAN.replace("- [ ] ä", "> - [ ] ä"), first)
    assert done.refused == (first,)


@pytest.mark.parametrize(
    ("now", "fate"),
    [
        ("- [ ] a\n- [ ] b\n", "ticked"),
        ("- [x] a\n- [ ] b\n", "already"),
        ("Prose.\n\n- [X] a\n- [ ] b\n", "already"),
        ("Prose.\n\n- [x] a\n- [ ] a\n", "ticked"),
        ("Prose.\n\n- [ ] a\n- [ ] a\n", "refused"),
        ("- [ ] a!\n", "refused"),
        ("- [ ]  a\n", "refused"),
        ("* [ ] a\n", "refused"),
        ("a\n", "refused"),
        ("```\n- [ ] a\n```\n", "refused"),
        ("- [ ] b\n- [ ] a\n", "ticked"),
        ("- [ ] a\n- [ ] a\n", "ticked"),
    ],
)
def test_what_the_user_did_meanwhile(now: str, fate: str) -> None:
    head = "## Arbeitspakete\n### G\n"
    mark = marks(f"{head}- [ ] a\n- [ ] b\n")[0]
    done = ticked(head + now, mark)
    fates = {"ticked": done.ticked, "already": done.already, "refused": done.refused}
    assert fates == {"ticked": (), "already": (), "refused": ()} | {fate: (mark,)}
    changed = sum(a != b for a, b in zip((head + now).encode(), done.source, strict=True))
    assert changed == (1 if fate == "ticked" else 0)


def test_two_marks_never_claim_the_same_box() -> None:
    head = "## Arbeitspakete\n### A\n- [ ] same\n### B\n- [ ] same\n"
    first, second = marks(head)
    assert ticked(f"\n{head}", first, second).refused == (first, second)
    shorter = ticked(head.replace("### B\n- [ ] same\n", "\n"), first, second)
    assert (shorter.ticked, shorter.refused) == ((first,), (second,))
    lost = ticked(head.replace("### A\n- [ ] same\n", "### A\nmore\n"), first, second)
    assert lost.refused == (first, second)


def test_one_box_that_is_found_makes_room_for_the_other() -> None:
    head = "## Arbeitspakete\n### A\n- [ ] same\n### B\n- [ ] same\n"
    first, second = marks(head)
    now = head.replace("### B\n", "### B\nProse.\n\n")
    assert ticked(now, second, first).source.decode() == now.replace("[ ]", "[x]")


def test_the_same_mark_twice_is_one_mark() -> None:
    (first, *_) = marks(PLAN)
    assert ticked(PLAN, first, first).ticked == (first,)


@pytest.mark.parametrize("data", [b"", b"\xff", b"# Nothing\n", b"x" * 9000])
def test_a_file_that_is_no_plan_is_left_alone(data: bytes) -> None:
    mark = BoxPosition(3, b"- [ ] a")
    assert tick_bytes(data, [mark, BoxPosition(99, b"no box")]) == Ticked(
        data, (), (), (mark, BoxPosition(99, b"no box"))
    )


def test_a_plan_with_errors_is_ticked_all_the_same() -> None:
    text = PLAN.replace("- [x] b", "- [x] b → DoD: #99")
    assert len(ticked(text, *marks(text)).ticked) == 5


def test_no_marks_no_change() -> None:
    assert ticked(PLAN) == Ticked(PLAN.encode(), (), (), ())


def test_opening_a_box_takes_one_tick_back() -> None:
    """What was open already is said, and nothing else changes."""
    done = ticked(PLAN, *marks(PLAN)).source
    plan = parse_plan(done, "task.md", OPTIONS)
    first, second, *_ = (item.box for item in plan.items)
    opened = untick(done, (first,), plan)
    different = [i for i, (a, b) in enumerate(zip(done, opened.source, strict=True)) if a != b]
    assert different == [first.offset]
    assert opened.source[first.offset : first.offset + 1] == b" "
    again = untick(opened.source, (first, second), parse_plan(opened.source, "task.md", OPTIONS))
    assert (again.ticked, again.already, again.refused) == ((second,), (first,), ())
