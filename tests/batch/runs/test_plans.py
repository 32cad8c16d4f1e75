"""Plans in any place of a repository: each runs with control files of its own, one after the other."""

import asyncio

import pytest
from conftest import Workspace
from history import trailers
from sessions import run_here, session_settings

from gitbatch.batch.caller import PauseAlways, SessionSettings
from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.events import Event, GroupStarted
from gitbatch.batch.history.gc import find_garbage
from gitbatch.batch.history.record import all_batches
from gitbatch.batch.history.verify.audit import audit_history
from gitbatch.batch.model import CheckpointMode
from gitbatch.batch.session import open_session
from gitbatch.errors import BusyError, GitbatchError
from gitbatch.project.control import PlanChoice
from gitbatch.repo.opening import open_repository

PLAN = """# Plan

## Work Packages

### One

- [ ] T1 First → Output: {folder}/first.md

### Two

- [ ] T2 Second → Output: {folder}/second.md
"""
API, RELEASE = PlanChoice("services/api/plan.md"), PlanChoice("plans/release.md")
EACH, AT_END = CheckpointMode.parse("after-each"), CheckpointMode.parse("at-end")


@pytest.fixture
def plans(workspace: Workspace) -> Workspace:
    """A repository with three plans and no phases."""
    workspace.write(
        "gitbatch.toml",
        '[batch]\nretries = 0\n\n[agents.a]\nkind = "command"\nsandbox = "none"\n'
        """command = ["sh", "-c", 'mkdir -p "$(dirname "$0")" && echo text >"$0" && echo "One. Two."', "{output}"]\n""",
    )
    workspace.write("task.md", PLAN.format(folder="out"))
    workspace.write("status.md", "# Status of the top plan\n")
    for choice in (API, RELEASE):
        folder = str(choice.path).rpartition("/")[0]
        workspace.write(str(choice.path), PLAN.format(folder=folder))
    workspace.commit()
    return workspace


def run_plan(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    plan: PlanChoice,
    mode: CheckpointMode = AT_END,
) -> Result:
    return run_here(workspace, monkeypatch, plan=plan, checkpoint=mode)[0]


