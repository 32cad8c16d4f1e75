"""A new project: every file is there, each can be read, and nothing of the user's is touched."""

from pathlib import Path

import pytest

from gitbatch.errors import UsageError
from gitbatch.plan.help_texts import Language
from gitbatch.project.config import Config, ProjectTable, parse_config
from gitbatch.project.disk import DiskSnapshot
from gitbatch.project.lint import check_plan
from gitbatch.project.phases import Phase
from gitbatch.project.scaffold import Scaffold, append_scope, scaffold_plan, scaffold_project
from gitbatch.project.scope import find_active_phase

PATHS = (
    "CLAUDE.md",
    "gitbatch.toml",
    "docs/templates/task.md",
    "docs/phases/one/task.md",
    "docs/phases/one/status.md",
    "docs/phases/one/decisions-log.md",
    "docs/phases/one/rules.md",
)


@pytest.mark.rule("T1")
@pytest.mark.parametrize("language", Language)
def test_a_new_project_can_be_read(tmp_path: Path, language: Language) -> None:
    assert scaffold_project(tmp_path, "one", language, Config()) == Scaffold(PATHS, (), "")
    files = DiskSnapshot(tmp_path)
    config = parse_config(files.read("gitbatch.toml"))
    assert find_active_phase(files, config) == Phase("one", "docs/phases/one")
    for plan in ("docs/templates/task.md", "docs/phases/one/task.md"):
        assert check_plan(tmp_path / plan).plan.diagnostics == ()
    assert all("{phase}" not in (tmp_path / path).read_text(encoding="utf-8") for path in PATHS)


@pytest.mark.parametrize("language", Language)
def test_a_single_plan_can_be_read(tmp_path: Path, language: Language) -> None:
    made = scaffold_plan(tmp_path, language)
    assert made == Scaffold(("task.md", "gitbatch.toml"), (), "")
    assert check_plan(tmp_path / "task.md").plan.diagnostics == ()
    assert scaffold_plan(tmp_path, language) == Scaffold((), ("task.md", "gitbatch.toml"), "")


@pytest.mark.parametrize(
    ("claude", "appended"),
    [
        (b"", b"## Active Scope\n\nPhase: one\n"),
        (b"# Mine", b"# Mine\n\n## Active Scope\n\nPhase: one\n"),
        (b"# Mine\r\n", b"# Mine\r\n\r\n## Active Scope\r\n\r\nPhase: one\r\n"),
    ],
)
def test_the_scope_is_appended(tmp_path: Path, claude: bytes, appended: bytes) -> None:
    (tmp_path / "CLAUDE.md").write_bytes(claude)
    made = scaffold_project(tmp_path, "one", Language.EN, Config())
    assert made.can_append
    append_scope(tmp_path, made.scope)
    assert (tmp_path / "CLAUDE.md").read_bytes() == appended
    assert find_active_phase(DiskSnapshot(tmp_path), Config()) == Phase("one", "docs/phases/one")
    assert scaffold_project(tmp_path, "one", Language.EN, Config()).scope == ""


def test_the_scope_is_appended_to_no_link_and_no_second_section(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("# Mine\n", encoding="utf-8")
    (tmp_path / "CLAUDE.md").symlink_to("AGENTS.md")
    made = scaffold_project(tmp_path, "one", Language.EN, Config())
    assert (made.can_append, made.scope) == (False, "## Active Scope\n\nPhase: one\n")
    with pytest.raises(OSError, match=r"CLAUDE\.md"):
        append_scope(tmp_path, made.scope)
    (tmp_path / "CLAUDE.md").unlink()
    (tmp_path / "CLAUDE.md").write_text("## Active Scope\n\nPhase: two\n", encoding="utf-8")
    assert not scaffold_project(tmp_path, "one", Language.EN, Config()).can_append


@pytest.mark.parametrize("phase", ["1", "v1.0", "snake_case_name", "a-b", "Größe", "x" * 60])
def test_the_phase_is_found_under_its_name(tmp_path: Path, phase: str) -> None:
    scaffold_project(tmp_path, phase, Language.EN, Config())
    assert find_active_phase(DiskSnapshot(tmp_path), Config()) == Phase(phase, f"docs/phases/{phase}")


@pytest.mark.parametrize("kept", PATHS)
def test_a_file_that_is_there_stays(tmp_path: Path, kept: str) -> None:
    (tmp_path / kept).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / kept).write_bytes(b"mine\r\n")
    done = scaffold_project(tmp_path, "one", Language.EN, Config())
    assert (tmp_path / kept).read_bytes() == b"mine\r\n"
    assert (done.written, done.kept) == (tuple(path for path in PATHS if path != kept), (kept,))
    assert done.can_append == (kept == "CLAUDE.md")
    assert done.scope == ("## Active Scope\n\nPhase: one\n" if kept == "CLAUDE.md" else "")


@pytest.mark.parametrize(
    "claude", ["## Aktiver Scope\n\nPhase: two\n", "## Aktiver Scope\n\nTBD\n", "# Project\n"]
)
def test_what_is_missing_in_claude_md_is_shown(tmp_path: Path, claude: str) -> None:
    (tmp_path / "CLAUDE.md").write_text(claude, encoding="utf-8")
    assert (
        scaffold_project(tmp_path, "one", Language.DE, Config()).scope == "## Aktiver Scope\n\nPhase: one\n"
    )


def test_the_configuration_says_where_phases_are(tmp_path: Path) -> None:
    config = Config(project=ProjectTable(phase_folder="/plans/{phase}/"))
    assert "plans/one/task.md" in scaffold_project(tmp_path, "one", Language.EN, config).written


@pytest.mark.parametrize(
    "phase", ["", ".", "..", "../x", "a/b", "-x", "_x", "a b", "a\n", "a.", "a_", "x" * 61, "{phase}"]
)
def test_a_name_that_can_be_no_folders(tmp_path: Path, phase: str) -> None:
    with pytest.raises(UsageError, match="invalid phase name"):
        scaffold_project(tmp_path, phase, Language.EN, Config())
    assert list(tmp_path.iterdir()) == []
