"""What an agent is given to read: which files, in which order, why, and in which form."""

from collections.abc import Mapping

import pytest
from project.file_tree import FileTree, blob_of

from gitbatch.plan.model import PlanOptions
from gitbatch.plan.parse import parse_plan
from gitbatch.project.config import Config, ProjectTable
from gitbatch.project.context import (
    ContextFile,
    ContextReason,
    find_files,
    phase_context,
    possible_paths,
)
from gitbatch.project.control import Project, find_project
from gitbatch.project.manifest import list_context

HOME = "docs/phases/one/"
RULES, STATUS = (f"{HOME}rules.md", ContextReason.RULES), (f"{HOME}status.md", ContextReason.STATUS)

PLAN = """\
## Arbeitspakete

### First
- [x] T101 Write a → Output: out/a.md
- [ ] T102 Write b → Output: out/b.md

### Second
- [ ] T201 Write c → Output: out/c.md
- [ ] T202 Write d → Output: out/d.md (context: src/one.py, notes, docs/missing.md, beside.md)

### Third: *C#* & more
- [ ] T301 Write e → Output: out/e.md
"""

FILES: Mapping[str, str] = {
    "CLAUDE.md": "## Active Scope\n\nPhase: one\n",
    f"{HOME}task.md": PLAN,
    f"{HOME}rules.md": "the rules",
    f"{HOME}status.md": "the status",
    f"{HOME}beside.md": "beside the plan",
    "src/one.py": "one",
    "notes/a.md": "note a",
    "notes/deep/b.md": "note b",
    "out/a.md": "of T101",
    "out/d.md": "of T202",
}

WAVES = f"{HOME}discovery-waves.md"


def project_of(files: Mapping[str, str], config: Config | None = None) -> tuple[Project, FileTree]:
    tree = FileTree(files)
    return find_project(tree, config or Config()), tree


def files_for(name: str, files: Mapping[str, str], config: Config | None = None) -> tuple[ContextFile, ...]:
    """The manifest of an item in a project with these files."""
    project, tree = project_of(files, config)
    plan = parse_plan(tree.read(project.plan_path) or b"", project.plan_path, PlanOptions())
    assert not plan.errors
    group, item = next((group, item) for group in plan.groups for item in group.items if item.id == name)
    return list_context(item, group, plan, project, tree)


def given(
    name: str, files: Mapping[str, str], config: Config | None = None
) -> list[tuple[str, ContextReason]]:
    """Path and reason of each file that an item is given."""
    return [(file.path, file.reason) for file in files_for(name, files, config)]


def without(*paths: str) -> dict[str, str]:
    return {path: text for path, text in FILES.items() if path not in paths}


@pytest.mark.rule("C1")
def test_the_rules_and_the_status_come_first() -> None:
    assert given("T101", FILES) == [RULES, STATUS]


@pytest.mark.rule("C1")
@pytest.mark.parametrize("missing", [RULES, STATUS])
def test_without_rules_or_status_the_rest_is_given(missing: tuple[str, ContextReason]) -> None:
    assert given("T101", without(missing[0])) == [file for file in (RULES, STATUS) if file != missing]


def test_a_file_is_named_with_the_blob_that_the_commit_has() -> None:
    rules, _ = files_for("T101", FILES)
    assert rules == ContextFile(f"{HOME}rules.md", blob_of(b"the rules"), ContextReason.RULES)
    assert rules.blob == "2cc0d3a9c7ac7fd847b68594f29fccd37478a2b8"


