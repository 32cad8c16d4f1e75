"""The Definition of Done: what its entries are, and what numbers they print."""

import pytest
from plan.plan_samples import codes, parse

WORK = "\n## Arbeitspakete\n### G\n- [ ] a\n"


@pytest.mark.parametrize(
    ("entries", "texts"),
    [
        ("- [ ] a\n  over two lines\n- [ ] b <!-- c -->", ["a over two lines", "b"]),
        ("- [ ] a\n\nText.\n\n* [ ] b\n\n1. [ ] c", ["a", "b", "c"]),
        ("- [ ] a\n\n### Later\n- [ ] b", ["a", "b"]),
        ("- no box\n- [ ] a\n  - [ ] nested\n- plain\n  - [ ] too deep to count", ["a"]),
        ("> - [ ] quoted\n\n- [ ] a", ["a"]),
        ("Text only.", []),
    ],
)
def test_entries(entries: str, texts: list[str]) -> None:
    plan = parse(f"## DoD\n{entries}\n{WORK}")
    assert [criterion.text for criterion in plan.criteria] == texts
    assert [criterion.number for criterion in plan.criteria] == list(range(1, len(texts) + 1))


@pytest.mark.parametrize(
    "entries",
    [
        "1. [ ] a\n2. [ ] b\n3. [ ] c",
        "1. [ ] a\n1. [ ] b\n1. [ ] c",
        "1) [ ] a\n7) [ ] b",
        "- [ ] #1 a\n- [ ] #2: b",
        "- [ ] **1.** a\n- [ ] 2) b\n- [ ] DoD-3 c\n- [ ] AC4: d",
        "- [ ] 12 tests are green\n- [ ] 3 reviews",
        "- [ ] 2.5 seconds at most",
        "- [ ] a #7",
    ],
)
def test_printed_numbers_that_are_the_real_ones_or_none(entries: str) -> None:
    assert codes(parse(f"## DoD\n{entries}\n{WORK}")) == []


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ("2. [ ] a", 2),
        ("0. [ ] a\n1. [ ] b", 2),
        ("1. [ ] a\n2. [ ] b\n\nText.\n\n1. [ ] c", 7),
        ("- [ ] #1 a\n- [ ] #3 b\n- [ ] #4 c", 3),
        ("- [ ] **DoD 2:** a", 2),
        ("- [ ] AC3. a", 2),
        ("- [ ] DoD#2 a", 2),
    ],
)
def test_the_first_printed_number_that_differs_is_warned_of(entries: str, line: int) -> None:
    plan = parse(f"## DoD\n{entries}\n{WORK}")
    assert [(d.code, d.line) for d in plan.diagnostics] == [("GB214", line)]
    assert plan.errors == ()
