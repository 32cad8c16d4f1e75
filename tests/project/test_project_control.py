"""Where the control files are, and which paths no item may write."""

import pytest
from project.file_tree import FileTree

from gitbatch.errors import ExitCode, PlanError
from gitbatch.plan.outputs import path_problem
from gitbatch.project.config import Config, ProjectTable
from gitbatch.project.control import PlanChoice, Project, find_project, plan_options
from gitbatch.project.phases import Phase

SCOPE = {"CLAUDE.md": "## Active Scope\n\nPhase: one\n"}
PHASE = "docs/phases/one/"
PLAN = {**SCOPE, f"{PHASE}task.md": ""}
SHARED = Config(project=ProjectTable(shared=("inventory.md",)))


def project(*paths: str, config: Config = SHARED, wanted: str | None = None) -> Project:
    """The project in a commit with a phase and these further files."""
    return find_project(FileTree({**PLAN, **dict.fromkeys(paths, "")}), config, PlanChoice(wanted))


def single(*paths: str, wanted: str | None = None, folder: str = "") -> Project:
    """The project in a commit with these files, without a phase."""
    return find_project(FileTree(dict.fromkeys(paths, "")), SHARED, PlanChoice(wanted, folder))


def problem(*paths: str, wanted: str | None = None) -> PlanError:
    with pytest.raises(PlanError) as raised:
        single(*paths, wanted=wanted)
    assert raised.value.code is ExitCode.USAGE
    return raised.value


@pytest.mark.rule("O2")
def test_everything_is_looked_for_in_the_phase_first() -> None:
    names = ("status.md", "decisions-log.md", "rules.md", "discovery-waves.md", "inventory.md")
    everywhere = [f"{folder}{name}" for folder in (PHASE, "docs/", "") for name in (*names, "task.md")]
    assert project(*everywhere) == Project(
        phase=Phase("one", "docs/phases/one"),
        plan_path=f"{PHASE}task.md",
        status=f"{PHASE}status.md",
        decisions=f"{PHASE}decisions-log.md",
        rules=f"{PHASE}rules.md",
        contexts=(f"{PHASE}discovery-waves.md",),
        artifacts=(f"{PHASE}inventory.md",),
        config=SHARED,
    )


@pytest.mark.parametrize("folder", ["docs/", ""])
def test_then_in_docs_and_then_at_the_top(folder: str) -> None:
    names = ("status.md", "decisions-log.md", "rules.md", "discovery-waves.md", "inventory.md")
    found = project(*(f"{place}{name}" for place in (folder, "") for name in names))
    assert (found.status, found.decisions, *found.artifacts) == (
        f"{folder}status.md",
        f"{folder}decisions-log.md",
        f"{folder}inventory.md",
    )
    assert (found.rules, *found.contexts) == (f"{folder}rules.md", f"{folder}discovery-waves.md")


def test_what_is_missing_will_be_written_beside_the_plan() -> None:
    found = project()
    assert found.shared_files == (
        f"{PHASE}task.md",
        f"{PHASE}status.md",
        f"{PHASE}decisions-log.md",
        f"{PHASE}inventory.md",
    )
    assert (found.rules, found.contexts) == (None, ())


@pytest.mark.parametrize(
    ("paths", "task"),
    [
        ([f"{PHASE}task.md", "docs/task.md", "task.md"], f"{PHASE}task.md"),
        ([f"{PHASE}notes.md", "docs/task.md", "task.md"], "docs/task.md"),
        ([f"{PHASE}notes.md", "task.md", "docs/phases/two/task.md"], "task.md"),
    ],
)
def test_the_plan_of_a_phase(paths: list[str], task: str) -> None:
    assert find_project(FileTree({**SCOPE, **dict.fromkeys(paths, "")}), Config()).plan_path == task


def test_contexts_are_in_the_order_of_the_configuration() -> None:
    config = Config(project=ProjectTable(context_documents=("b.md", "missing.md", "a.md")))
    assert project("docs/a.md", "b.md", config=config).contexts == ("b.md", "docs/a.md")


@pytest.mark.parametrize(
    ("paths", "task", "status", "rules"),
    [
        (["task.md"], "task.md", "status.md", None),
        (["task.md", "docs/status.md", "docs/rules.md"], "task.md", "docs/status.md", "docs/rules.md"),
        (["task.md", "status.md", "docs/status.md"], "task.md", "status.md", None),
        (["docs/task.md"], "docs/task.md", "docs/status.md", None),
        (["docs/task.md", "status.md", "rules.md"], "docs/task.md", "status.md", "rules.md"),
        (
            ["docs/task.md", "docs/status.md", "status.md", "docs/rules.md", "rules.md"],
            "docs/task.md",
            "docs/status.md",
            "docs/rules.md",
        ),
        (["task.md", "docs/phases/one/task.md"], "task.md", "status.md", None),
        (["task.md", "docs/task.md", "docs/rules.md"], "task.md", "status.md", "docs/rules.md"),
    ],
)
def test_a_project_of_a_single_phase(paths: list[str], task: str, status: str, rules: str | None) -> None:
    found = single(*paths)
    assert (found.phase, found.plan_path, found.status, found.rules) == (Phase("", ""), task, status, rules)


