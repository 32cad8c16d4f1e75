"""An item's text, taken apart: ids, titles, both forms of a clause, every key and separator."""

import pytest
from plan.plan_samples import DOD, codes, in_group, item, marked, parse

from gitbatch.plan.model import Hints, ItemReference


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("T001 a", "T001"),
        ("WP1.2 a", "WP1.2"),
        ("P0.1a a", "P0.1a"),
        ("1.1 a", "1.1"),
        ("1.2.3: a", "1.2.3"),
        ("AB-12) a", "AB-12"),
        ("T1. a", "T1"),
        ("**T1** a", "T1"),
        ("**T1**: a", "T1"),
        ("**T1:** a", "T1"),
        ("**T1 a** b", "T1"),
        ("**FR-3 / Clean** up", None),
        ("FR-3 / FR-4 together", None),
        ("**T1 & T2** b", None),
        ("T1 /etc is read", "T1"),
        ("T1\n  a", "T1"),
        ("T1", "T1"),
        ("1. a", None),
        ("a T1", None),
        ("T1a1 a", None),
        ("t1 a", None),
        ("PLAN_FILE a", None),
        ("ABCDEFGHI1 a", None),
        ("T1-a b", None),
        ("`T1` a", None),
    ],
)
def test_ids(text: str, name: str | None) -> None:
    assert item(text).id == name


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("**T1:** a b", "**T1:** a b"),
        ("a (context: b.md) c → DoD: #1", "a c"),
        ("(context: b.md) a", "a"),
        ("a, → DoD: #1", "a"),
        ("a <!-- note --> b <!-- retries: 1 -->", "a b"),
        ("a → Output: o.md -> then that", "a -> then that"),
        ("a → Output: o.md <!-- retries: 2 --> b", "a b"),
        ("a (see → DoD: #1) b", "a (see ) b"),
        ("*a* [b](c) `d`", "*a* [b](c) `d`"),
        ("a\r\n  b", "a b"),
    ],
)
def test_titles(text: str, title: str) -> None:
    assert item(text).title == title


@pytest.mark.parametrize("arrow", ["→", "⇒", "->", "=>", "-->", "==>"])
@pytest.mark.parametrize("key", ["DoD:", "dod :", "DOD:", "**DoD:**", "**DoD**:", "\n  DoD:"])
def test_arrows_and_keys(arrow: str, key: str) -> None:
    only = item(f"a {arrow} {key} #2")
    assert (only.title, only.criteria) == ("a", (2,))


@pytest.mark.parametrize("form", ["→ {}: {}", "({}: {})", "(  {} :{} )", "=>{}:{}"])
@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("Output", "Ausgabe", "OUTPUT"), "o/x.md"),
        (("Context", "Kontext", "kontext"), "o/x.md"),
        (("Agent",), "claude-code"),
        (("Check", "Prüfung", "PRÜFUNG"), "links"),
        (("Id",), "X-1"),
    ],
)
def test_every_key_in_every_form(form: str, keys: tuple[str, ...], value: str) -> None:
    for key in keys:
        only = item(f"a {form.format(key, value)}")
        said = {"o": only.output, "c": "".join(only.context), "k": "".join(only.context), "i": only.id}
        said["a"] = only.hints.agent if key == "Agent" else only.output
        if only.hints.checks:
            said["c"] = said["p"] = "".join(only.hints.checks)
        assert (only.title, said[key[0].lower()]) == ("a", value)


@pytest.mark.parametrize("after", ["After: T1", "Nach: `T1`", "after: o/1.md", "NACH: O/1.md, T1"])
def test_after_by_id_or_output(after: str) -> None:
    plan = in_group(f"- [ ] T1 a → Output: o/1.md\n- [ ] b → {after}")
    assert plan.diagnostics == ()
    assert plan.items[1].hints == Hints(after=(ItemReference("1:o/1.md"),))