@pytest.mark.rule("C2")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`src/one.py`", ["src/one.py"]),
        ("Read `src/one.py`, then `notes/a.md`.", ["src/one.py", "notes/a.md"]),
        ("[one](/src/one.py)", ["src/one.py"]),
        ("[one](<src/one.py>) and [a](notes/a.md#part)", ["src/one.py", "notes/a.md"]),
        ("- src/one.py\n- notes/a.md", ["src/one.py", "notes/a.md"]),
        ("* src/one.py\n+ notes/a.md  ", ["src/one.py", "notes/a.md"]),
        ("1. src/one.py\n2) notes/a.md", ["src/one.py", "notes/a.md"]),
        ("- `src/one.py`\n- [a](notes/a.md)", ["src/one.py", "notes/a.md"]),
        ("- `src/one.py`: the source\n  - notes/a.md", ["src/one.py", "notes/a.md"]),
        ("- with space.md", ["with space.md"]),
        ("- [x] src/one.py", ["src/one.py"]),
        ("- src/one.py - the code", ["src/one.py"]),
        ("- src/one.py: the code", ["src/one.py"]),
        ("1. src/one.py (all of it)", ["src/one.py"]),
        ("- notes/a.md, src/one.py \u2013 both", ["notes/a.md", "src/one.py"]),
        ("- a - b.md", ["a - b.md"]),
        ("`notes`", ["notes/a.md", "notes/deep/b.md"]),
        ("`notes/`, `notes/a.md`", ["notes/a.md", "notes/deep/b.md"]),
        ("`beside.md`", [f"{HOME}beside.md"]),
        ("`src/one.py` `src/one.py`", ["src/one.py"]),
        ("`missing.md`, src/one.py, `../../..`, [part](#part), https://example.org/", []),
        ("<!-- `src/one.py` -->", []),
        ("```\nsrc/one.py\n- src/one.py\n```", []),
        ("### A part\n\n`src/one.py`", ["src/one.py"]),
    ],
)
def test_the_phase_names_files_for_a_group(text: str, expected: list[str]) -> None:
    waves = f"# Waves\n\n`out/a.md`\n\n## First\n\n{text}\n\n## Second\n\n`out/d.md`\n"
    files = {**FILES, WAVES: waves, "with space.md": "", "a - b.md": "", "a": ""}
    assert given("T101", files) == [RULES, STATUS, *((path, ContextReason.PHASE) for path in expected)]


@pytest.mark.rule("C2")
@pytest.mark.parametrize(
    ("heading", "matches"),
    [
        ("## First", True),
        ("#### 1. FIRST:", True),
        ("First\n-----", True),
        ("## **First** (the letters)", True),
        ("## 🔤 1 \u2013 First <!-- wave 1 -->", True),
        ("## First group", False),
        ("## Fir", False),
    ],
)
def test_a_heading_names_a_group_as_titles_are_compared(heading: str, matches: bool) -> None:  # noqa: FBT001
    expected = [("src/one.py", ContextReason.PHASE)] if matches else []
    assert given("T101", {**FILES, WAVES: f"{heading}\n\n`src/one.py`\n"}) == [RULES, STATUS, *expected]


@pytest.mark.rule("C2")
def test_every_context_document_and_every_section_counts() -> None:
    config = Config(project=ProjectTable(context_documents=("b.md", "a.md", "c.md")))
    files = {
        **FILES,
        f"{HOME}a.md": "## First\n\n`src/one.py`\n",
        "docs/b.md": "## First\n\n`notes/a.md`\n\n# Again\n\n## First\n\n`out/d.md`\n",
    }
    expected = ["notes/a.md", "out/d.md", "src/one.py"]
    assert given("T101", files, config) == [
        RULES,
        STATUS,
        *((path, ContextReason.PHASE) for path in expected),
    ]


@pytest.mark.rule("C2")
def test_the_rules_of_the_phase_may_define_what_a_group_reads() -> None:
    files = {**FILES, f"{HOME}rules.md": "# Rules\n\nUse `src/one.py`.\n\n## First\n\nRead `notes/a.md`.\n"}
    assert given("T101", files) == [RULES, STATUS, ("notes/a.md", ContextReason.PHASE)]


@pytest.mark.rule("C2", "C3")
def test_the_phase_counts_beside_what_an_item_declares() -> None:
    files = {**FILES, WAVES: "## Second\n\n`out/a.md`\n"}
    assert given("T202", files)[2:4] == [
        ("out/a.md", ContextReason.PHASE),
        ("src/one.py", ContextReason.DECLARED),
    ]
    assert given("T201", files)[2:] == [("out/a.md", ContextReason.PHASE)]


@pytest.mark.rule("C3")
def test_an_item_reads_what_it_declares_and_nothing_of_earlier_groups() -> None:
    declared = ["src/one.py", "notes/a.md", "notes/deep/b.md", f"{HOME}beside.md"]
    assert given("T202", FILES) == [RULES, STATUS, *((path, ContextReason.DECLARED) for path in declared)]


