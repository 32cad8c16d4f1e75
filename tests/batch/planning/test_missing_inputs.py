"""What an item is meant to read and does not get: named with the reason, and required where it is declared."""

from collections.abc import Mapping

import pytest
from project.file_tree import FileTree

from gitbatch.batch.model import BatchItem, CheckpointMode, ItemStatus, Outcome
from gitbatch.batch.planning.missing_inputs import InputFinder, find_blocking_input
from gitbatch.plan.model import PlanOptions
from gitbatch.plan.parse import parse_plan
from gitbatch.project.config import BatchTable, Config
from gitbatch.project.context import InputProblem, MissingInput
from gitbatch.project.control import find_project
from gitbatch.text import clean_text

PLAN = """\
## Work Packages

### Sources
- [x] T101 Write a → Output: in/a.md
- [ ] T102 Write b → Output: in/b.md
- [ ] T103 Write c → Output: in/c.md

### Pages
- [ ] T201 Merge → Output: out/all.md
- [ ] T202 Shorten b → Output: out/b.md (context: in/b.md)
- [ ] T203 List the folder → Output: out/list.md (context: in)
- [ ] T204 Use notes → Output: out/notes.md (context: notes.md)
- [ ] T205 After the merge → After: T201 → Output: out/after.md (context: in/a.md)
- [ ] T206 Of the same group → Output: out/same.md (context: out/all.md)
"""
FILES = {"task.md": PLAN, "in/a.md": "a", "in/b.md": "b", "in/c.md": "c", "notes.md": "n"}
ALL = frozenset(
    {"in/b.md", "in/c.md", *(f"out/{name}.md" for name in ("all", "b", "list", "notes", "after", "same"))}
)
WAVES = "## Pages\n\n- `in/b.md`\n- `in/d.md`\n- [the old one](in/old.md)\n- the interviews\n- `T101`\n- `out/all.md`\n"


def outcome_of(path: str, reason: str = "exit 3") -> Outcome:
    return Outcome(BatchItem(path, path, path, path), ItemStatus.FAILED, reason=clean_text(reason))


def missing(
    name: str,
    files: Mapping[str, str],
    failed: tuple[str, ...] = (),
    chosen: frozenset[str] = ALL,
) -> tuple[MissingInput, ...]:
    """What an item is missing in a project with these files, after some outputs were not written."""
    tree = FileTree(files)
    project = find_project(tree, Config())
    plan = parse_plan(tree.read("task.md") or b"", "task.md", PlanOptions())
    assert not plan.errors
    finder = InputFinder(plan, project, tree, {path: outcome_of(path) for path in failed}, chosen)
    group, item = next((group, item) for group in plan.groups for item in group.items if item.id == name)
    return finder.find_missing(item, group)


def without(*paths: str) -> dict[str, str]:
    return {path: text for path, text in FILES.items() if path not in paths}


FAILED_B = "not written: in/b.md (failed: exit 3)"
VANISHED_A = "not found: in/a.md (T101 is ticked, but the file is not in the commit)"


@pytest.mark.rule("P4", "C3")
@pytest.mark.parametrize(
    ("name", "files", "failed", "chosen", "said"),
    [
        ("T201", FILES, (), ALL, []),
        ("T201", without("in/b.md"), ("in/b.md",), ALL, [FAILED_B]),
        ("T201", FILES, ("in/b.md",), ALL, ["not updated: in/b.md (failed: exit 3)"]),
        ("T201", without("in/a.md"), (), ALL, [VANISHED_A]),
        (
            "T201",
            without("in/c.md"),
            (),
            ALL - {"in/c.md"},
            ["not written: in/c.md (T103 is open and not part of this batch)"],
        ),
        ("T201", {**without("in/b.md"), "in/b.condensed.md": "b"}, (), ALL, []),
        ("T202", without("in/b.md"), ("in/b.md",), ALL, [FAILED_B]),
        ("T202", without("in/a.md"), (), ALL, []),
        ("T203", without("in/b.md"), ("in/b.md",), ALL, [FAILED_B]),
        ("T204", without("notes.md"), (), ALL, ["not found: notes.md (it is not in the commit)"]),
        ("T205", FILES, ("out/all.md",), ALL, ["not written: out/all.md (failed: exit 3)"]),
        ("T205", FILES, (), ALL, []),
        ("T206", FILES, (), ALL, []),
        ("T206", FILES, (), ALL - {"out/all.md"}, ["not found: out/all.md (it is not in the commit)"]),
    ],
)
def test_each_missing_input_is_named_with_its_reason(
    name: str, files: Mapping[str, str], failed: tuple[str, ...], chosen: frozenset[str], said: list[str]
) -> None:
    assert list(map(str, missing(name, files, failed, chosen))) == said


