"""Every diagnostic, as a user sees it. `diagnostics.txt` has a plan and all that is said about it, case by case."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from plan.plan_samples import codes, in_group, marked, parse, rendered

from gitbatch.plan.blocks import MAX_BOXES
from gitbatch.plan.model import PlanOptions, Severity
from gitbatch.plan.parse import parse_plan
from gitbatch.plan.render import render_diagnostic
from gitbatch.plan.source import MAX_FILE, MAX_LINE

ALL_CODES = {
    *("GB001", "GB002", "GB003"),
    *("GB100", "GB101", "GB102", "GB103", "GB104"),
    *("GB201", "GB202", "GB203"),
    *("GB210", "GB211", "GB212", "GB213", "GB214", "GB215"),
    *("GB220", "GB221", "GB222", "GB223"),
    *("GB230", "GB231"),
    *("GB301", "GB302", "GB303", "GB304"),
}


class Case(NamedTuple):
    name: str
    plan: str
    said: str


def cases() -> Iterator[Case]:
    text = (Path(__file__).parent / "diagnostics.txt").read_text(encoding="utf-8")
    for case in text.split("===== ")[1:]:
        name, _, body = case.partition("\n")
        plan, _, said = body.partition("-----\n")
        yield Case(name, plan, said.rstrip("\n"))


CASES = tuple(cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_said(case: Case) -> None:
    assert rendered(case.plan) == case.said


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_places_are_bytes_of_the_file_and_columns_are_characters(case: Case) -> None:
    for diagnostic in parse(case.plan).diagnostics:
        before = case.plan.encode()[: diagnostic.start].decode()
        assert diagnostic.line == before.count("\n") + 1
        assert diagnostic.column == len(before) - before.rfind("\n")
        assert "\n" not in marked(diagnostic, case.plan)


def test_every_code_has_a_case() -> None:
    """The first three need bytes that don't fit in a text file; guessing needs an option."""
    here = Path(__file__).read_text(encoding="utf-8").partition("class Case")[2]
    said = "".join(case.said for case in CASES) + here
    assert set(re.findall(r"\bGB\d{3}\b", said)) == ALL_CODES


def test_the_source_uses_no_other_code() -> None:
    package = Path(__file__).parent.parent.parent / "gitbatch" / "plan"
    source = "".join(path.read_text(encoding="utf-8") for path in package.glob("*.py"))
    assert set(re.findall(r'"(GB\d{3})"', source)) == ALL_CODES


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"# T\n\n\xe4rger\n", "task.md:3:1: GB001 error: byte 0xe4 is not UTF-8"),
        (b"# \xc3\xa4\xc3\n", "task.md:1:4: GB001 error: byte 0xc3 is not UTF-8"),
        (b"\xff\xfe#\0 \0", "task.md:1:1: GB001 error: the file is UTF-16"),
        (b"a\r\n\0b\n", "task.md:2:1: GB001 error: a NUL character in a text file"),
        (b"\xef\xbb\xbfa" + b"b" * MAX_LINE, "task.md:1:1: GB002 error: the line is longer than 8,192 bytes"),
        (b"a\n" * (MAX_FILE // 2 + 1), "task.md:1:1: GB002 error: the file is larger than 2,097,152 bytes"),
        (b"- [ ] a\n" * (MAX_BOXES + 1), "task.md:10001:4: GB002 error: the file has more than 10,000 boxes"),
        ("ab\ufdd0".encode(), "task.md:1:3: GB003 error: U+FDD0 is not a character (Unicode keeps it for internal use)"),
        ("\U0010ffff".encode(), "task.md:1:1: GB003 error: U+10FFFF is not a character (Unicode keeps it for internal use)"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_files_that_are_no_plan_at_all(data: bytes, said: str) -> None:
    plan = parse_plan(data, "task.md", PlanOptions())
    (diagnostic,) = plan.diagnostics
    assert render_diagnostic(diagnostic, data, plan.path).partition("\n")[0] == said
    assert (plan.groups, plan.criteria, plan.errors) == ((), (), plan.diagnostics)


def test_a_line_and_a_file_at_their_limits_are_read() -> None:
    assert codes(in_group("- [ ] " + "a" * (MAX_LINE - 6) + "\r")) == []
    many = parse("## Arbeitspakete\n### G\n" + "- [ ] a\n" * MAX_BOXES)
    assert len(many.items) == MAX_BOXES


def test_guessing_an_output_from_two_paths() -> None:
    plan = in_group("- [ ] Move `src/a.py` to src/b.py.", PlanOptions(guess_output=True))
    (diagnostic,) = plan.diagnostics
    assert (diagnostic.code, diagnostic.severity) == ("GB221", Severity.ERROR)
    assert diagnostic.message == "the text names 2 paths: which one is the output?"


@pytest.mark.parametrize(
    "text",
    [
        "<!-- output: see the table, which lists them all -->\n\n# P\n<!-- agent -->\n<!-- sequental -->",
        "<!-- prettier-ignore -->\n# P",
        "# P\n\n`<!-- sequential -->`\n\n    <!-- parallel -->",
    ],
)
def test_comments_elsewhere_in_the_file_are_left_alone(text: str) -> None:
    assert codes(parse(f"{text}\n\n## Arbeitspakete\n### G\n- [ ] a\n")) == []


@pytest.mark.parametrize(
    "text",
    [
        "Migrate A -> Noun: text",
        "see (siehe: x.md) and (e.g. DoD #1 of last year)",
        "Text → Output der letzten Phase prüfen",
        "Escaped \\(context: x.md) and \\-> DoD: #9",
        "In a link: [→ DoD: #9](x.md) and in <!-- a comment → DoD: #9 -->",
        "``a ` → DoD: #9``",
        "Do it (doc: x.md) or → Dot: y",
        "a ==> b --> c => d -> e → f",
        "> - [ ] in one line",
    ],
)
def test_text_that_is_no_clause(text: str) -> None:
    plan = in_group(f"- [ ] {text}")
    assert codes(plan) == []
    assert (plan.items[0].criteria, plan.items[0].context) == ((), ())
