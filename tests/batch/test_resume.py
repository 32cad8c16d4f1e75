"""Interrupted anywhere, started again: finished items are kept, the rest runs, nothing is there twice."""

import os
import shutil
import signal

import pytest
from conftest import Running, Workspace
from history import assert_tidy, audit, ticked
from processes import agents_below, kill_agents, require_no_agents
from waiting import wait_until

ARGUMENTS = ("run", "--items", "all", "--checkpoint", "at-end")


def start(workspace: Workspace, done: int = 3, word: str = "  succeeded") -> Running:
    """Start a run and wait until so many items have succeeded, or something else has happened so often."""
    process = workspace.start(*ARGUMENTS)
    assert process.stdout is not None
    for line in process.stdout:
        done -= line.startswith(word)
        if done == 0:
            return process
    raise AssertionError("it ended too early")


def kill(process: Running, workspace: Workspace) -> None:
    """End a run as a power cut does: without a word, agents and all."""
    process.kill()
    kill_agents(workspace)
    process.communicate()


def go_on(workspace: Workspace) -> str:
    workspace.edit("task.md", " do: hang", "")
    workspace.commit("No more hanging")
    return workspace.gitbatch("run", code=0).stdout


@pytest.fixture
def hanging(three: Workspace) -> Workspace:
    three.edit("task.md", "Write d →", "Write d do: hang →")
    three.commit()
    return three


@pytest.mark.rule("F4")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.sample(2)
def test_a_signal_ends_in_good_order(hanging: Workspace, number: signal.Signals) -> None:
    process = start(hanging)
    process.send_signal(number)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 128 + number
    assert "interrupted; every finished item is in git" in said
    require_no_agents(hanging)
    assert hanging.git("worktree", "list", "--porcelain").count("worktree ") == 1
    told = go_on(hanging)
    assert "resumes after 0 of 3 groups" in told
    assert "1 to run, 3 done before" in told
    assert len(audit(hanging).items) == 12
    assert_tidy(hanging)


@pytest.mark.rule("F4")
def test_a_kill_loses_nothing(hanging: Workspace) -> None:
    process = start(hanging)
    kill(process, hanging)
    said = hanging.gitbatch("status", code=0).stdout
    assert said.count("done, not merged yet") == 3
    assert "1 to run, 3 done before" in go_on(hanging)
    story = audit(hanging)
    assert (len(story.items), len(story.checkpoints)) == (12, 3)
    assert len(ticked(hanging)) == 12
    assert_tidy(hanging)
    before = hanging.state()
    hanging.gitbatch(*ARGUMENTS, code=0)
    assert hanging.state() == before


def test_a_killed_batch_can_be_aborted_and_what_was_done_is_kept(hanging: Workspace) -> None:
    process = start(hanging)
    kill(process, hanging)
    said = hanging.gitbatch("abort", code=0).stdout
    assert said.count("/rescue/1-t10") == 6, "each is named, with the command that shows it"
    rescued = hanging.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/rescue/*").splitlines()
    assert [ref.rpartition("/")[2] for ref in rescued] == ["1-t101", "1-t102", "1-t103"]
    assert "# out/letters/a.md" in hanging.git("show", f"{rescued[0]}:out/letters/a.md")
    assert_tidy(hanging)


def test_a_checkout_that_was_not_followed_is_followed_at_the_next_start(paused: Workspace) -> None:
    (followed,) = paused.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/followed").splitlines()
    paused.git("update-ref", "-d", followed)
    paused.git("read-tree", "HEAD~2")
    for path in ("task.md", "status.md", "inventory.md"):
        paused.write(path, paused.git("show", f"HEAD~2:{path}") + "\n")
    for path in ("out/letters/a.md", "decisions-log.md"):
        (paused.root / path).unlink()
    paused.gitbatch("run", code=3)
    assert paused.git("status", "--porcelain") == ""


def test_a_forged_item_branch_is_not_taken_for_done(hanging: Workspace) -> None:
    process = start(hanging)
    kill(process, hanging)
    (branch,) = hanging.git(
        "for-each-ref", "--format=%(refname)", "refs/heads/gitbatch/*/1-t104"
    ).splitlines()
    (other,) = hanging.git("for-each-ref", "--format=%(refname)", "refs/heads/gitbatch/*/1-t101").splitlines()
    message = hanging.git("log", "-1", "--format=%B", other).replace("letters/a.md", "letters/d.md")
    blob = hanging.git("rev-parse", "HEAD:task.md")
    hanging.git("read-tree", "HEAD")
    hanging.git("update-index", "--add", "--cacheinfo", f"100644,{blob},out/letters/d.md")
    hanging.git("update-index", "--add", "--cacheinfo", f"100644,{blob},sneaked.md")
    forged = hanging.git("commit-tree", hanging.git("write-tree"), "-p", "HEAD", "-m", message)
    hanging.git("read-tree", "HEAD")
    hanging.git("update-ref", branch, forged)
    assert "1 to run, 3 done before" in go_on(hanging)
    assert "sneaked.md" not in hanging.git("ls-tree", "-r", "--name-only", "HEAD")


