"""The help of diagnostics: German in a plan with a German work section, else English; one table has both."""

import re
from pathlib import Path
from string import Formatter

import pytest
from plan.plan_samples import parse
from plan.test_plan_diagnostics import ALL_CODES, CASES, Case

from gitbatch.batch.planning import check_problems
from gitbatch.plan import help_texts
from gitbatch.plan.help_texts import Advice, Language
from gitbatch.plan.model import Diagnostic
from gitbatch.project import control, scope
from gitbatch.project import help_texts as project_texts

TABLE = {
    name: value
    for module in (help_texts, project_texts, scope, control, check_problems)
    for name, value in vars(module).items()
    if isinstance(value, Advice)
}
BY_CHOICE = {"SOME_TIME"}
"""Texts whose placeholder is filled with another text in German."""


def placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("name", TABLE)
def test_every_help_text_has_both_languages(name: str) -> None:
    advice = TABLE[name]
    assert advice.english.strip()
    assert advice.german.strip()
    assert advice.english != advice.german
    if name not in BY_CHOICE:
        assert placeholders(advice.english) == placeholders(advice.german)


def test_every_help_text_of_the_package_is_in_the_table() -> None:
    """Elsewhere, only the advice of an error becomes help: its file has no language, or the advice has it already."""
    package = Path(help_texts.__file__).parents[1]
    texts = {path.relative_to(package).as_posix(): path.read_text("utf-8") for path in package.rglob("*.py")}
    tables = {path for path, text in texts.items() if re.search(r"\bAdvice\(", text)}
    assert tables == {
        *("plan/help_texts.py", "project/help_texts.py", "project/scope.py", "project/control.py"),
        "batch/planning/check_problems.py",
    }
    passed_on = [
        found for text in texts.values() for found in re.findall(r"Advice\.in_english\((.*?)\)", text)
    ]
    assert set(passed_on) == {"error.advice"}


def test_a_text_for_each_language_may_fill_a_placeholder() -> None:
    both = Advice("write {what}", "schreibe {what}").fill(what=Advice("a {b}", "ein {b}"))
    assert both == Advice("write a {b}", "schreibe ein {b}")
    assert both.in_language(Language.EN) == "write a {b}"
    assert both.in_language(Language.DE) == "schreibe ein {b}"


def test_a_quoted_text_has_the_quotation_marks_of_its_language() -> None:
    filled = help_texts.MEANT_KEY.fill(key="“Output:”")
    assert filled.english.startswith("did you mean “Output:”?")
    assert filled.german.startswith("ist „Output:“ gemeint?")


def without_help(diagnostic: Diagnostic) -> tuple[str, int, int, str]:
    message = re.sub("Work Packages|Arbeitspakete", "…", diagnostic.message)
    return diagnostic.code, diagnostic.start, diagnostic.end, message


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_german_plan_has_german_help(case: Case) -> None:
    english, german = parse(case.plan), parse(case.plan.replace("Work Packages", "Arbeitspakete"))
    assert [*map(without_help, german.diagnostics)] == [*map(without_help, english.diagnostics)]
    assert english.language is Language.EN
    if "Work Packages" not in case.plan:
        return
    assert german.language is Language.DE
    for before, after in zip(english.diagnostics, german.diagnostics, strict=True):
        assert before.help != after.help


def test_every_code_has_help_in_both_languages() -> None:
    """GB001 to GB003 are about a file that could not be read: it has no title. GB221 needs an option."""
    said = {
        d.code
        for case in CASES
        for d in parse(case.plan.replace("Work Packages", "Arbeitspakete")).diagnostics
        if d.help and parse(case.plan).language is Language.EN
    }
    assert said >= ALL_CODES - {"GB001", "GB002", "GB003", "GB221"}


@pytest.mark.parametrize(
    ("title", "help_says", "setting"),
    [
        ("Tasks", "did you mean “Work Packages”?", 'work = ["Tasks"]'),
        ("TODO", "did you mean “Work Packages”?", 'work = ["TODO"]'),
        ("Steps", "did you mean “Work Packages”?", 'work = ["Steps"]'),
        ('3. **To-Do** "now"', "did you mean “Work Packages”?", 'work = ["3. **To-Do** \\"now\\""]'),
        ("Aufgaben", "ist „Arbeitspakete“ gemeint?", 'work = ["Aufgaben"]'),
    ],
)
def test_titles_of_other_people_are_suggested_with_the_setting(
    title: str, help_says: str, setting: str
) -> None:
    plan = parse(f"# Plan\n\n## {title}\n\n### First\n\n- [ ] a\n\n### Second\n\n- [ ] b\n")
    assert [d.code for d in plan.diagnostics] == ["GB100", "GB102"]
    said = plan.diagnostics[1].help
    assert said.startswith(help_says)
    assert said.endswith(f"[titles]\n{setting}")
    assert plan.groups == ()


@pytest.mark.parametrize(
    "text",
    [
        "## Tasks\n- [ ] a\n",
        "## Tasks\n### G\nno box\n",
        "## Definition of Done\n### Steps\n#### G\n- [ ] a\n",
        "## Work Packages\n### Tasks\n#### Deep\n- [ ] a\n",
    ],
)
def test_titles_of_other_people_without_groups_are_headings(text: str) -> None:
    assert "GB102" not in {d.code for d in parse(text).diagnostics}


def test_the_section_is_suggested_once_and_also_besides_a_real_one() -> None:
    plan = parse(
        "## Work Packages\n### G\n- [ ] a\n## Tasks of phase 2\n### Steps\n#### G\n- [ ] b\n### H\n- [ ] c\n"
    )
    assert [(d.code, d.line) for d in plan.diagnostics] == [("GB102", 4)]