@pytest.mark.rule("O2", "O3")
def test_two_plans_one_after_another(plans: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_plan(plans, monkeypatch, API, EACH).ending is Ending.PAUSED
    plans.gitbatch("run", code=0)  # resumes it, wherever the user is
    assert run_plan(plans, monkeypatch, RELEASE).ending is Ending.COMPLETE
    assert "plan services/api/plan.md" in plans.gitbatch("status", "services/api/plan.md", code=0).stdout
    assert "plan plans/release.md" in plans.gitbatch("status", code=0).stdout
    assert "no batch of task.md has run yet" in plans.gitbatch("status", "task.md", code=0).stdout
    assert plans.read("services/api/plan.md").count("[x]") == plans.read("plans/release.md").count("[x]") == 2
    assert plans.read("task.md").count("[x]") == 0
    assert plans.read("status.md") == "# Status of the top plan\n"
    assert "T2" in plans.read("services/api/status.md")
    assert "T2" in plans.read("plans/status.md")
    checkpoints = plans.git("log", "--first-parent", "--format=%H", "--grep=Gitbatch-Checkpoint").splitlines()
    named = [trailers(plans, commit, "Plan") for commit in checkpoints]
    assert named == [["plans/release.md"]] * 2 + [["services/api/plan.md"]] * 2
    repo = open_repository(plans.root, read_only=True)
    assert [batch.record.plan_path for batch in all_batches(repo)] == [API.path, RELEASE.path]
    assert audit_history(repo, "main").findings == ()
    known = {removal.batch for removal in find_garbage(repo, 1).removed if removal.name.endswith("/record")}
    assert known == set(), "the last batch of each plan is kept"
    repo.close()


@pytest.mark.forged
def test_verify_knows_the_shared_files_by_the_plan(plans: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that says it is of another plan has changed files that are not that plan's."""
    run_plan(plans, monkeypatch, API)
    message = plans.git("log", "-1", "--format=%B").replace(str(API.path), str(RELEASE.path))
    plans.git("commit", "--quiet", "--amend", "--message", message)
    repo = open_repository(plans.root, read_only=True)
    said = " ".join(finding.message for finding in audit_history(repo, "main").findings)
    repo.close()
    assert "of the plan plans/release.md, and an earlier one of its batch is of another" in said
    assert "which is not a shared file" in said


def test_the_lock_names_the_plan(plans: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in plans.environment.items():
        monkeypatch.setenv(name, value)
    repo = open_repository(plans.root)

    def settings(plan: PlanChoice) -> SessionSettings:
        return session_settings(plans, plan=plan)

    with open_session(repo, settings(API)):
        with pytest.raises(BusyError) as raised, open_session(repo, settings(RELEASE)):
            pass
        assert raised.value.message.endswith("it runs services/api/plan.md")
    repo.close()
    plans.gitbatch("abort", code=0)


def test_the_nearest_plan_runs_from_a_folder(plans: Workspace) -> None:
    plans.write("services/web/task.md", PLAN.format(folder="services/web"))
    plans.write("services/web/src/a.txt", "a\n")
    plans.commit()
    there = ("-C", "services/web/src")
    assert "services/web/task.md" in plans.gitbatch("plan", *there, code=0).stdout
    assert "services/web/task.md" in plans.gitbatch("lint", *there, code=0).stdout
    plans.gitbatch("run", "--items", "all", "--checkpoint", "at-end", *there, code=0)
    assert "T2" in plans.read("services/web/status.md")


@pytest.mark.rule("O5", "K4")
def test_a_scope_section_during_a_batch_is_a_hard_stop(
    plans: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_plan(plans, monkeypatch, API, EACH)
    plans.write("CLAUDE.md", "## Active Scope\n\nPhase: one\n")
    plans.write("docs/phases/one/task.md", PLAN.format(folder="one"))
    plans.commit()
    done = plans.gitbatch("run", code=1)
    assert "the active phase is now one; this batch belongs to a project without phases" in done.stdout


@pytest.mark.rule("O5", "K4")
def test_a_scope_section_during_a_group_is_a_hard_stop(
    plans: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written into the files of the phase that CLAUDE.md names meanwhile, and what is finished is kept."""

    def name_phase(event: Event) -> None:
        if isinstance(event, GroupStarted) and not (plans.root / "CLAUDE.md").exists():
            plans.write("docs/phases/one/task.md", PLAN.format(folder="services/api"))
            plans.write("CLAUDE.md", "## Active Scope\n\nPhase: one\n")
            plans.commit()

    for name, value in plans.environment.items():
        monkeypatch.setenv(name, value)
    repo = open_repository(plans.root)
    refused = pytest.raises(GitbatchError, match="it is now one, and this batch belongs to a project without")
    with open_session(repo, session_settings(plans, plan=API), (name_phase,)) as session, refused:
        asyncio.run(session.run(PauseAlways()))
    repo.close()
    assert "[x]" not in plans.read("docs/phases/one/task.md") + plans.read(str(API.path))
    plans.git("rm", "--quiet", "CLAUDE.md")
    plans.commit()
    plans.gitbatch("run", code=0)
    assert plans.read(str(API.path)).count("[x]") == 2


def test_the_next_command_names_the_plan(plans: Workspace) -> None:
    plans.edit("gitbatch.toml", "echo text", "test $0 != services/api/second.md && echo text")
    plans.commit()
    done = plans.gitbatch(
        "run", "plan.md", "-C", "services/api", "--items", "all", "--checkpoint", "at-end", code=1
    )
    assert "again: gitbatch run -C services/api plan.md --items failed" in done.stderr
    again = ("run", "-C", "services/api", "plan.md", "--items", "failed", "--checkpoint", "after-each")
    assert (
        "again: gitbatch run -C services/api plan.md --items failed" in plans.gitbatch(*again, code=1).stderr
    )
