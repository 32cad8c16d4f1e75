"""What is not committed is not used, and that is said."""

from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.batch.planning.uncommitted import find_unused_changes
from gitbatch.project.control import PlanChoice
from gitbatch.repo.repository import Repository

TOML, PLAN_FILE = "gitbatch.toml", "task.md"
PLAN = "# P\n\n## Work Packages\n\n### G\n\n- [ ] T1 One → Output: out/one.md\n"
RUN = ("run", "--items", "all", "--checkpoint")


def note(path: str) -> str:
    return f"note: {path} has uncommitted changes, which are not used\n"


@pytest.fixture
def written(workspace: Workspace, repo: Repository) -> Workspace:
    """A repository with a plan, a configuration and rules."""
    workspace.write(PLAN_FILE, PLAN)
    workspace.write(TOML, "[batch]\njobs = 2\n")
    workspace.write("rules.md", "# Rules\n")
    workspace.commit()
    assert find_unused_changes(repo, PlanChoice()) == ()
    return workspace


def change(workspace: Workspace, path: str) -> None:
    workspace.write(path, workspace.read(path) + "\n# more\n")


@pytest.mark.parametrize("path", [PLAN_FILE, TOML, "rules.md"])
def test_changed_file(written: Workspace, repo: Repository, path: str) -> None:
    change(written, path)
    assert find_unused_changes(repo, PlanChoice()) == (path,)


def test_files_that_are_not_committed_yet(workspace: Workspace, repo: Repository) -> None:
    for path in (PLAN_FILE, TOML, "CLAUDE.md", "other.md", "plans/a.md"):
        workspace.write(path, PLAN if path != TOML else "")
    assert find_unused_changes(repo, PlanChoice()) == (TOML, "CLAUDE.md", PLAN_FILE)
    assert find_unused_changes(repo, PlanChoice("plans/a.md")) == (TOML, "CLAUDE.md", "plans/a.md")


def test_other_bytes_of_the_same_content(written: Workspace, repo: Repository) -> None:
    """Line ends that git converts are no change of the user's."""
    written.write(".gitattributes", "*.md text\n")
    written.commit()
    written.write(PLAN_FILE, PLAN.replace("\n", "\r\n"))
    written.git("add", PLAN_FILE)
    assert find_unused_changes(repo, PlanChoice()) == ()


def test_links_and_deleted_files(written: Workspace, repo: Repository) -> None:
    (written.root / PLAN_FILE).unlink()
    (written.root / TOML).unlink()
    (written.root / TOML).symlink_to("elsewhere")
    assert find_unused_changes(repo, PlanChoice()) == (TOML, PLAN_FILE)


def test_a_repository_that_cannot_be_written(written: Workspace, repo: Repository) -> None:
    """No note, and no error either: looking at a plan needs no right to write."""
    change(written, PLAN_FILE)
    repo.own_dir.write_text("not a folder", encoding="utf-8")
    assert find_unused_changes(repo, PlanChoice()) == ()
    repo.own_dir.unlink()


def test_no_commit(tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    workspace.write(PLAN_FILE, PLAN)
    assert "note" not in workspace.gitbatch("status", code=0).stderr


def test_plan_and_status_say_so(three: Workspace) -> None:
    assert "note: " not in three.gitbatch("plan", code=0).stderr
    change(three, TOML)
    three.edit(PLAN_FILE, "Write a →", "Write a better one →")
    shown = three.gitbatch("plan", code=0)
    assert (note(TOML) in shown.stderr, note(PLAN_FILE) in shown.stderr) == (True, True)
    assert "a better one" not in shown.stdout
    assert note(PLAN_FILE) in three.gitbatch("status", code=0).stderr


def test_working_tree(three: Workspace) -> None:
    three.edit(PLAN_FILE, "Write a →", "Write a better one →")
    three.edit(TOML, "[agents.scripted]", "[agents.other]")
    shown = three.gitbatch("plan", "--working-tree", code=0)
    assert "T101 Write a better one" in shown.stdout
    assert "agent other" in shown.stdout
    assert "as the disk has it; a run reads the commit" in shown.stdout
    assert shown.stderr == ""
    three.edit(PLAN_FILE, "→ DoD: #1 →", "→ DoD: #9 →")
    assert "GB214" in three.gitbatch("plan", "--working-tree", code=2).stderr
    assert "exclude" in three.gitbatch("plan", "--working-tree", "--branch", "main", code=2).stderr


@pytest.mark.parametrize("path", [PLAN_FILE, TOML])
def test_run_refuses(three: Workspace, path: str) -> None:
    change(three, path)
    before = three.state()
    done = three.gitbatch(*RUN, "at-end", code=1)
    assert f"uncommitted changes in {path}" in done.stderr
    assert note(path) in done.stderr
    assert three.state() == before


def test_every_halt_says_so(three: Workspace) -> None:
    """The plan is edited while a batch is paused: it is for the next step, and this one does not use it."""
    assert note(PLAN_FILE) not in three.gitbatch(*RUN, "after-each", code=3).stderr
    change(three, PLAN_FILE)
    change(three, TOML)
    paused = three.gitbatch("run", code=3).stderr
    assert paused.count(note(PLAN_FILE)) == paused.count(note(TOML)) == 2, "at the start and at the end"


def test_errors_say_so(workspace: Workspace) -> None:
    """The agent is in the file, but not in the commit."""
    workspace.write(PLAN_FILE, PLAN)
    workspace.commit()
    workspace.write(TOML, '[agents.a]\nkind = "command"\ncommand = ["true"]\n')
    done = workspace.gitbatch(*RUN, "at-end", code=2)
    assert "no agent is configured" in done.stderr
    assert note(TOML) in done.stderr
