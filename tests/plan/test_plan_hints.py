"""Hints: what they say, and whom they act on, decided by their place alone."""

import pytest
from plan.plan_samples import codes, in_group, item, parse

from gitbatch.plan.model import Hints, ItemReference


@pytest.mark.parametrize(
    ("comment", "hints"),
    [
        ("sequential", Hints(sequential=True)),
        ("parallel", Hints(parallel=True)),
        ("gitbatch: sequential", Hints(sequential=True)),
        ("gitbatch:sequential", Hints(sequential=True)),
        ("GitBatch : Sequential", Hints(sequential=True)),
        ("max: 3", Hints(max=3)),
        ("max=03", Hints(max=3)),
        ("retries: 0", Hints(retries=0)),
        ("gitbatch: retries = 2", Hints(retries=2)),
        ("timeout: 90", Hints(timeout=90)),
        ("timeout: 1.5s", Hints(timeout=1.5)),
        ("timeout: 5m", Hints(timeout=300)),
        ("timeout: 2 min", Hints(timeout=120)),
        ("timeout: 1h30m", Hints(timeout=5400)),
        ("timeout: 1h 2m 3s", Hints(timeout=3723)),
        ("agent: claude-code", Hints(agent="claude-code")),
        ("agent: org/model:1.0", Hints(agent="org/model:1.0")),
        ("\n  max: 2\n", Hints(max=2)),
        ("check: none", Hints(checks=())),
        ("wait", Hints(wait=True)),
        ("gitbatch: wait", Hints(wait=True)),
        ("check: links", Hints(checks=("links",))),
        ("gitbatch: check = links, style; links", Hints(checks=("links", "style"))),
        ("check: none-at-all", Hints(checks=("none-at-all",))),
    ],
)
def test_what_hints_say(comment: str, hints: Hints) -> None:
    plan = in_group(f"- [ ] a <!--{comment}-->")
    assert (plan.items[0].hints, plan.errors) == (hints, ())


@pytest.mark.parametrize(
    "comment",
    [
        *("max: 0", "max: -1", "max: ", "max: 9999999", "retries: x"),
        *("timeout: 0", "timeout:", "timeout: 5 apples"),
        *("agent: a b", "agent: -x", "agent=", "after: ,"),
        *("output: a b", "output: ``", "sequential: yes", "parallel=no"),
        *("wait: 5m", "barrier: on"),
        *("check:", "check: a b", "check: a,, b", "check: none, a", "check: a, none", "gate: -x"),
    ],
)
def test_values_that_can_not_be(comment: str) -> None:
    assert codes(in_group(f"- [ ] a <!-- {comment} -->")) == ["GB213"]


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "note",
        "a longer remark",
        "maximum: 3",
        "map: x",
        "retry",
        "2",
        "prettier-ignore",
        "region: x",
        "note, agent: x",
        "secuenzial",
        "# max: 2",
    ],
)
def test_foreign_comments_are_left_alone(comment: str) -> None:
    assert item(f"a <!-- {comment} -->").hints == Hints()


@pytest.mark.parametrize(
    "comment", ["paralell", "sequentiel", "agents: x", "timout: 3", "parallel, agent: x", "waits", "barier"]
)
def test_near_misses_are_warned_of(comment: str) -> None:
    plan = in_group(f"- [ ] a <!-- {comment} -->")
    assert (codes(plan), plan.errors) == (["GB301"], ())


PLACES = """\
## Arbeitspakete <!-- retries: 1 -->
Prose. <!-- max: 1 -->

<!-- timeout: 1 -->
### One <!-- retries: 2 -->
<!-- max: 2 -->
Prose with `<!-- parallel -->` and <!-- timeout: 2 --> in it.

- plain <!-- agent: two -->
- [ ] a <!-- retries: 3 -->
  goes <!-- max: 3 --> on

  <!-- timeout: 3 -->
  - [ ] sub-step <!-- agent: three -->
    <!-- after: T1 -->
- [ ] T1 b
### Two
<!-- retries: 4 -->
<!-- retries: 4 -->
<!-- barrier -->
"""


def test_place_decides_whom_a_hint_acts_on() -> None:
    plan = parse(PLACES)
    assert plan.errors == ()
    assert plan.hints == Hints(retries=1, max=1, timeout=1)
    assert plan.groups[0].hints == Hints(retries=2, max=2, timeout=2, agent="two")
    assert plan.items[0].hints == Hints(
        retries=3, max=3, timeout=3, agent="three", after=(ItemReference("1:one/T1.md"),)
    )
    assert plan.items[1].hints == Hints()
    assert plan.groups[1].hints == Hints(retries=4, barrier=True)


