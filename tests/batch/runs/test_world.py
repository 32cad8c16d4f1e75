"""A world that moves, and agents that are a nuisance: nobody else pays for it, and nothing of the user's is lost."""

import shutil
import subprocess
from dataclasses import replace

import pytest
from conftest import Workspace
from history import assert_tidy, audit, ticked, trailers

RUN = ("run", "--items", "all", "--checkpoint")


def with_agent(workspace: Workspace, letter: str, script: str) -> None:
    """Let the item of a letter run a piece of shell after it has written its page."""
    workspace.edit("task.md", f"Write {letter} →", f"Write {letter} do: special →")
    workspace.edit("tools/agent.sh", "fail) echo", f'special) page >"$output"; {script} ;;\nfail) echo')
    workspace.commit()


OWN_GIT = (
    'export GIT_INDEX_FILE="$(git rev-parse --absolute-git-dir)/index"; '
    'export GIT_DIR="{root}/.git/worktrees/${{PWD##*/}}" GIT_WORK_TREE="$PWD"; own=$(git symbolic-ref --short HEAD)'
)
"""Lets the git of an agent work on the user's repository, as it can without a sandbox."""
HARMLESS = (
    'git symbolic-ref "$(git symbolic-ref HEAD)" refs/heads/main',
    'git checkout -q --detach; git branch -qD "$own"; git branch "$own/x"',
    'git checkout -q --detach; git branch -qD "$own"',
    "git checkout -qb elsewhere",
    "git gc -q --prune=now",
    "rm -rf .git",
    'setsid sh -c "for i in 1 2 3 4 5 6 7 8 9; do mkdir -p $PWD/x$i/y; sleep 0.1; done" >/dev/null 2>&1 &',
)
"""What an agent may do to its branch or worktree, and still its item succeeds."""
FATAL = ('git symbolic-ref "$(git symbolic-ref HEAD)" refs/heads/main; exit 3', "chmod -R 500 .")


@pytest.mark.parametrize("scripts", [HARMLESS[:4], HARMLESS[4:]])
@pytest.mark.rule("E1", "S1")
@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_what_agents_do_to_branch_or_worktree_costs_nobody(
    three: Workspace, scripts: tuple[str, ...]
) -> None:
    start = _run_with_scripts(three, scripts, code=0)
    assert set(ticked(three)) == {f"T{g}0{i}" for g in (1, 2, 3) for i in (1, 2, 3, 4)}
    _require_unharmed(three, start)


@pytest.mark.parametrize("script", FATAL)
@pytest.mark.rule("E1", "S1")
@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_an_agent_that_fails_by_what_it_does_costs_nobody_else(three: Workspace, script: str) -> None:
    start = _run_with_scripts(three, ("true", script), code=1)
    missing = {"T102", "T201", "T202"}
    assert set(ticked(three)) == {f"T{g}0{i}" for g in (1, 2, 3) for i in (1, 2, 3, 4)} - missing
    _require_unharmed(three, start)


def _run_with_scripts(three: Workspace, scripts: tuple[str, ...], code: int) -> str:
    """Run everything, where the first items run a script each; the commit before it."""
    for number, (letter, script) in enumerate(zip("abcd", scripts, strict=False)):
        three.edit("task.md", f"Write {letter} →", f"Write {letter} do: special{number} →")
        own = OWN_GIT.format(root=three.root)
        three.edit(
            "tools/agent.sh",
            "fail) echo",
            f'special{number}) page >"$output"; {own}; {script} ;;\nfail) echo',
        )
    three.commit()
    start = three.git("rev-parse", "main")
    three.gitbatch(*RUN, "at-end", code=code)
    return start


def _require_unharmed(three: Workspace, start: str) -> None:
    assert three.git("merge-base", "main", start) == start
    assert three.git("status", "--porcelain") == ""
    audit(three)


def test_objects_that_are_pruned_all_the_time_are_taken_again(three: Workspace) -> None:
    loop = f"for i in 1 2 3 4 5; do git -C '{three.root}' prune --expire=now || true; done"
    for letter in "abcd":
        three.edit("task.md", f"Write {letter} →", f"Write {letter} do: special →")
    three.edit("tools/agent.sh", "fail) echo", f'special) page >"$output"; {loop} ;;\nfail) echo')
    three.commit()
    three.gitbatch("run", "--items", "group:1", "--checkpoint", "at-end", code=0)
    assert len(audit(three).items) == 4


def test_a_path_with_two_spaces_stays_what_it_is(three: Workspace) -> None:
    three.edit("task.md", "out/letters/c.md\n", "`out/letters/c  c.md`\n")
    three.edit("task.md", "Write c →", "Write c do: fail →")
    three.edit("task.md", "(context: out/letters/b.md, out/letters/c.md)", "(context: `out/letters/c  c.md`)")
    three.edit("task.md", "(context: out/letters/c.md, out/letters/d.md)", "")
    three.edit("task.md", "out/letters/b.md\n", "`out/letters/b  b.md`\n")
    three.edit("task.md", "(context: out/letters/a.md, out/letters/b.md)", "")
    three.commit()
    three.gitbatch(*RUN, "after-each", code=3)
    three.gitbatch("run", code=3)
    first, second = three.git(
        "log", "--reverse", "--format=%H", "--grep", "^gitbatch: checkpoint"
    ).splitlines()
    why = "required context not written: out/letters/c c.md (failed: the source is not there (exit 3))"
    assert trailers(three, second, "Failed") == [f"out/pairs/bc.md: blocked: {why}"]
    assert (
        three.git("log", "-1", "--format=%B", first).count("Gitbatch-Failed: out/letters/c  c.md: failed")
        == 1
    )
    assert "T102" in ticked(three)