@pytest.mark.rule("C2")
def test_what_a_context_document_names_is_missed() -> None:
    files = {**without("in/b.md"), "discovery-waves.md": WAVES}
    assert list(map(str, missing("T202", files, ("in/b.md",)))) == [
        FAILED_B,
        "not found: in/d.md (named in discovery-waves.md)",
        "not found: in/old.md (named in discovery-waves.md)",
        "not found: out/all.md (named in discovery-waves.md)",
    ]
    assert "out/all.md" not in [each.path for each in missing("T201", files)], "its own output"


@pytest.mark.rule("C3")
def test_what_is_declared_in_addition_is_required_although_it_is_read_anyway() -> None:
    plan = PLAN.replace("(context: in/b.md)", "(context: +in/b.md)")
    (found,) = missing("T202", {**without("in/b.md"), "task.md": plan}, ("in/b.md",))
    assert (str(found), found.is_required) == (FAILED_B, True)


TELL, BLOCK = BatchTable(on_missing="tell"), BatchTable(on_missing="block")


@pytest.mark.parametrize(
    ("name", "files", "failed", "table", "mode", "blocked"),
    [
        ("T201", without("in/b.md"), ("in/b.md",), BatchTable(), "after-each", ""),
        ("T201", without("in/b.md"), ("in/b.md",), BatchTable(), "after-batch:2", ""),
        ("T201", without("in/b.md"), ("in/b.md",), BatchTable(), "at-end", "blocked"),
        ("T201", without("in/b.md"), ("in/b.md",), TELL, "at-end", ""),
        ("T201", without("in/b.md"), ("in/b.md",), BLOCK, "after-each", "blocked"),
        ("T201", FILES, ("in/b.md",), BLOCK, "after-each", "blocked"),
        ("T201", without("in/a.md"), (), BLOCK, "after-each", ""),
        ("T202", without("in/b.md"), ("in/b.md",), TELL, "after-each", "blocked"),
        ("T202", FILES, ("in/b.md",), TELL, "after-each", "blocked"),
        ("T203", without("in/b.md"), ("in/b.md",), TELL, "after-each", ""),
        ("T203", without("in/b.md"), ("in/b.md",), BLOCK, "after-each", "blocked"),
        ("T203", without("in/a.md", "in/b.md", "in/c.md"), ("in/b.md",), TELL, "after-each", "blocked"),
        ("T204", without("notes.md"), (), TELL, "after-each", "blocked"),
        ("T205", FILES, ("out/all.md",), TELL, "after-each", ""),
    ],
)
def test_what_keeps_an_item_from_starting(
    name: str, files: Mapping[str, str], failed: tuple[str, ...], table: BatchTable, mode: str, blocked: str
) -> None:
    found = find_blocking_input(missing(name, files, failed), table, CheckpointMode.parse(mode))
    assert (found is not None) == bool(blocked)


def test_an_older_version_that_is_done_suffices_for_a_declared_file() -> None:
    """The item that wrote the file is done; only the one that was to revise it failed."""
    (found,) = missing("T202", {**FILES, "task.md": PLAN.replace("[ ] T102", "[x] T102")}, ("in/b.md",))
    assert (found.problem, found.is_required) == (InputProblem.NOT_UPDATED, False)
