"""The example table of spec/plan.md, row by row, and the rules about the shape of task.md."""

import pytest
from plan.plan_samples import DOD, codes, in_group, item, marked, parse

from gitbatch.plan.model import Hints, PlanOptions, Severity
from gitbatch.plan.parse import parse_plan

EXAMPLE = (
    "T001 Login beschreiben → DoD: #1, #3 → Output: out/login.md (context: a.md, b.md) <!-- retries: 2 -->"
)


class TestTheExampleTable:
    """Every row of the table in spec/plan.md, in its order."""

    @pytest.mark.rule("T2", "P5")
    def test_id_clauses_and_hint(self) -> None:
        plan = in_group(f"- [ ] {EXAMPLE}")
        (only,) = plan.items
        assert plan.diagnostics == ()
        assert (only.id, only.title) == ("T001", "T001 Login beschreiben")
        assert only.criteria == (1, 3)
        assert only.output == "out/login.md"
        assert only.context == ("a.md", "b.md")
        assert only.hints == Hints(retries=2)
        assert [criterion.number for criterion in plan.cross_cutting] == [2]

    def test_arrow_and_unknown_word_is_title(self) -> None:
        assert item("Migrate A → B: alte Daten").title == "Migrate A → B: alte Daten"

    def test_code_spans_are_title(self) -> None:
        text = "Document the `→ DoD: #9` and `(context: x.md)` syntax"
        only = item(text)
        assert (only.title, only.criteria, only.context) == (text, (), ())

    def test_paths_in_the_text_are_no_output(self) -> None:
        assert item("Compare `docs/a.md` with `docs/b.md`").output == "g/compare-docs-a-md-with-docs-b-md.md"

    def test_continuation_lines_belong_to_the_item(self) -> None:
        only = item("title\n  goes on → DoD: #2\n  (context: a.md,\n  b.md)")
        assert (only.title, only.criteria, only.context) == ("title goes on", (2,), ("a.md", "b.md"))

    def test_a_range_of_criteria(self) -> None:
        assert item("a → DoD: #1-#3").criteria == (1, 2, 3)

    @pytest.mark.rule("T2")
    def test_an_unknown_criterion(self) -> None:
        plan = in_group("- [ ] a → DoD: #7")
        (diagnostic,) = plan.errors
        assert (diagnostic.code, diagnostic.column) == ("GB214", 16)
        assert diagnostic.message == "DoD #7 does not exist (3 entries)"

    def test_brackets_in_code_spans_and_two_bracket_clauses(self) -> None:
        only = item("a (context: `notes (1).md`, b.md) (output: o/x.md)")
        assert (only.context, only.output) == (("notes (1).md", "b.md"), "o/x.md")

    def test_an_unclosed_bracket(self) -> None:
        assert codes(in_group("- [ ] a (context: b.md")) == ["GB211"]

    def test_a_hint_between_two_items_has_no_owner(self) -> None:
        plan = in_group("- [ ] a\n<!-- sequential -->\n- [ ] b")
        assert codes(plan) == ["GB303"]
        assert plan.errors == ()
        assert [only.title for only in plan.items] == ["a", "b"]
        assert plan.groups[0].hints == Hints()

    def test_nested_boxes_are_sub_steps(self) -> None:
        plan = in_group("- [X] a\n  - [ ] b\n  - [x] c")
        (only,) = plan.items
        assert only.done
        assert only.text == "- [X] a\n  - [ ] b\n  - [x] c"

    def test_boxes_in_fences_and_comments_are_ignored(self) -> None:
        plan = in_group("```\n- [ ] no\n```\n<!--\n- [ ] no\n-->\n- [ ] a")
        assert plan.diagnostics == ()
        assert [only.title for only in plan.items] == ["a"]

    @pytest.mark.rule("T3", "P2")
    def test_a_flat_list_in_the_work_section_is_a_hard_stop(self) -> None:
        plan = parse(f"{DOD}## Arbeitspakete\n- [ ] a\n- [ ] b\n")
        assert codes(plan) == ["GB101"]
        assert plan.items == ()

    def test_groups_at_level_two_and_ordered_items(self) -> None:
        plan = parse("# 7. Work Packages (Phase 2):\n## WP1\n- [ ] a\n## WP2\n1. [ ] b\n")
        assert plan.diagnostics == ()
        titles = [(group.title, [only.title for only in group.items]) for group in plan.groups]
        assert titles == [("WP1", ["a"]), ("WP2", ["b"])]

    def test_outputs_that_differ_in_case_collide(self) -> None:
        assert codes(in_group("- [ ] a → Output: o/A.md\n- [ ] b → Output: o/a.md")) == ["GB223"]

    def test_unsafe_outputs(self) -> None:
        plan = in_group("- [ ] a → Output: ../x.md\n- [ ] b → Output: docs/status.md")
        assert codes(plan) == ["GB222", "GB222"]

    def test_german_keys_and_ascii_arrows(self) -> None:
        only = item("P0.1a Prüfen -> DoD: 1 und 2 -> Ausgabe: o/p.md (Kontext: [Plan](plan.md))")
        assert (only.id, only.criteria, only.output, only.context) == (
            "P0.1a",
            (1, 2),
            "o/p.md",
            ("plan.md",),
        )

    @pytest.mark.parametrize("bullet", ["-", "*", "+"])
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_setext_headings_line_ends_and_bullets(self, bullet: str, newline: str) -> None:
        lines = ("Arbeitspakete", "---", "### G", f"{bullet} [ ] a", "", "End", "===", f"{bullet} [ ] b", "")
        plan = parse(newline.join(lines))
        assert plan.diagnostics == ()
        assert [only.title for only in plan.items] == ["a"]