def test_what_the_user_stages_at_a_pause_stays(paused: Workspace) -> None:
    paused.git("rm", "-q", "out/letters/a.md")
    before = paused.git("status", "--porcelain")
    paused.gitbatch("run", code=3)
    assert paused.git("status", "--porcelain") == before == "D  out/letters/a.md"


def test_a_batch_is_not_continued_beside_the_checkout_that_has_its_branch(paused: Workspace) -> None:
    other = paused.root.parent / "other"
    paused.git("worktree", "add", "-q", "-b", "feature", str(other))
    done = paused.gitbatch("run", "-C", str(other), code=1)
    assert f"branch main is checked out in {paused.root}" in done.stderr
    paused.gitbatch("run", code=3)
    assert paused.git("status", "--porcelain") == ""


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_branch_that_the_user_looks_at_is_not_deleted(three: Workspace) -> None:
    with_agent(
        three,
        "d",
        f'cd "{three.root}"; sleep 1; git for-each-ref --format="%(refname:short)" '
        '"refs/heads/gitbatch/*/1-t101" | xargs git worktree add -q ../looked-at',
    )
    done = three.gitbatch("run", "--items", "group:1", "--checkpoint", "at-end", code=0)
    assert "1-t101 (merged, but checked out)" in done.stdout
    looked_at = replace(three, root=three.root.parent / "looked-at")
    assert looked_at.git("status", "--porcelain") == ""
    assert looked_at.git("log", "-1", "--format=%s") == "T101 Write a do: special" or looked_at.git(
        "rev-parse", "HEAD"
    )


def test_a_signed_off_checkpoint_is_still_one(paused: Workspace) -> None:
    paused.git("commit", "-q", "--amend", "--signoff", "--no-edit")
    assert "1 of 3 groups" in paused.gitbatch("status", code=0).stdout
    paused.gitbatch("run", code=3)
    assert len(audit(paused).items) == 8


def test_a_broken_configuration_does_not_keep_a_batch_from_being_ended(paused: Workspace) -> None:
    paused.write("gitbatch.toml", "broken = [")
    paused.commit()
    paused.gitbatch("run", code=2)
    paused.gitbatch("abort", code=0)
    assert_tidy(paused)


def test_abort_rescues_only_what_was_done(paused: Workspace) -> None:
    batch = paused.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/record").split("/")[2]
    paused.git("branch", f"gitbatch/{batch}/2-t201", "main")
    assert "kept:" not in paused.gitbatch("abort", code=0).stdout
    assert_tidy(paused)


def test_a_file_where_the_next_group_needs_a_folder_is_a_conflict(paused: Workspace) -> None:
    paused.write("out/pairs", "the user's")
    paused.commit()
    paused.gitbatch("run", code=3)
    failed = trailers(paused, "HEAD", "Failed")
    assert len(failed) == 4
    assert failed[0] == "out/pairs/ab.md: conflicted: cannot write the output: out/pairs is a file"
    paused.gitbatch("run", code=1)
    assert len(ticked(paused)) == 8


@pytest.mark.rule("O6")
def test_a_phase_that_the_user_completes_at_a_pause_is_a_hard_stop(paused: Workspace) -> None:
    paused.write(
        "task.md",
        paused.read("task.md")
        .replace("- [ ] Every", "- [x] Every")
        .replace("- [ ] Somebody", "- [x] Somebody"),
    )
    paused.commit()
    done = paused.gitbatch("run", code=1)
    assert "8 open items (T201, T202, T203, T204, T301 and 3 more) do not run" in done.stdout
    assert len(ticked(paused)) == 4


@pytest.mark.rule("O6")
def test_a_phase_that_ends_with_its_last_group_is_told(three: Workspace) -> None:
    three.edit("task.md", "- [ ] Somebody has read it all\n", "")
    three.commit()
    done = three.gitbatch("run", "--items", "group:1-2", "--checkpoint", "at-end", code=0)
    assert "phase complete; set the next phase under Active Scope in CLAUDE.md" in done.stdout
    assert "4 open items (T301, T302, T303, T304) do not run" in done.stdout


def test_a_commit_of_the_user_right_behind_a_checkpoint_undoes_nothing(three: Workspace) -> None:
    """git reads the index a moment before it locks it. A commit that reads it before we let go and locks it afterwards
    is out of anybody's hands, so it is tried again if that happens; without our lock it happens each time.
    """
    three.write("user.txt", "staged")
    three.git("add", "user.txt")
    copies = (
        shutil.copytree(three.root, three.root.parent / f"try{number}", symlinks=True) for number in range(12)
    )
    said = (_commit_behind(replace(three, root=copy)) for copy in copies)
    assert ("user", "user.txt", "") in said


def _commit_behind(workspace: Workspace) -> tuple[str, str, str]:
    """Commit as soon as the checkpoint is there: the last commit, what it changed, and what it left."""
    watch = (
        'old=$(git rev-parse main); while [ "$(git rev-parse main)" = "$old" ]; do :; done; '
        "until git commit -qm user; do :; done"
    )
    watcher = subprocess.Popen(
        ["sh", "-c", watch], cwd=workspace.root, env=workspace.environment, stderr=subprocess.DEVNULL
    )
    workspace.gitbatch("run", "--items", "group:1", "--checkpoint", "at-end", code=0)
    watcher.wait(timeout=100)
    changed = workspace.git("diff", "--name-only", "HEAD^", "HEAD")
    return workspace.git("log", "-1", "--format=%s"), changed, workspace.git("status", "--porcelain")