@pytest.mark.parametrize("command", ["run", "abort"])
def test_an_item_branch_whose_commit_is_gone_stops_nothing(hanging: Workspace, command: str) -> None:
    """As after a `git gc --prune=now` at the wrong moment: the item is not done, and there is nothing to keep."""
    kill(start(hanging), hanging)
    (branch,) = hanging.git(
        "for-each-ref", "--format=%(refname)", "refs/heads/gitbatch/*/1-t101"
    ).splitlines()
    (hanging.root / ".git" / branch).write_text("1234" * 10 + "\n")
    if command == "run":
        assert "2 to run, 2 done before" in go_on(hanging)
        assert len(audit(hanging).items) == 12
    else:
        assert hanging.gitbatch("abort", code=0).stdout.count("/rescue/1-t10") == 4
    assert_tidy(hanging)
    (hanging.root / ".git" / branch).parent.mkdir(parents=True)
    (hanging.root / ".git" / branch).write_text("1234" * 10 + "\n")
    assert branch.removeprefix("refs/heads/") in hanging.gitbatch("gc", code=0).stdout
    assert_tidy(hanging)


@pytest.mark.rule("F4")
def test_what_a_user_commits_upon_an_item_is_kept_and_the_item_not_run_again(hanging: Workspace) -> None:
    kill(start(hanging), hanging)
    refs = hanging.git("for-each-ref", "--format=%(refname)", "refs/heads/gitbatch").splitlines()
    mine = []
    for ref in (refs[0], refs[-1]):  # one that is done, one that is not
        tree = hanging.git("rev-parse", f"{ref}^{{tree}}")
        mine.append(hanging.git("commit-tree", tree, "-p", ref, "-m", "mine"))
        hanging.git("update-ref", ref, mine[-1])
    assert "1 to run, 3 done before" in go_on(hanging)
    kept = hanging.git("for-each-ref", "--format=%(objectname)").split()
    assert set(mine) <= set(kept)
    assert len(audit(hanging).items) == 12


def test_a_branch_that_is_gone_is_said(three: Workspace) -> None:
    three.git("branch", "work")
    three.gitbatch("run", "--items", "all", "--checkpoint", "after-each", "--branch", "work", code=3)
    three.git("branch", "-D", "work")
    assert "the target branch work of the batch is missing" in three.gitbatch("run", code=1).stderr
    three.gitbatch("abort", code=0)


def test_an_item_that_left_the_plan_is_said_and_not_guessed(paused: Workspace) -> None:
    text = paused.read("task.md")
    paused.write("task.md", "".join(line for line in text.splitlines(keepends=True) if "T204" not in line))
    paused.commit()
    said = paused.gitbatch("run", code=3).stdout
    assert "cancelled  T204  it is no longer in task.md" in said


def test_to_resume_again_and_again_changes_nothing(hanging: Workspace) -> None:
    kill(start(hanging), hanging)
    told = []
    for _ in range(2):
        process = start(hanging, done=1, word="  start ")
        told.append(hanging.git("for-each-ref", "--format=%(refname) %(objectname)"))
        kill(process, hanging)
    assert told[0] == told[1]
    assert "1 to run, 3 done before" in go_on(hanging)
    assert len(audit(hanging).items) == 12
    assert_tidy(hanging)


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_lock_of_the_users_git_on_their_branch_stops_a_run_and_is_left(three: Workspace) -> None:
    lock = three.root / ".git/refs/heads/main.lock"
    three.edit("task.md", "Write d →", "Write d do: lock →")
    three.edit("tools/agent.sh", "fail) echo", f'lock) page >"$output"; touch {lock} ;;\nfail) echo')
    three.commit()
    said = three.gitbatch(*ARGUMENTS, code=75).stderr
    assert f"remove {lock}), then resume: gitbatch run" in said
    lock.unlink()
    assert "0 to run, 4 done before" in three.gitbatch("run", code=0).stdout
    assert len(audit(three).items) == 12
    assert_tidy(three)