@pytest.mark.parametrize(
    ("wanted", "status", "rules", "outputs"),
    [
        ("services/api/task.md", "services/api/status.md", "services/api/rules.md", "services/api"),
        ("plans/Release 2.md", "plans/status.md", "rules.md", "plans/Release 2"),
        ("docs/task.md", "docs/status.md", "rules.md", ""),
        ("other.md", "status.md", "rules.md", "other"),
        ("task.md", "status.md", "rules.md", ""),
    ],
)
def test_any_plan_that_is_named(wanted: str, status: str, rules: str, outputs: str) -> None:
    """Its folder has its status and its log, even where there are some for the plan that is found by convention."""
    there = ("task.md", "status.md", "decisions-log.md", "rules.md", "services/api/rules.md", wanted)
    found = single(*there, wanted=wanted)
    assert (found.plan_path, found.status, found.rules) == (wanted, status, rules)
    assert found.decisions == status.replace("status", "decisions-log")
    assert found.artifacts == (status.replace("status", "inventory"),)
    assert {path.casefold() for path in (wanted, status, rules)} <= found.protected
    assert plan_options(found).phase == outputs


@pytest.mark.parametrize(
    ("folder", "task"),
    [
        ("", "task.md"),
        ("services/api", "services/api/task.md"),
        ("services/api/src/deep", "services/api/task.md"),
        ("services", "task.md"),
        ("docs", "docs/task.md"),
    ],
)
def test_the_nearest_plan(folder: str, task: str) -> None:
    assert single("task.md", "docs/task.md", "services/api/task.md", folder=folder).plan_path == task


def test_no_plan() -> None:
    assert problem().message == "missing task.md in the top folder or docs/"
    absent = problem("task.md", wanted="src/task.md")
    assert absent.message == "the commit has no file src/task.md"
    assert "src/task.md" in absent.advice
    with pytest.raises(PlanError) as raised:
        find_project(FileTree({"task.md": ""}), SHARED, PlanChoice("src/task.md", is_recorded=True))
    assert "gitbatch abort" in raised.value.advice
    folder = problem("src/api/task.md", wanted="src/api")
    assert (folder.message, "src/api/task.md" in folder.advice) == ("src/api is a folder and no plan", True)
    for path in ("a/Status.md", "rules.md", "b/CLAUDE.md"):
        assert "control file" in problem(path, wanted=path).message
    with pytest.raises(PlanError, match=r"missing task.md in docs/phases/one/, docs/ or the top folder"):
        find_project(FileTree({**SCOPE, f"{PHASE}notes.md": ""}), Config())


def test_a_plan_of_a_batch_gives_way_to_a_phase() -> None:
    """The batch must be able to see that the phase has changed."""
    tree = FileTree({**PLAN, "src/task.md": ""})
    found = find_project(tree, SHARED, PlanChoice("src/task.md", is_recorded=True))
    assert (found.phase.name, found.plan_path) == ("one", f"{PHASE}task.md")


@pytest.mark.rule("O2", "O5")
@pytest.mark.parametrize("wanted", ["docs/phases/two/task.md", "task.md", "docs/task.md", "missing.md"])
def test_the_plan_of_another_phase_is_refused(wanted: str) -> None:
    with pytest.raises(PlanError) as raised:
        project("docs/phases/two/task.md", "task.md", "docs/task.md", wanted=wanted)
    assert raised.value.message == f"{wanted} is not the plan of the active phase, which is {PHASE}task.md"


def test_the_wanted_plan_may_be_the_active_one() -> None:
    assert project(wanted=f"{PHASE}task.md") == project()


@pytest.mark.rule("C2")
def test_a_context_document_that_cannot_be_read_is_an_error() -> None:
    tree = FileTree({**PLAN, f"{PHASE}discovery-waves.md": "# Über\n".encode("latin-1")})
    with pytest.raises(PlanError, match=f"^{PHASE}discovery-waves.md:1: byte 0xdc is not UTF-8$"):
        find_project(tree, Config())


@pytest.mark.rule("O3", "O4", "S2")
@pytest.mark.parametrize("folder", [PHASE, "docs/", "", "Docs/", "DOCS/PHASES/ONE/"])
@pytest.mark.parametrize(
    "name",
    [
        "task.md",
        "status.md",
        "decisions-log.md",
        "rules.md",
        "discovery-waves.md",
        "inventory.md",
        "STATUS.md",
    ],
)
def test_no_item_may_write_a_control_file(folder: str, name: str) -> None:
    assert path_problem(f"{folder}{name}", project().protected)