@pytest.mark.parametrize(
    ("refs", "criteria"),
    [
        ("#1", (1,)),
        ("1", (1,)),
        ("#3, #1", (1, 3)),
        ("1 3", (1, 3)),
        ("1;3", (1, 3)),
        ("#1 und #3", (1, 3)),
        ("1 AND 3", (1, 3)),
        ("1 & 3", (1, 3)),
        ("1&3", (1, 3)),
        ("1-3", (1, 2, 3)),
        ("#1\u2013#3", (1, 2, 3)),
        ("#1 - 2, 2", (1, 2)),
        ("1-2, 2-3 und 1", (1, 2, 3)),
        ("2-2", (2,)),
        ("`#1`, 2", (1, 2)),
        ("002", (2,)),
        ("#1,", (1,)),
        ("#1,,#2", (1, 2)),
    ],
)
def test_references_to_criteria(refs: str, criteria: tuple[int, ...]) -> None:
    assert item(f"a → DoD: {refs}").criteria == item(f"a (DoD: {refs})").criteria == criteria


@pytest.mark.parametrize(
    ("refs", "code", "place"),
    [
        ("#4", "GB214", "#4"),
        ("#0", "GB214", "#0"),
        ("1, 2-9", "GB214", "2-9"),
        ("`#9`", "GB214", "`#9`"),
        ("1 oder 2", "GB213", "1 oder 2"),
        ("#x", "GB213", "#x"),
        ("1a", "GB213", "1a"),
        ("9999999999", "GB213", "9999999999"),
        ("#1 --- 2", "GB213", "#1 --- 2"),
        ("#", "GB213", "#"),
        ("3-1", "GB213", "3-1"),
        (",", "GB213", "→ DoD: ,"),
    ],
)
def test_bad_references_are_shown_where_they_are(refs: str, code: str, place: str) -> None:
    text = f"{DOD}## Arbeitspakete\n### G\n- [ ] ä → DoD: {refs}\n"
    (diagnostic,) = parse(text).diagnostics
    assert (diagnostic.code, marked(diagnostic, text)) == (code, place)


@pytest.mark.parametrize(
    ("values", "context"),
    [
        ("a.md", ("a.md",)),
        ("a.md,b.md;c.md", ("a.md", "b.md", "c.md")),
        (" a.md ,\n  b.md ", ("a.md", "b.md")),
        ("`a, b.md`, c.md", ("a, b.md", "c.md")),
        ("[a, b](<c d.md>), [e](f.md#g)", ("c d.md", "f.md#g")),
        ("notes (1, 2).md, b.md", ("notes (1, 2).md", "b.md")),
        ("a.md, a.md", ("a.md",)),
        ("`a.md` §3", ("`a.md` §3",)),
        ("docs/**/*.md", ("docs/**/*.md",)),
        ("<!-- x --> a <!-- x -->, b", ("a", "b")),
    ],
)
def test_values(values: str, context: tuple[str, ...]) -> None:
    assert item(f"t (context: {values})").context == context


def test_an_arrow_clause_ends_where_the_next_thing_begins() -> None:
    only = item("t → Context: a (b).md (DoD: 1) → Agent: x <!-- retries: 2 --> tail")
    assert (only.title, only.context, only.criteria) == ("t tail", ("a (b).md",), (1,))
    assert only.hints == Hints(agent="x", retries=2)


@pytest.mark.parametrize("path", ["docs/a->b.md", "docs/ä→ö.md", "a=>b", "docs/a→.md"])
def test_an_arrow_inside_a_path_does_not_end_it(path: str) -> None:
    """What comes after it was taken for a part of the title, and another file was written."""
    only = item(f"t → Output: {path} → then")
    assert (only.output, only.title) == (path, "t → then")
    assert item(f"t → Output: {path}→DoD: #1").output == path


def test_an_unclosed_bracket_still_ends_at_the_next_clause() -> None:
    text = "- [ ] t (context: a.md → DoD: #1 (output: o.md)"
    plan = in_group(text)
    (only,) = plan.items
    assert codes(plan) == ["GB211"]
    assert (only.context, only.criteria, only.output) == (("a.md",), (1,), "o.md")


def test_the_place_of_a_clause_is_without_the_space_behind_it() -> None:
    text = "## Arbeitspakete\n### G\n- [ ] t → Context: a → Context: b   \n"
    (diagnostic,) = parse(text).diagnostics
    assert marked(diagnostic, text) == "→ Context: b"