@pytest.mark.rule("C3")
def test_a_context_in_addition_is_read_besides_the_earlier_groups() -> None:
    plan = PLAN.replace(
        "(context: src/one.py, notes, docs/missing.md, beside.md)", "(context: +src/one.py, +beside.md)"
    )
    assert given("T202", {**FILES, f"{HOME}task.md": plan}) == [
        RULES,
        STATUS,
        ("src/one.py", ContextReason.DECLARED),
        (f"{HOME}beside.md", ContextReason.DECLARED),
        ("out/a.md", ContextReason.EARLIER),
    ]


@pytest.mark.rule("C3")
def test_an_item_that_declares_nothing_reads_what_all_earlier_groups_wrote() -> None:
    assert given("T201", FILES) == [RULES, STATUS, ("out/a.md", ContextReason.EARLIER)]
    earlier = [("out/a.md", ContextReason.EARLIER), ("out/d.md", ContextReason.EARLIER)]
    assert given("T301", FILES) == [RULES, STATUS, *earlier]
    later = {**FILES, "out/b.md": "of T102", "out/e.md": "of T301 itself"}
    assert [path for path, _ in given("T301", later)[2:]] == ["out/a.md", "out/b.md", "out/d.md"]


@pytest.mark.rule("C4")
@pytest.mark.parametrize("condensed", ["notes/a.condensed.md", "notes/condensed/a.md"])
def test_a_condensed_form_stands_for_the_raw_document(condensed: str) -> None:
    files = files_for("T202", {**FILES, "notes/deep/c.md": "c", condensed: "short"})
    stands = ContextFile(condensed, blob_of(b"short"), ContextReason.DECLARED, "notes/a.md")
    named = [file for file in files if file.path == condensed]
    assert [file.blob for file in named] == [stands.blob], "once, although the folder names it too"
    assert "notes/a.md" not in [file.path for file in files]


@pytest.mark.rule("C4")
def test_every_kind_of_context_is_condensed() -> None:
    files = {
        **FILES,
        WAVES: "## Second\n\n`src/one.py`\n",
        f"{HOME}rules.condensed.md": "R",
        f"{HOME}condensed/status.md": "S",
        "src/one.condensed.md": "P",
        "out/condensed/a.md": "E",
    }
    stem, folder = "{name}.condensed.md", "condensed/{name}.md"
    expected = (
        (f"{HOME}rules.condensed.md", b"R", ContextReason.RULES, f"{HOME}rules.md", stem),
        (f"{HOME}condensed/status.md", b"S", ContextReason.STATUS, f"{HOME}status.md", folder),
        ("src/one.condensed.md", b"P", ContextReason.PHASE, "src/one.py", stem),
        ("out/condensed/a.md", b"E", ContextReason.EARLIER, "out/a.md", folder),
    )
    assert files_for("T201", files) == tuple(
        ContextFile(path, blob_of(text), reason, raw, condensed_by=pattern)
        for path, text, reason, raw, pattern in expected
    )


@pytest.mark.rule("C4")
def test_the_first_pattern_wins_and_the_configuration_may_have_others() -> None:
    both = {**FILES, "out/a.condensed.md": "1", "out/condensed/a.md": "2", "out/short {x}.md": ""}
    assert given("T201", both)[2:] == [("out/a.condensed.md", ContextReason.EARLIER)]
    config = Config(project=ProjectTable(condensed=("condensed/{name}.md", "{name}.condensed.md")))
    assert given("T201", both, config)[2:] == [("out/condensed/a.md", ContextReason.EARLIER)]
    assert given("T201", both, Config(project=ProjectTable(condensed=())))[2:] == [
        ("out/a.md", ContextReason.EARLIER)
    ]


@pytest.mark.rule("C4")
@pytest.mark.parametrize(
    ("pattern", "form"),
    [
        ("../short/{name}.md", "short/a.md"),
        ("/docs/short/{name}.md", "docs/short/a.md"),
        ("/docs/short/{folder}/{name}.txt", "docs/short/out/a.txt"),
        ("./x/../{name}-{name}.md", "out/a-a.md"),
    ],
)
def test_a_condensed_form_may_be_in_another_folder(pattern: str, form: str) -> None:
    config = Config(project=ProjectTable(condensed=(pattern,)))
    (file,) = files_for("T201", {**FILES, form: "short"}, config)[2:]
    assert (file.path, file.condensed_from, file.condensed_by) == (form, "out/a.md", pattern)