@pytest.mark.rule("S2")
@pytest.mark.parametrize(
    "path", ["CLAUDE.md", "claude.md", "gitbatch.toml", "GitBatch.TOML", ".worktreeinclude", "src/CLAUDE.md"]
)
def test_no_item_may_write_what_rules_over_it(path: str) -> None:
    assert path_problem(path, project().protected)


def test_a_control_file_is_protected_however_its_name_is_composed() -> None:
    config = Config(project=ProjectTable(shared=("U\u0308bersicht.md",)))
    assert "übersicht.md" in project(config=config).protected


@pytest.mark.parametrize("path", ["out/a.md", f"{PHASE}a.md", "docs/phases/two/status.md", "src/task.md"])
def test_other_paths_are_free(path: str) -> None:
    assert path_problem(path, project().protected) is None


def test_where_a_plan_was_found_is_protected_too() -> None:
    assert {"docs/task.md", "docs/status.md", "status.md"} <= single("docs/task.md").protected


@pytest.mark.rule("O4")
def test_the_inventories_beside_the_plan_are_shared_artifacts() -> None:
    found = project(
        f"{PHASE}task.md",
        f"{PHASE}capabilities-inventory.md",
        f"{PHASE}Risks-INVENTORY.md",
        f"{PHASE}sub/other-inventory.md",
        "top-inventory.md",
    )
    inventories = (f"{PHASE}Risks-INVENTORY.md", f"{PHASE}capabilities-inventory.md")
    assert found.artifacts == (f"{PHASE}inventory.md", *inventories)
    assert set(found.artifacts) < set(found.shared_files)


@pytest.mark.rule("O4")
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("inventory.md", f"{PHASE}inventory.md"),
        ("capabilities-inventory.md", f"{PHASE}capabilities-inventory.md"),
        ("Capabilities-Inventory.md", f"{PHASE}capabilities-inventory.md"),
        (f"{PHASE}capabilities-inventory.md", f"{PHASE}capabilities-inventory.md"),
        ("./capabilities-inventory.md", f"{PHASE}capabilities-inventory.md"),
        ("new-inventory.md", f"{PHASE}new-inventory.md"),
        (f"{PHASE}new-inventory.md", f"{PHASE}new-inventory.md"),
        ("notes.md", None),
        ("sub/new-inventory.md", None),
        ("../new-inventory.md", None),
        ("/new-inventory.md", None),
        ("a:b-inventory.md", None),
        (" -inventory.md", None),
        ("\n-inventory.md", None),
        ("", None),
    ],
)
def test_the_artifact_that_a_contribution_names(name: str, path: str | None) -> None:
    found = project(f"{PHASE}task.md", f"{PHASE}capabilities-inventory.md")
    assert found.find_artifact(name) == path


@pytest.mark.rule("O4")
def test_no_item_writes_an_inventory_whether_it_exists_or_not() -> None:
    found = project(f"{PHASE}task.md")
    for name in ("x-inventory.md", "X-Inventory.md", "x-inventory.md/y.md"):
        assert path_problem(f"{PHASE}{name}", found.protected)
    for free in ("x-inventory.md", f"{PHASE}sub/x-inventory.md", f"{PHASE}inventory.txt"):
        assert path_problem(free, found.protected) is None


@pytest.mark.rule("O2")
@pytest.mark.parametrize(
    ("title", "words"),
    [
        (
            "Active Scope",
            f"write {PHASE}task.md (or all files: gitbatch init) and commit it:\n\n## Work Packages",
        ),
        (
            "Aktiver Scope",
            f"schreibe {PHASE}task.md (oder alle Dateien: gitbatch init --lang de) und committe sie",
        ),
    ],
)
def test_a_missing_plan_is_shown_in_the_language_of_the_project(title: str, words: str) -> None:
    files = {"CLAUDE.md": f"## {title}\n\nPhase: one\n", f"{PHASE}status.md": ""}
    with pytest.raises(PlanError, match="missing task") as raised:
        find_project(FileTree(files), SHARED)
    assert str(raised.value.advice).startswith(words)


@pytest.mark.rule("O2")
def test_without_a_scope_the_phases_that_there_are_can_be_named() -> None:
    files = {
        "CLAUDE.md": "# P\n\n## Aktive Phase\n\none\n",
        f"{PHASE}task.md": "",
        "docs/phases/two/task.md": "",
    }
    with pytest.raises(PlanError, match="has no scope section") as raised:
        find_project(FileTree(files), SHARED)
    advice = "write in CLAUDE.md:\n\n## Active Scope\n\nPhase: NAME\n\nNAME is one of one, two"
    assert raised.value.advice == advice