@pytest.mark.parametrize(
    "text",
    [
        "Rework it (Context API/React hooks)",
        "Rework it (Output docs/a.md as HTML)",
        "Rework it → Context api/v2 is the old one",
        "Say what `Output:` means",
        "Say what ``a ` b`` means",
    ],
)
def test_text_that_only_looks_like_a_clause(text: str) -> None:
    assert item(text).title == text


@pytest.mark.parametrize(
    "text",
    [
        "a (Context docs/a.md)",
        "a (Context docs/a.md, b.md)",
        "a → Output docs/a.md",
        "a → Output docs/a.md → DoD: #1",
    ],
)
def test_a_clause_without_its_colon(text: str) -> None:
    assert codes(in_group(f"- [ ] {text}")) == ["GB210"]


@pytest.mark.parametrize(
    ("clause", "context", "adds"),
    [
        ("(context: +x.md)", ("x.md",), True),
        ("(context: + x.md, +y z.md)", ("x.md", "y z.md"), True),
        ("(Kontext: +x.md; +`b (c).md`, +[l](<m n.md>))", ("x.md", "b (c).md", "m n.md"), True),
        ("\u2192 Context: +x.md \u2192 DoD: #1", ("x.md",), True),
        ("(context: +\n  x.md)", ("x.md",), True),
        ("(context: ++x.md)", ("+x.md",), True),
        ("(context: `+x.md`)", ("+x.md",), False),
        ("(context: `+x.md`, y.md)", ("+x.md", "y.md"), False),
        ("(context: [+x](+x.md))", ("+x.md",), False),
        ("(context: a+b.md)", ("a+b.md",), False),
        ("(context: x.md)", ("x.md",), False),
    ],
)
def test_a_context_in_addition(clause: str, context: tuple[str, ...], adds: bool) -> None:  # noqa: FBT001
    found = item(f"a {clause}")
    assert (found.context, found.adds_context) == (context, adds)
    assert found.reads_earlier is adds


def test_an_item_without_context_reads_the_groups_before() -> None:
    assert item("a").reads_earlier


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ("+x.md, y.md", 26),
        ("x.md, +y.md", 25),
        ("`+x.md`, +y.md", 28),
        ("+x.md, `y.md`", 26),
        ("+", 19),
        ("+, +y.md", 19),
    ],
)
def test_plus_stands_on_all_files_or_on_none(values: str, column: int) -> None:
    (found,) = in_group(f"- [ ] a (context: {values})").diagnostics
    assert (found.code, found.column) == ("GB213", column)


@pytest.mark.parametrize(
    "text",
    ["(Context-API/React)", "(Context/React)", "(after lunch)", "(after T1 has ended)", "(nach dem Essen)"],
)
def test_a_key_without_a_colon_is_text_where_no_value_follows(text: str) -> None:
    assert item(f"a {text}").title == f"a {text}"


@pytest.mark.parametrize("text", ["(after T1)", "(nach T1, T2)", "\u2192 After T1"])
def test_a_key_without_a_colon_is_reported_where_ids_follow(text: str) -> None:
    assert codes(in_group(f"- [ ] T1 a\n- [ ] T2 b\n- [ ] c {text}")) == ["GB210"]


@pytest.mark.parametrize(
    ("text", "checks"),
    [
        ("a → Check: links, style", ("links", "style")),
        ("a → Prüfung: `links`; style; links", ("links", "style")),
        ("a (check: none)", ()),
        ("a (check: links) <!-- check: links -->", ("links",)),
        ("a <!-- check: style, links -->", ("style", "links")),
        ("a", None),
    ],
)
def test_checks_of_an_item(text: str, checks: tuple[str, ...] | None) -> None:
    plan = in_group(f"- [ ] {text}")
    assert (plan.items[0].hints.checks, plan.diagnostics) == (checks, ())


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("a → Check: the links", "GB213", "the links"),
        ("a → Check: links, none", "GB213", "none"),
        ("a → Chek: links", "GB210", "Chek"),
        ("a → Check: links <!-- check: style -->", "GB302", "links"),
    ],
)
def test_checks_that_are_not_understood(text: str, code: str, place: str) -> None:
    source = f"## Work Packages\n### G\n- [ ] {text}\n"
    (found,) = parse(source).diagnostics
    assert (found.code, marked(found, source)) == (code, place)
