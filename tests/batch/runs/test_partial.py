"""Partial clones: what a batch needs and what is missing is fetched at once before it starts, or named with a command."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Workspace
from history import assert_tidy, audit

RUN = ("run", "--items", "group:1", "--checkpoint", "at-end")
FOREIGN = 6
"""Files that no item needs (the agent program is run from elsewhere), each with a blob of its own."""


@pytest.fixture
def upstream(three: Workspace) -> Workspace:
    """A repository that serves partial clones."""
    three.git("config", "uploadpack.allowFilter", "true")
    three.git("config", "uploadpack.allowAnySHA1InWant", "true")
    for number in range(FOREIGN - 1):
        three.write(f"elsewhere/{number}.md", f"number {number}\n")
    three.write("out/letters/other.md", "a neighbour of outputs\n")
    three.write("docs/inside/notes.md", "what an item reads\n")
    three.edit("task.md", "Write a →", "Write a (context: docs/inside/notes.md) →")
    shutil.copytree(three.root / "tools", three.home / "tools")
    three.edit("gitbatch.toml", "tools/agent.sh", f"{three.home}/tools/agent.sh")
    three.commit()
    return three


def clone(upstream: Workspace, *options: str) -> Workspace:
    made = upstream.root.parent / "clone"
    upstream.git("clone", "--quiet", *options, f"file://{upstream.root}", str(made))
    return replace(upstream, root=made)


def lacks(workspace: Workspace, commit: str = "HEAD") -> int:
    """How many objects of a commit are missing."""
    listed = workspace.git("rev-list", "--objects", "--no-walk", "--missing=print", commit)
    return sum(line.startswith("?") for line in listed.splitlines())


def fetches(workspace: Workspace) -> list[str]:
    """What runs said of fetching."""
    logs = sorted((workspace.root / ".git/gitbatch").glob("*/events.jsonl"))
    events = [json.loads(line) for log in logs for line in log.read_text(encoding="utf-8").splitlines()]
    return [event["text"] for event in events if "fetching" in event.get("text", "")]


SPARSE = ("--filter=blob:none", "--sparse")
NOTHING = ("--filter=blob:none", "--no-checkout")


@pytest.mark.parametrize(
    ("options", "checkout"),
    [(SPARSE, "full"), (SPARSE, "context"), ((*SPARSE, "--filter=tree:0"), "context")],
)
@pytest.mark.sample(2)
def test_what_is_missing_is_fetched_once(
    upstream: Workspace, options: tuple[str, ...], checkout: str
) -> None:
    upstream.edit("gitbatch.toml", "jobs = 4", f'jobs = 4\ncheckout = "{checkout}"')
    upstream.commit()
    workspace = clone(upstream, *options)
    assert lacks(workspace) > 0
    done = workspace.gitbatch(*RUN, code=0)
    said = [line for line in done.stderr.splitlines() if "fetching" in line]
    assert said, "the user is told of it"
    assert len(said) == 1 or "tree:0" in options[-1]
    assert "that this partial clone lacks from origin" in said[-1]
    assert fetches(workspace) == [], "nothing is fetched once agents run"
    assert len(audit(workspace).items) == 4
    assert lacks(workspace) == (0 if checkout == "full" else FOREIGN)
    assert workspace.git("for-each-ref", "refs/tags") == ""
    assert not (workspace.root / ".git/FETCH_HEAD").exists()
    assert_tidy(workspace)


@pytest.mark.parametrize("checkout", ["full", "context"])
def test_what_checks_need_is_fetched_before_anything_runs(upstream: Workspace, checkout: str) -> None:
    upstream.write("elsewhere/check.sh", '[ -s "$1" ] && ls elsewhere | wc -l >"$2"\n')
    command = json.dumps(["sh", "elsewhere/check.sh", "{output}", str(upstream.home / "seen")])
    upstream.edit("gitbatch.toml", "jobs = 4", 'jobs = 4\ncheckout = "context"')
    config = upstream.read("gitbatch.toml")
    table = f'\n[checks.it]\ncommand = {command}\ncheckout = "{checkout}"\nsandbox = "none"\non = ["out/letters/a.md"]\n'
    upstream.write("gitbatch.toml", f"{config}{table}")
    upstream.commit()
    workspace = clone(upstream, *SPARSE)
    workspace.gitbatch(*RUN, code=0)
    assert fetches(workspace) == [], "nothing is fetched once agents run"
    is_full = checkout == "full"
    assert lacks(workspace) == (0 if is_full else FOREIGN)
    assert (workspace.home / "seen").read_text().strip() == (str(FOREIGN) if is_full else "1")


def test_a_clone_without_any_blob_runs_on_a_branch(upstream: Workspace) -> None:
    workspace = clone(upstream, *NOTHING)
    workspace.gitbatch(*RUN, "--branch", "work", code=0)
    assert lacks(workspace) == 0


@pytest.mark.parametrize(("how", "checkout"), [("option", "full"), ("setting", "context")])
def test_without_fetching_one_line_names_the_number_and_a_command_that_works(
    upstream: Workspace, how: str, checkout: str
) -> None:
    setting = "\nfetch = false" if how == "setting" else ""
    upstream.edit("gitbatch.toml", "jobs = 4", f'jobs = 4\ncheckout = "{checkout}"{setting}')
    upstream.commit()
    workspace = clone(upstream, *SPARSE)
    option = ("--no-fetch",) if how == "option" else ()
    before = workspace.state()
    done = workspace.gitbatch(*RUN, *option, code=1)
    assert workspace.state() == before
    error, advice = done.stderr.splitlines()[-2:]
    missing = lacks(workspace)
    count = missing if checkout == "full" else missing - FOREIGN
    assert error == f"gitbatch: {count} objects that the batch needs are missing in this partial clone"
    command = advice.removeprefix("  fetch them: ")
    ran = subprocess.run(["sh", "-c", command], cwd=workspace.root, env=workspace.environment, check=True)
    assert ran.returncode == 0
    assert lacks(workspace) == 0
    assert "fetching" not in workspace.gitbatch(*RUN, *option, code=0).stderr


def test_a_remote_that_is_gone_is_one_line(upstream: Workspace, tmp_path: Path) -> None:
    workspace = clone(upstream, *SPARSE)
    upstream.root.rename(tmp_path / "gone")
    before = workspace.state()
    done = workspace.gitbatch(*RUN, code=1)
    assert "missing in this partial clone, and fetching from origin failed: " in done.stderr
    assert "git -c failed" not in done.stderr
    assert workspace.state() == before
    (tmp_path / "gone").rename(upstream.root)
    workspace.gitbatch(*RUN, code=0)


@pytest.mark.parametrize("command", [("plan",), ("status",), ("gc",)])
def test_what_changes_nothing_fetches_nothing(upstream: Workspace, command: tuple[str, ...]) -> None:
    upstream.git("mv", "task.md", "docs/task.md")
    upstream.commit()
    workspace = clone(upstream, *SPARSE)
    before = lacks(workspace)
    done = workspace.gitbatch(*command)
    assert lacks(workspace) == before
    assert "git -c failed" not in done.stderr
    if command == ("plan",):
        assert "missing in this partial clone" in done.stderr
        assert done.returncode == 1


@pytest.mark.parametrize("checkout", ["full", "context"])
def test_what_a_pull_between_two_groups_brings_is_fetched(upstream: Workspace, checkout: str) -> None:
    upstream.edit("gitbatch.toml", "jobs = 4", f'jobs = 4\ncheckout = "{checkout}"')
    upstream.edit("task.md", "out/pairs/ab.md (context:", "out/pairs/ab.md (context: docs/inside/notes.md,")
    upstream.commit()
    workspace = clone(upstream, *SPARSE)
    workspace.gitbatch("run", "--items", "all", "--checkpoint", "after-each", "--branch", "work", code=3)
    upstream.write("docs/inside/notes.md", "what an item reads, newer\n")
    upstream.write("elsewhere/new.md", "new\n")
    upstream.commit()
    workspace.git("fetch", "--quiet")
    workspace.git("-c", "core.sparseCheckout=true", "checkout", "--quiet", "work")
    workspace.git("merge", "--quiet", "--no-edit", "origin/main")
    workspace.git("checkout", "--quiet", "main")
    missing = ("docs/inside/notes.md", "elsewhere/new.md")
    assert lacks(workspace, "work") == len(missing) + (checkout == "context") * FOREIGN
    workspace.gitbatch("run", code=3)
    assert len(fetches(workspace)) == 1
    assert lacks(workspace, "work") == (checkout == "context") * (FOREIGN + 1)


def test_a_repository_that_lacks_an_object_and_is_no_partial_clone_is_damaged(three: Workspace) -> None:
    blob = three.git("rev-parse", "HEAD:task.md")
    (three.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    done = three.gitbatch(*RUN, code=1)
    assert f"object {blob} is missing from the repository" in done.stderr
    assert "git fsck" in done.stderr
    three.git("hash-object", "-w", "task.md")