class TestTheShapeOfAPlan:
    @pytest.mark.rule("T1", "P1", "P3")
    def test_only_boxes_under_a_group_of_the_work_section_are_items(self) -> None:
        plan = parse(
            "# Plan\n- [ ] elsewhere\n\n## Notes\n- [ ] also elsewhere\n\n"
            f"{DOD}## Arbeitspakete\nProse.\n### One\n- [ ] a\n- [ ] b\n### Two\n- [ ] c\n\n## Later\n- [ ] d\n"
        )
        assert plan.diagnostics == ()
        assert [[only.title for only in group.items] for group in plan.groups] == [["a", "b"], ["c"]]
        assert [criterion.text for criterion in plan.criteria] == ["first", "second", "third"]

    @pytest.mark.rule("T3", "P2")
    def test_without_a_work_section_the_flat_list_is_the_definition_of_done(self) -> None:
        text = "# Phase 1\n- [ ] a\n- [x] b\n"
        plan = parse(text)
        assert [criterion.text for criterion in plan.criteria] == ["a", "b"]
        (diagnostic,) = plan.errors
        assert (diagnostic.code, diagnostic.line) == ("GB100", 2)
        assert "## Arbeitspakete\n\n### Group name\n- [ ] First" in diagnostic.help

    def test_the_example_of_the_hard_stop_is_a_plan(self) -> None:
        """What the user is told to write must not be refused in turn."""
        flat = "- [ ] a\n- [ ] b\n"
        _, _, example = parse(flat).errors[0].help.partition("\n\n")
        plan = parse(f"{flat}\n{example}\n")
        assert plan.diagnostics == ()
        assert [only.criteria for only in plan.items] == [(1,), (2,)]

    @pytest.mark.rule("P2")
    def test_several_flat_lists_are_no_definition_of_done(self) -> None:
        plan = parse("- [ ] a\n\nText.\n\n- [ ] b\n\n## Arbeitspakete\n### G\n- [ ] c → DoD: #1\n")
        assert plan.criteria == ()
        assert [d.message for d in plan.errors] == ["DoD #1 does not exist (0 entries)"]

    def test_a_definition_of_done_inside_a_group_holds_no_items(self) -> None:
        plan = parse("## Arbeitspakete\n### G\n- [ ] a\n#### DoD\n- [ ] done\n### H\n- [ ] b → DoD: #1\n")
        assert plan.diagnostics == ()
        assert [only.title for only in plan.items] == ["a", "b"]
        assert [criterion.text for criterion in plan.criteria] == ["done"]

    def test_a_work_section_inside_the_definition_of_done_holds_no_criteria(self) -> None:
        plan = parse("# Definition of Done\n- [ ] done\n## Work Items\n### G\n- [ ] a\n")
        assert plan.diagnostics == ()
        assert [only.title for only in plan.items] == ["a"]
        assert [criterion.text for criterion in plan.criteria] == ["done"]

    def test_criteria_are_top_level_entries_of_all_lists_of_the_section(self) -> None:
        plan = parse(
            "## DoD\n- [ ] a\n  - [ ] nested\n- no box\n### Later\n* [x] b <!-- note -->\n> - [ ] quoted\n"
        )
        assert [(c.number, c.text, c.done) for c in plan.criteria] == [(1, "a", False), (2, "b", True)]

    def test_deeper_headings_are_labels(self) -> None:
        plan = parse("## Arbeitspakete\n### G\n- [ ] a\n#### Label\n- [ ] b\n##### Label\n- [ ] c\n")
        assert [[only.title for only in group.items] for group in plan.groups] == [["a", "b", "c"]]

    def test_a_group_with_a_synonym_as_its_title_is_a_group(self) -> None:
        plan = parse("## Work Packages\n### Work Items\n- [ ] a\n")
        assert plan.diagnostics == ()
        assert [group.title for group in plan.groups] == ["Work Items"]

    def test_a_group_without_items_is_kept(self) -> None:
        plan = parse("## Arbeitspakete\n### Overview\nProse.\n### G\n- [ ] a\n")
        assert [(group.number, len(group.items)) for group in plan.groups] == [(1, 0), (2, 1)]
        assert plan.items[0].group == 2

    def test_an_item_below_a_plain_bullet_is_an_item(self) -> None:
        plan = in_group("- Backend\n  - [ ] a\n    - [ ] sub-step\n- Frontend\n  - [ ] b")
        assert [only.title for only in plan.items] == ["a", "b"]

    def test_the_prose_of_a_group_is_everything_but_its_items(self) -> None:
        plan = in_group("Before.\n\n- [ ] a\n  more of a\n\nBetween.\n\n- [ ] b\n\n| t |\n|---|")
        assert plan.groups[0].prose == "Before.\n\nBetween.\n\n| t |\n|---|"

    def test_titles_of_groups_come_without_comments(self) -> None:
        (group,) = parse("## Arbeitspakete\n### WP1 — `Grün` <!-- sequential --> ###\n- [ ] a\n").groups
        assert (group.title, group.slug, group.hints.sequential) == ("WP1 — `Grün`", "wp1-gruen", True)

    def test_synonyms_come_from_the_options(self) -> None:
        options = PlanOptions(work_titles=("Tasks",), dod_titles=("Fertig, wenn",))
        plan = parse("## 1. Fertig, wenn:\n- [ ] x\n## **Tasks**\n### G\n- [ ] a → DoD: #1\n", options)
        assert plan.diagnostics == ()
        assert plan.items[0].criteria == (1,)

    def test_a_heading_ends_a_quote(self) -> None:
        """mistune 3.4 takes it for a lazy line of the quote, and the section would be lost."""
        plan = parse("> A note.\n## Arbeitspakete\n> Another.\n### G\n- [ ] a\n")
        assert [only.title for only in plan.items] == ["a"]

    def test_places_count_from_one_and_skip_a_byte_order_mark(self) -> None:
        text = "\ufeff---\ntitle: x\n---\n## Arbeitspakete\n### Größe\n- [ ] ä → DoD: #1\n"
        plan = parse(text)
        (only,) = plan.items
        (diagnostic,) = plan.diagnostics
        assert (plan.groups[0].line, only.line) == (5, 6)
        assert text.encode()[only.box.offset : only.box.offset + 1] == b" "
        assert only.box.line == "- [ ] ä → DoD: #1".encode()
        assert (diagnostic.line, diagnostic.column, marked(diagnostic, text)) == (6, 16, "#1")

    def test_everything_is_reported_in_document_order(self) -> None:
        plan = in_group("- [ ] a → DoD: #9\n- [-] b\n- [ ]\n- [ ] c (context: x")
        assert codes(plan) == ["GB214", "GB201", "GB203", "GB211"]
        assert [d.start for d in plan.diagnostics] == sorted(d.start for d in plan.diagnostics)

    def test_no_input_has_no_work(self) -> None:
        plan = parse_plan(b"", "task.md", PlanOptions())
        assert [(d.code, d.line, d.column) for d in plan.diagnostics] == [("GB100", 1, 1)]

    def test_the_plan_itself_is_no_output(self) -> None:
        plan = parse_plan(
            b"## Work Items\n### G\n- [ ] a (output: Plans/P.md)\n", "plans/p.md", PlanOptions()
        )
        assert [d.severity for d in plan.diagnostics] == [Severity.ERROR]
        assert codes(plan) == ["GB222"]
