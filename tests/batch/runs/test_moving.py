"""The user goes on working while a batch runs: their changes are never touched, and the batch goes on."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Workspace
from history import assert_tidy, audit, ticked
from processes import kill_agents
from waiting import wait_until

Act = Callable[[Workspace], object]

GROUP = ("run", "--items", "group:1", "--checkpoint", "at-end")
WAIT = 'touch "$HOME/ready.$$"; until [ -e "$HOME/go" ]; do sleep 0.02; done'


@pytest.fixture
def waiting(three: Workspace) -> Workspace:
    """Item a waits for the user, after it has written its page."""
    three.edit("task.md", "Write a →", "Write a do: wait →")
    three.edit(
        "tools/agent.sh",
        "fail) echo",
        f'wait) page >"$output"; echo "$output" >>"$HOME/ran"; {WAIT} ;;\nfail) echo',
    )
    three.commit()
    return three


@contextmanager
def in_mid_run(workspace: Workspace, *arguments: str, code: int = 0) -> Iterator[list[str]]:
    """Do something while item a runs; what the run says is in the list afterwards."""
    said: list[str] = []
    process = workspace.start(*(arguments or GROUP))
    try:
        wait_until(
            lambda: list(workspace.home.glob("ready.*")) or process.poll() is not None,
            "item a's program runs",
        )
        assert process.poll() is None, process.communicate()
        yield said
        (workspace.home / "go").touch()
        said.append(process.communicate(timeout=60)[0])
        assert process.returncode == code, said[0]
    finally:
        process.kill()
        process.communicate()


def kill_in_mid_run(workspace: Workspace) -> None:
    """A run that is killed, agents and all, while item a runs and the others are done."""
    workspace.edit("task.md", "do: wait", "do: hang")
    workspace.commit()
    process = workspace.start(*GROUP)
    assert process.stdout is not None
    left = {"T102", "T103", "T104"}
    for line in process.stdout:
        left -= set(re.findall(r"succeeded\s+(T\d+)", line))
        if not left:
            break
    process.kill()
    kill_agents(workspace)
    process.communicate()
    workspace.edit("task.md", " do: hang", "")
    workspace.commit()


def ran(workspace: Workspace) -> list[str]:
    """Which waiting items have been run, as often as they were."""
    return (workspace.home / "ran").read_text(encoding="utf-8").split()


def worktree_of(workspace: Workspace, slug: str) -> Path:
    """Returns the worktree of an item; the git directory that its agent has is next to it."""
    (worktree,) = (workspace.home / "cache").glob(f"gitbatch/*/*/*-1-{slug}-*/.git")
    return worktree.parent


# The plan


def test_an_uncommitted_edit_of_the_plan_survives_and_gets_the_ticks(waiting: Workspace) -> None:
    with in_mid_run(waiting) as said:
        waiting.edit("task.md", "# Three groups of four\n", "# Three groups of four\n\nA remark of mine.\n")
        waiting.edit("task.md", "T104 Write d", "T104 Write D")
    assert "note: kept: your own version of task.md in the checkout" in said[0]
    assert (
        "note: the box of T104 was not ticked in your own version of task.md: its line has changed" in said[0]
    )
    mine = waiting.read("task.md")
    assert "A remark of mine." in mine
    assert re.findall(r"- \[x\] (T\d+)", mine) == ["T101", "T102", "T103"]
    assert "- [ ] T104 Write D" in mine
    assert "- [x] Every letter has its page" in mine
    assert ticked(waiting) == ["T101", "T102", "T103", "T104"]
    differs = [
        line for line in waiting.git("diff", "-U0").splitlines() if re.match(r"[-+](?!--|\+\+).", line)
    ]
    assert differs == [
        "+A remark of mine.",
        "-- [x] T104 Write d → DoD: #1 → Output: out/letters/d.md",
        "+- [ ] T104 Write D → DoD: #1 → Output: out/letters/d.md",
    ]
    assert not list(waiting.root.glob(".*.gitbatch"))


def test_a_staged_edit_of_the_plan_gets_them_too(waiting: Workspace) -> None:
    with in_mid_run(waiting):
        waiting.edit("task.md", "# Three groups of four\n", "# Three groups of four\n\nStaged.\n")
        waiting.git("add", "task.md")
        waiting.edit("task.md", "Staged.\n", "Staged.\nAnd not staged.\n")
        (waiting.root / "task.md").chmod(0o640)
    for text in (waiting.git("cat-file", "blob", ":task.md"), waiting.read("task.md")):
        assert re.findall(r"- \[x\] (T\d+)", text) == ["T101", "T102", "T103", "T104"]
    assert waiting.git("diff", "--cached", "--numstat", "task.md").split()[:2] == ["2", "0"]
    assert waiting.git("diff", "--numstat", "task.md").split()[:2] == ["1", "0"]
    assert (waiting.root / "task.md").stat().st_mode & 0o777 == 0o640


def test_ticks_reach_the_edit_after_every_checkpoint(waiting: Workspace) -> None:
    with in_mid_run(waiting, "run", "--items", "all", "--checkpoint", "at-end"):
        waiting.edit("task.md", "# Three groups of four\n", "# Three groups of four\n\nA remark of mine.\n")
    assert waiting.git("diff", "--numstat").split() == ["2", "0", "task.md"]
    assert len(re.findall(r"- \[x\] T", waiting.read("task.md"))) == 12


@pytest.mark.parametrize(
    ("change", "ticks"),
    [
        (lambda workspace: (workspace.root / "task.md").unlink(), 0),
        (lambda workspace: workspace.git("rm", "-q", "--cached", "task.md"), 5),
        (lambda workspace: (workspace.root / "task.md").write_bytes(b"\xff\xfe no plan"), 0),
        (
            lambda workspace: workspace.write(
                "task.md", workspace.read("task.md").replace("\n", "\r\n") + "\r\nmore\r\n"
            ),
            5,
        ),
    ],
    ids=["deleted", "untracked", "no text", "other line ends"],
)
def test_whatever_the_user_makes_of_the_plan_is_theirs(waiting: Workspace, change: Act, ticks: int) -> None:
    with in_mid_run(waiting):
        change(waiting)
        before = waiting.git("status", "--porcelain")
        text = content(waiting)
    assert waiting.git("status", "--porcelain").split() == before.split()
    assert ticked(waiting) == ["T101", "T102", "T103", "T104"]
    assert content(waiting).replace(b"[x]", b"[ ]") == text
    assert content(waiting).count(b"[x]") == ticks


def content(workspace: Workspace) -> bytes:
    path = workspace.root / "task.md"
    return path.read_bytes() if path.exists() else b""


def test_an_item_line_that_a_commit_changed_or_removed_is_reported_and_not_guessed(
    waiting: Workspace,
) -> None:
    with in_mid_run(waiting) as said:
        waiting.edit("task.md", "T103 Write c", "T103 Write C")
        text = waiting.read("task.md")
        waiting.write("task.md", "".join(x for x in text.splitlines(keepends=True) if "T104" not in x))
        waiting.commit("The user changes the plan")
    for name in ("T103", "T104"):
        note = f"the box of {name} was not ticked: its line in task.md has changed"
        assert f"note: {note}" in said[0]
        assert f"Note: {note}" in waiting.git("log", "-1", "--format=%B").replace("\n", " ")
    assert ticked(waiting) == ["T101", "T102"]
    assert "- [ ] T103 Write C" in waiting.read("task.md")
    assert len(audit(waiting).items) == 4
    assert waiting.git("status", "--porcelain") == ""


def test_an_edit_that_was_made_before_a_kill_gets_the_ticks_at_the_next_start(three: Workspace) -> None:
    three.gitbatch(*GROUP, code=0)
    (end,) = three.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/end").splitlines()
    three.git("update-ref", "-d", end)
    three.git("update-ref", "-d", end.replace("/end", "/followed"))
    three.git("reset", "-q", "HEAD~2")
    three.git("update-ref", "refs/heads/main", "HEAD@{1}")
    text = three.git("show", "HEAD~2:task.md") + "\n"
    three.write("task.md", text.replace("# Three", "# My three"))
    three.gitbatch("run", code=0)
    assert re.findall(r"- \[x\] (T\d+)", three.read("task.md")) == ["T101", "T102", "T103", "T104"]
    assert three.git("diff", "--numstat", "HEAD", "task.md").split() == ["1", "1", "task.md"]


# The branch


def test_a_branch_that_moves_between_building_and_swapping_costs_no_agent_a_second_run(
    waiting: Workspace,
) -> None:
    # Twice in a row the user is quicker; then it is quiet.
    shim = waiting.home / "bin" / "git"
    shim.parent.mkdir()
    git = shutil.which("git")
    # update-ref of the branch is the second commit point; the index is locked by then, so the user commits without it.
    commit = (
        'tree=$("$GIT" rev-parse main^{tree}); new=$(echo "user $n" | "$GIT" -c user.name=U -c user.email=u@u '
        'commit-tree $tree -p main); "$GIT" update-ref refs/heads/main $new'
    )
    script = (
        f"n=$(cat $HOME/n 2>/dev/null || echo 0); [ $n -ge 2 ] || {{ echo $((n+1)) >$HOME/n; {commit}; }}"
    )
    shim.write_text(
        f'#!/bin/sh\nGIT={git}\ncase "$*" in *"checkpoint"*"refs/heads/main"*) {script};; esac\nexec $GIT "$@"\n',
        encoding="utf-8",
    )
    shim.chmod(0o755)
    waiting.environment["PATH"] = f"{shim.parent}:{waiting.environment['PATH']}"
    (waiting.home / "go").touch()
    waiting.gitbatch(*GROUP, code=0)
    assert waiting.subjects()[-4:] == [
        "user 0",
        "user 1",
        "gitbatch: merge 4 items of “Letters”",
        "gitbatch: checkpoint 1/1: Letters (4 of 4 done)",
    ]
    assert ran(waiting) == ["out/letters/a.md"]
    assert len(audit(waiting).items) == 4
    assert waiting.git("status", "--porcelain") == ""
    assert_tidy(waiting)


def test_a_branch_that_never_holds_still_is_tried_again_later(waiting: Workspace) -> None:
    shim = waiting.home / "bin" / "git"
    shim.parent.mkdir()
    git = shutil.which("git")
    commit = f"{git} update-ref refs/heads/main $(echo u | {git} -c user.name=U -c user.email=u@u commit-tree main^{{tree}} -p main)"
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *"checkpoint"*"refs/heads/main"*) {commit};; esac\nexec {git} "$@"\n',
        encoding="utf-8",
    )
    shim.chmod(0o755)
    (waiting.home / "go").touch()
    done = waiting.gitbatch(*GROUP, code=75, PATH=f"{shim.parent}:{waiting.environment['PATH']}")
    assert "branch main keeps moving" in done.stderr
    assert "0 to run, 4 done before" in waiting.gitbatch("run", code=0).stdout
    assert ran(waiting) == ["out/letters/a.md"]
    assert_tidy(waiting)


def test_another_branch_checked_out_in_mid_run_is_left_alone(waiting: Workspace) -> None:
    waiting.git("branch", "other")
    with in_mid_run(waiting):
        waiting.git("checkout", "-q", "other")
        waiting.write("mine.txt", "untracked")
    assert waiting.git("status", "--porcelain") == "?? mine.txt"
    assert waiting.git("symbolic-ref", "--short", "HEAD") == "other"
    assert not (waiting.root / "out").exists()
    assert ticked(waiting) == ["T101", "T102", "T103", "T104"]
    waiting.git("checkout", "-q", "main")
    assert waiting.git("status", "--porcelain") == "?? mine.txt"
    assert len(audit(waiting).items) == 4
    assert_tidy(waiting)


def test_a_new_branch_and_a_detached_head_are_no_matter_either(waiting: Workspace) -> None:
    with in_mid_run(waiting):
        waiting.git("checkout", "-q", "-b", "mine")
        waiting.git("checkout", "-q", "--detach")
    assert waiting.git("status", "--porcelain") == ""
    assert ticked(waiting) == ["T101", "T102", "T103", "T104"]
    assert_tidy(waiting)


def test_the_target_checked_out_in_mid_run_follows(waiting: Workspace) -> None:
    waiting.git("checkout", "-q", "-b", "other")
    with in_mid_run(waiting, *GROUP, "--branch", "main"):
        waiting.git("checkout", "-q", "main")
    assert waiting.git("status", "--porcelain") == ""
    assert (waiting.root / "out/letters/a.md").exists()


def test_the_target_checked_out_elsewhere_in_mid_run_is_not_moved_under_it(waiting: Workspace) -> None:
    before = waiting.git("rev-parse", "main")
    elsewhere = waiting.root.parent / "elsewhere"
    with in_mid_run(waiting, code=1) as said:
        waiting.git("checkout", "-q", "-b", "mine")
        waiting.git("worktree", "add", "-q", str(elsewhere), "main")
    assert f"branch main is checked out in {elsewhere}" in said[0]
    assert waiting.git("rev-parse", "main") == before
    waiting.git("worktree", "remove", str(elsewhere))
    assert "0 to run, 4 done before" in waiting.gitbatch("run", code=0).stdout
    assert_tidy(waiting)


@pytest.mark.parametrize("what", ["merge", "rebase"])
def test_a_merge_or_rebase_of_the_branch_in_mid_run_is_waited_for(waiting: Workspace, what: str) -> None:
    waiting.git("checkout", "-q", "-b", "other")
    waiting.write("rules.md", "theirs\n")
    waiting.commit("theirs")
    waiting.git("checkout", "-q", "main")
    waiting.write("rules.md", "ours\n")
    before = waiting.commit("ours")
    with in_mid_run(waiting, code=1) as said:
        waiting.git(what, "other", check=False)
    assert f"a {what} is under way in this checkout" in said[0]
    assert waiting.git("rev-parse", "main") == before
    waiting.git(what, "--abort")
    assert "0 to run, 4 done before" in waiting.gitbatch("run", code=0).stdout
    assert ran(waiting) == ["out/letters/a.md"]
    assert_tidy(waiting)


# Worktrees, item branches, the folder


def test_a_worktree_deleted_in_mid_run_is_a_failure_of_its_item_alone(waiting: Workspace) -> None:
    with in_mid_run(waiting, code=1) as said:
        shutil.rmtree(worktree_of(waiting, "t101"))
    assert re.search(r"failed +T101 .*: its worktree was removed while it ran", said[0])
    assert ticked(waiting) == ["T102", "T103", "T104"]
    assert_tidy(waiting)


def test_item_branches_deleted_in_mid_run_cost_nothing(waiting: Workspace) -> None:
    with in_mid_run(waiting):
        listed = ("for-each-ref", "--format=%(refname) %(subject)", "refs/heads/gitbatch/")
        wait_until(
            lambda: len(re.findall(r" T10[234]", waiting.git(*listed))) == 3, "the commits of three items"
        )
        for line in waiting.git(*listed).splitlines():
            waiting.git("update-ref", "-d", line.split(" ")[0])
    assert ticked(waiting) == ["T101", "T102", "T103", "T104"]
    assert len(audit(waiting).items) == 4
    assert_tidy(waiting)


def test_a_worktree_deleted_between_runs_is_no_matter(waiting: Workspace) -> None:
    kill_in_mid_run(waiting)
    shutil.rmtree(worktree_of(waiting, "t101"))
    assert "1 to run, 3 done before" in waiting.gitbatch("run", code=0).stdout
    assert_tidy(waiting)


def test_a_branch_deleted_between_runs_means_that_its_item_runs_again_and_no_other(
    waiting: Workspace,
) -> None:
    kill_in_mid_run(waiting)
    (branch,) = waiting.git(
        "for-each-ref", "--format=%(refname)", "refs/heads/gitbatch/*/1-t102"
    ).splitlines()
    waiting.git("update-ref", "-d", branch)
    assert "2 to run, 2 done before" in waiting.gitbatch("run", code=0).stdout
    assert len(audit(waiting).items) == 4
    assert_tidy(waiting)


@pytest.mark.parametrize("also", ["moved cache", "lost note"])
def test_a_renamed_repository_finds_what_it_left_and_goes_on(waiting: Workspace, also: str) -> None:
    kill_in_mid_run(waiting)
    cache = waiting.home / "cache" / "gitbatch"
    (old,) = (path for path in cache.iterdir() if path.name != "layers")
    assert [path for path in old.rglob("*") if path.is_file()]
    renamed = waiting.root.rename(waiting.root.with_name("another name"))
    workspace = replace(waiting, root=renamed)
    if also == "moved cache":
        workspace.environment["GITBATCH_WORKTREES"] = str(workspace.home / "other place")
    if also == "lost note":
        for note in (renamed / ".git" / "gitbatch").glob("*/workshops"):
            note.unlink()
    assert "1 to run, 3 done before" in workspace.gitbatch("run", code=0).stdout
    assert ticked(workspace) == ["T101", "T102", "T103", "T104"]
    assert_no_worktrees(old)
    assert workspace.git("worktree", "list", "--porcelain").count("worktree ") == 1
    if also != "lost note":
        assert not old.exists()
        assert_tidy(workspace)
    waiting.root.symlink_to(renamed)  # for the fixture's last look


def assert_no_worktrees(folder: Path) -> None:
    assert not list(folder.rglob(".git"))


@pytest.mark.rule("F4")
@pytest.mark.forged
@pytest.mark.parametrize("how", ["reworded", "squashed"])
def test_a_checkpoint_that_lost_its_trailers_is_not_run_again(three: Workspace, how: str) -> None:
    plan = three.git("rev-parse", "main")
    three.gitbatch("run", "--items", "group:1-2", "--checkpoint", "after-each", "--no-input", code=3)
    if how == "squashed":
        three.git("reset", "--soft", plan)
        three.git("commit", "-qm", "Reviewed: all in one")
    else:
        three.git("commit", "-q", "--amend", "-m", "Reviewed")
    said = three.gitbatch("run", "--no-input", code=0).stdout
    assert "is ticked in task.md: the group is skipped" in said
    assert len(ticked(three)) == 8
    assert_tidy(three)


@pytest.mark.rule("F4")
def test_what_the_user_ticks_at_a_pause_does_not_run(three: Workspace) -> None:
    three.gitbatch("run", "--items", "group:1-2", "--checkpoint", "after-each", "--no-input", code=3)
    three.edit("task.md", "- [ ] T201", "- [x] T201")
    three.write("out/pairs/ab.md", "by hand")
    three.commit()
    three.gitbatch("run", "--no-input", code=0)
    assert three.git("show", "main:out/pairs/ab.md") == "by hand"
    assert len(ticked(three)) == 8


@pytest.mark.rule("F4")
def test_a_run_goes_on_over_an_edited_plan_and_ticks_it_too(three: Workspace) -> None:
    three.gitbatch("run", "--items", "group:1-2", "--checkpoint", "after-each", "--no-input", code=3)
    three.write("task.md", three.read("task.md") + "\nA remark of mine.\n")
    three.gitbatch("run", "--no-input", code=0)
    mine = three.read("task.md")
    assert mine.endswith("A remark of mine.\n")
    assert len(re.findall(r"- \[x\] T", mine)) == 8
    assert "A remark" not in three.git("show", "main:task.md")
    three.write("status.md", "mine")
    refused = three.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=1)
    assert "uncommitted changes in " in refused.stderr