@pytest.mark.parametrize("name", ["index.lock", "refs/heads/main.lock"])
def test_a_lock_that_was_left_behind_is_noticed_before_an_agent_starts(three: Workspace, name: str) -> None:
    lock = three.root / ".git" / name
    lock.touch()
    before = three.state()
    done = three.gitbatch(*ARGUMENTS, code=75)
    assert "  start " not in done.stdout
    assert f"remove {lock}" in done.stderr
    assert three.state() == before
    lock.unlink()
    three.gitbatch(*ARGUMENTS[:-1], "after-each", code=3)
    lock.touch()
    done = three.gitbatch("run", code=75)
    assert "  start " not in done.stdout
    assert f"remove {lock}" in done.stderr
    lock.unlink()
    three.gitbatch("run", code=3)


@pytest.mark.copied("what an agent leaves running in an overlay is ended with it")
def test_what_an_agent_leaves_running_does_not_hold_the_next_run_up(three: Workspace) -> None:
    three.edit("task.md", "Write d →", "Write d do: leave →")
    three.edit(
        "tools/agent.sh",
        "fail) echo",
        # Until it has left the group of the agent, it ends with the agent.
        'leave) page >"$output"; setsid sh -c ": >$HOME/left; exec sleep 600" >/dev/null 2>&1 & '
        'until [ -e "$HOME/left" ]; do sleep 0.01; done ;;\nfail) echo',
    )
    three.commit()
    three.gitbatch("run", "--items", "group:1", "--checkpoint", "at-end", code=0)
    wait_until(lambda: len(agents_below(three)) == 1, "only what was left running is there")
    (left,) = agents_below(three)
    three.gitbatch("run", "--items", "group:2", "--checkpoint", "at-end", code=0)
    assert agents_below(three) == [left], "it was not waited for"
    os.kill(left, signal.SIGKILL)


def test_a_resume_with_nothing_to_do_is_quick(three: Workspace) -> None:
    """It starts few processes: what takes time is that, and Python's own start."""
    three.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=0)
    (end,) = three.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/end").splitlines()
    three.git("update-ref", "-d", end)  # it was killed before it could say that it is complete
    shim, calls = three.home / "bin" / "git", three.home / "calls"
    shim.parent.mkdir()
    shim.write_text(f"#!/bin/sh\necho \"$*\" >>'{calls}'\nexec '{shutil.which('git')}' \"$@\"\n")
    shim.chmod(0o755)
    three.environment["PATH"] = f"{shim.parent}:{three.environment['PATH']}"
    assert "resumes after 3 of 3 groups" in three.gitbatch("run", code=0).stdout
    started = calls.read_text().splitlines()
    assert 0 < len(started) <= 20, started


def test_what_was_done_upon_an_amended_commit_comes_in_upon_the_branch_as_it_is(hanging: Workspace) -> None:
    kill(start(hanging), hanging)
    hanging.git("commit", "-q", "--amend", "-m", "The plan, in other words")
    go_on(hanging)
    assert len(audit(hanging).items) == 12
    hanging.gitbatch("verify", code=0)


@pytest.mark.forged
def test_what_read_another_version_keeps_its_parent(hanging: Workspace) -> None:
    """It is paid for and comes in; `verify` says that the branch was rewritten under it."""
    kill(start(hanging), hanging)
    hanging.edit("rules.md", "\n", "\nAnother rule.\n")
    hanging.git("commit", "-qa", "--amend", "--no-edit")
    go_on(hanging)
    assert len(audit(hanging).items) == 12
    said = hanging.gitbatch("verify", code=1).stdout.splitlines()
    assert len(said) == 4
    assert all("item-parent" in line for line in said[:3])


def test_what_an_amended_commit_has_at_its_path_is_a_conflict(hanging: Workspace) -> None:
    kill(start(hanging), hanging)
    done = hanging.git(
        "log", "--branches=gitbatch", "--format=%(trailers:key=Gitbatch-Item,valueonly)"
    ).split()
    hanging.write(done[0], "mine\n")
    hanging.edit("task.md", " do: hang", "")
    hanging.git("add", done[0])
    hanging.git("commit", "-qa", "--amend", "--no-edit")
    assert "conflicted" in hanging.gitbatch("run", code=1).stdout
    assert hanging.git("show", f"main:{done[0]}") == "mine"
