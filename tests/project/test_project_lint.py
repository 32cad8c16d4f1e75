"""A plan on the disk is read with the options that its project has."""

from pathlib import Path

import pytest
from project.file_tree import FileTree

from gitbatch.errors import PlanError, UsageError
from gitbatch.project.lint import check_plan, check_scope, find_active_plan, find_project_root

PLAN = "## Aufgaben\n\n### G\n\n- [ ] T1 a → Output: docs/phases/one/status.md\n- [ ] T2 b\n"
CONFIG = '[titles]\nwork = ["Aufgaben"]\n'
SCOPE = "## Active Scope\n\nPhase: one\n"


def write(root: Path, **files: str) -> None:
    """Write files; `__` in a name stands for a slash, the suffix is .md or, for gitbatch, .toml."""
    for name, text in files.items():
        path = root / (name.replace("__", "/") + (".toml" if name.endswith("gitbatch") else ".md"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def codes(path: Path) -> list[str]:
    return [diagnostic.code for diagnostic in check_plan(path).plan.diagnostics]


def test_the_options_are_those_of_the_phase(tmp_path: Path) -> None:
    write(tmp_path, CLAUDE=SCOPE, gitbatch=CONFIG, docs__phases__one__task=PLAN)
    checked = check_plan(tmp_path / "docs/phases/one/task.md")
    assert (checked.path, checked.source) == (str(tmp_path / "docs/phases/one/task.md"), PLAN.encode())
    assert [item.output for item in checked.plan.items][1] == "one/g/T2.md"
    assert codes(tmp_path / "docs/phases/one/task.md") == ["GB222"], "its status.md is protected"


def test_the_options_are_those_of_the_plan(tmp_path: Path) -> None:
    """A plan in any place of a project without phases has its control files, and assigned outputs, in its folder."""
    text = PLAN.replace("docs/phases/one/status.md", "api/status.md")
    write(tmp_path, gitbatch=CONFIG, task=PLAN, api__plan=text)
    checked = check_plan(tmp_path / "api/plan.md")
    assert [item.output for item in checked.plan.items] == ["api/status.md", "api/plan/g/T2.md"]
    assert codes(tmp_path / "api/plan.md") == ["GB222"]


def test_where_the_project_cannot_be_made_out_the_configuration_counts(tmp_path: Path) -> None:
    write(tmp_path, CLAUDE=SCOPE, gitbatch=CONFIG, notes__plan=PLAN)
    assert codes(tmp_path / "notes/plan.md") == []


def test_a_plan_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*missing.md: No such file or directory$"):
        check_plan(tmp_path / "missing.md")


def test_the_active_plan_is_named_from_where_the_user_is(tmp_path: Path) -> None:
    write(tmp_path, CLAUDE=SCOPE, gitbatch=CONFIG, docs__phases__one__task=PLAN)
    (tmp_path / "src").mkdir()
    assert find_active_plan(tmp_path) == Path("docs/phases/one/task.md")
    assert find_active_plan(tmp_path / "docs/phases") == Path("one/task.md")
    assert find_active_plan(tmp_path / "src") == tmp_path.resolve() / "docs/phases/one/task.md"


def test_without_a_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"^missing task.md"):
        find_active_plan(tmp_path)


@pytest.mark.parametrize("mark", [".git", "gitbatch.toml", None])
def test_the_root_is_the_nearest_folder_that_looks_like_one(tmp_path: Path, mark: str | None) -> None:
    deep = tmp_path / "a/b/c"
    deep.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    if mark:
        (tmp_path / "a/b" / mark).touch()
    assert find_project_root(deep) == (tmp_path / "a/b" if mark else tmp_path)


@pytest.mark.rule("O2")
@pytest.mark.parametrize(
    ("claude", "place"),
    [
        (None, None),
        ("# P\n", None),
        (SCOPE, None),
        ("# P\n\n## Active Scope\n\none, then two\n", (3, 1, "GB414")),
        ("# P\n\n## Active Scope\n\nnothing\n", (3, 1, "GB414")),
        ("# P\n\nActive Scope: one\n---\n", (3, 1, "GB414")),
        (f"{SCOPE}\n{SCOPE}", (5, 1, "GB414")),
        ("## Active Scope\n\none\0\n", (3, 1, "GB414")),
    ],
)
def test_what_is_wrong_with_the_scope(claude: str | None, place: tuple[int, int, str] | None) -> None:
    files = {"docs/phases/one/task.md": PLAN, "docs/phases/two/task.md": PLAN}
    checked = check_scope(
        FileTree(files if claude is None else {**files, "CLAUDE.md": claude}), "x/CLAUDE.md"
    )
    if place is None:
        assert checked is None
        return
    assert checked is not None
    (found,) = checked.plan.errors
    assert (found.line, found.column, found.code) == place
    assert checked.path == "x/CLAUDE.md"
    assert found.help