@pytest.mark.rule("C4")
@pytest.mark.parametrize("pattern", ["../../{name}.md", "/../{name}.md", "/{name}"])
def test_a_condensed_form_is_in_the_repository(pattern: str) -> None:
    config = Config(project=ProjectTable(condensed=(pattern,)))
    assert given("T201", FILES, config)[2:] == [("out/a.md", ContextReason.EARLIER)]


@pytest.mark.rule("C4")
def test_a_form_that_could_be_that_of_two_documents_stands_for_neither() -> None:
    config = Config(project=ProjectTable(condensed=("/short/{name}.md",)))
    plan = PLAN.replace(
        "context: src/one.py, notes, docs/missing.md, beside.md", "context: out/a.md, notes/a.md"
    )
    files = {**FILES, f"{HOME}task.md": plan, "short/a.md": "of which?"}
    found = files_for("T202", files, config)[2:]
    assert [(file.path, file.form_not_taken) for file in found] == [
        ("out/a.md", "short/a.md"),
        ("notes/a.md", "short/a.md"),
    ]
    missing = {path: text for path, text in files.items() if path != "notes/a.md"}
    assert [file.path for file in files_for("T202", missing, config)[2:]] == ["short/a.md"]


@pytest.mark.rule("C4")
def test_a_condensed_form_is_not_condensed_into_itself() -> None:
    config = Config(project=ProjectTable(condensed=("{name}.md",)))
    assert given("T201", FILES, config) == [RULES, STATUS, ("out/a.md", ContextReason.EARLIER)]


@pytest.mark.rule("C4")
def test_a_condensed_form_may_be_there_without_its_raw_document() -> None:
    files = {**without("out/a.md"), "out/a.condensed.md": ""}
    assert given("T201", files)[2:] == [("out/a.condensed.md", ContextReason.EARLIER)]


def test_a_file_is_given_once_for_its_first_reason() -> None:
    plan = PLAN.replace("src/one.py, notes", f"{HOME}rules.md, src/one.py, src/one.py, src")
    files = {**FILES, f"{HOME}task.md": plan, WAVES: "## Second\n\n`src/one.py`\n"}
    expected = [
        RULES,
        STATUS,
        ("src/one.py", ContextReason.PHASE),
        (f"{HOME}beside.md", ContextReason.DECLARED),
    ]
    assert given("T202", files) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.md", ("a.md", f"{HOME}a.md")),
        ("/a.md", ("a.md",)),
        ("//a.md", ("a.md",)),
        ("./a.md", ("a.md", f"{HOME}a.md")),
        ("notes/", ("notes", f"{HOME}notes")),
        ("../two/a.md", ("docs/phases/two/a.md",)),
        ("../../../a.md", ("a.md",)),
        ("../../../../a.md", ()),
        ("/../a.md", ()),
        ("..notes/a.md", ("..notes/a.md", f"{HOME}..notes/a.md")),
        (".", ("docs/phases/one",)),
        ("/", ()),
    ],
)
def test_the_paths_that_a_name_may_mean(name: str, expected: tuple[str, ...]) -> None:
    project, _ = project_of(FILES)
    assert possible_paths(name, project) == expected


def test_at_the_top_a_name_means_one_path() -> None:
    project, _ = project_of({"task.md": ""})
    assert possible_paths("docs/../a.md", project) == ("a.md",)


def test_the_top_folder_goes_before_the_plans() -> None:
    project, tree = project_of({**FILES, "beside.md": "", f"{HOME}notes/x.md": ""})
    assert find_files("beside.md", project, tree) == ("beside.md",)
    assert find_files("notes", project, tree) == ("notes/a.md", "notes/deep/b.md")
    assert find_files("missing", project, tree) == ()


def test_a_group_that_the_phase_does_not_know_needs_nothing() -> None:
    project, tree = project_of({**FILES, WAVES: "## Third: C# & more\n\n`src/one.py`\n"})
    plan = parse_plan(PLAN.encode(), project.plan_path, PlanOptions())
    assert [phase_context(group, project, tree) for group in plan.groups] == [(), (), ("src/one.py",)]