@pytest.mark.parametrize(
    "text",
    [
        "<!-- sequential -->\n## Arbeitspakete\n### G\n- [ ] a",
        "## Arbeitspakete\n### G\n- [ ] a\n\n<!-- sequential -->\n- [ ] b",
        "## Arbeitspakete\n### G\n- [ ] a\n#### Label <!-- sequential -->\n- [ ] b",
        "## Arbeitspakete\n### G\n- [ ] a\n\n<!-- sequential -->\n\n## End",
        "## Arbeitspakete\n### G\n> <!-- sequential -->\n\n- [ ] a",
        "## Arbeitspakete\n### G\n- [ ] a\n## DoD\n- [ ] b <!-- sequential -->",
        "## Arbeitspakete\n<!-- output: x.md -->\n### G\n- [ ] a",
        "## Arbeitspakete\n<!-- after: a -->\n### G\n- [ ] a",
        "## Arbeitspakete\n### G\n<!-- output: x.md -->\n- [ ] a",
        "## Arbeitspakete\n### G\n<!-- wait -->\n- [ ] a",
        "## Arbeitspakete\n<!-- wait -->\n### G\n- [ ] a",
        "## Arbeitspakete\n<!-- barrier -->\n### G\n- [ ] a",
    ],
)
def test_hints_without_an_owner_have_no_effect(text: str) -> None:
    plan = parse(f"{text}\n")
    assert codes(plan) == ["GB303"]
    assert plan.errors == ()
    assert {plan.hints, *(g.hints for g in plan.groups), *(i.hints for i in plan.items)} == {Hints()}


@pytest.mark.parametrize(
    "text",
    [
        "```\n<!-- sequential -->\n```",
        "`<!-- sequential -->`",
        "    <!-- sequential -->",
        "<!-- <!-- sequential --> -->",
    ],
)
def test_comments_that_are_shown_are_no_hints(text: str) -> None:
    plan = parse(f"## Arbeitspakete\n### G\n\n{text}\n\n- [ ] a\n")
    assert (codes(plan), plan.groups[0].hints) == ([], Hints())


@pytest.mark.parametrize(
    ("first", "second", "is_conflict"),
    [
        ("sequential", "parallel", True),
        ("max: 2", "sequential", True),
        ("sequential", "max: 1", False),
        ("parallel", "max: 2", False),
        ("agent: x", "agent: y", True),
        ("agent: x", "agent: x", False),
        ("after: T1", "after: T2", False),
    ],
)
def test_conflicts(first: str, second: str, is_conflict: bool) -> None:  # noqa: FBT001 - a column of the table
    plan = in_group(f"- [ ] T1 a\n- [ ] T2 b\n- [ ] T3 c <!-- {first} --> <!-- {second} -->")
    assert [code for code in codes(plan) if code != "GB303"] == (["GB302"] if is_conflict else [])


@pytest.mark.parametrize("comment", ["parallel", "max: 2"])
def test_what_only_a_group_can_have_is_warned_of_in_an_item(comment: str) -> None:
    plan = in_group(f"- [ ] a <!-- {comment} -->")
    assert (codes(plan), plan.errors) == (["GB303"], ())
    assert codes(in_group(f"<!-- {comment} -->\n- [ ] a")) == []


def test_a_narrower_hint_does_not_conflict_with_a_wider_one() -> None:
    plan = parse("## Arbeitspakete\n<!-- parallel -->\n### G\n<!-- sequential -->\n- [ ] a\n")
    assert plan.diagnostics == ()
    assert (plan.hints.parallel, plan.groups[0].hints.sequential) == (True, True)


def test_clauses_are_stronger_than_hints() -> None:
    plan = in_group("- [ ] a → Agent: x (output: o.md) <!-- agent: y --> <!-- output: p.md -->")
    (only,) = plan.items
    assert (only.hints.agent, only.output) == ("x", "o.md")
    assert (codes(plan), plan.errors) == (["GB302", "GB302"], ())
    assert item("a → Agent: x (output: o.md) <!-- agent: x --> <!-- output: o.md -->").hints == Hints(
        agent="x"
    )


def test_gates_are_of_groups_and_of_the_plan() -> None:
    plan = parse(
        "## Work Packages\n<!-- gate: all -->\n### G\n<!-- gate: tests, docs -->\n- [ ] a <!-- gate: x -->\n"
        "### H\n<!-- gate: none -->\n- [ ] b\n"
    )
    assert [group.hints.gates for group in plan.groups] == [("tests", "docs"), ()]
    assert plan.hints.gates == ("all",)
    (found,) = plan.diagnostics
    assert (found.code, found.line) == ("GB303", 5)
    assert "it is for a group" in found.help
