"""The pre-commit hook: commits of an agent in its worktree, each also without the hook, where it succeeds."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from conftest import Workspace

from gitbatch.batch.history.record import write_record
from gitbatch.batch.model import BatchGroup, BatchItem, Record
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.agent_git import ASSIGNED, git_dir_of, read_agent_git
from gitbatch.repo.worktrees.worktree import NewWorktree, add_worktree
from gitbatch.resources import resource

SCRIPT = resource("hooks/pre-commit")
SHELLS = tuple(shell for shell in ("sh", "dash", "bash", "ksh", "zsh") if shutil.which(shell))
OUTPUT = "out/x.md"
BRANCH = "refs/heads/gitbatch/b/1-x"


@dataclass(frozen=True)
class Desk:
    """An agent's worktree, and the user's checkout that it comes from."""

    user: Workspace
    agent: Workspace

    def add_and_commit(self) -> subprocess.CompletedProcess[str]:
        self.agent.git("add", "--all")
        return self.commit("--message", "work")

    def commit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", "commit", "--quiet", *arguments],
            cwd=self.agent.root,
            env=self.agent.environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def repo(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.write("task.md", "- [ ] T1 Write x\n")
    workspace.write("phase/CLAUDE.md", "# Scope\n")
    workspace.write("code.txt", "code\n")
    workspace.commit()
    opened = open_repository(workspace.root)
    yield opened
    opened.close()


def put_hook(workspace: Workspace) -> None:
    shutil.copy(SCRIPT, workspace.root / ".git" / "hooks" / "pre-commit")


def make_desk(repo: Repository, workspace: Workspace, output: str = OUTPUT) -> Desk:
    path = workspace.root.parent / "wörk trees" / "b-1-x"
    agents, base = read_agent_git(repo, path.parent, "refs/heads/main"), workspace.git("rev-parse", "HEAD")
    add_worktree(repo, agents, NewWorktree(path, BRANCH, base, output, None))
    return Desk(workspace, replace(workspace, root=path))


def shared_file(desk: Desk) -> None:
    desk.agent.write(OUTPUT, "x\n")
    desk.agent.write("task.md", "- [x] T1 Write x\n")


def scope_file(desk: Desk) -> None:
    desk.agent.write("phase/CLAUDE.md", "# Mine\n")


def other_file(desk: Desk) -> None:
    desk.agent.write(OUTPUT, "x\n")
    desk.agent.write("a b/ü.md", "stray\n")


def name_around_the_output(desk: Desk) -> None:
    desk.agent.write(f"{OUTPUT}.bak", "x\n")
    desk.agent.write(f"{OUTPUT} ", "x\n")
    desk.agent.write(f" {OUTPUT}", "x\n")
    desk.agent.write("out/X.md", "x\n")
    desk.agent.write(f"{OUTPUT}:100644:x", "x\n")
    desk.agent.write(f"100644:{OUTPUT}", "x\n")


def name_with_line_breaks(desk: Desk) -> None:
    desk.agent.write(f"a\n{OUTPUT}", "x\n")
    desk.agent.write(f"{OUTPUT}\n", "x\n")
    desk.agent.write(f"\t{OUTPUT}\x1b[2J", "x\n")


def rename(desk: Desk) -> None:
    desk.agent.git("mv", "task.md", OUTPUT)


def deletion(desk: Desk) -> None:
    (desk.agent.root / "code.txt").unlink()


def executable(desk: Desk) -> None:
    desk.agent.write(OUTPUT, "x\n")
    (desk.agent.root / OUTPUT).chmod(0o755)


def link(desk: Desk) -> None:
    (desk.agent.root / OUTPUT).symlink_to("../task.md")


def folder(desk: Desk) -> None:
    desk.agent.write(f"{OUTPUT}/x.md", "x\n")


def nested_repository(desk: Desk) -> None:
    inner = replace(desk.agent, root=desk.agent.root / OUTPUT)
    inner.root.mkdir(parents=True)
    inner.git("init", "--quiet")
    inner.git("commit", "--quiet", "--allow-empty", "--message", "inner")


def other_branch(desk: Desk) -> None:
    desk.agent.git("switch", "--quiet", "--create", "mine")
    desk.agent.write("code.txt", "mine\n")


def detached(desk: Desk) -> None:
    desk.agent.git("switch", "--quiet", "--detach")
    desk.agent.write("code.txt", "mine\n")


ATTACKS: dict[Callable[[Desk], None], tuple[str, str]] = {
    shared_file: ("task.md", "S2"),
    scope_file: ("phase/CLAUDE.md", "S2"),
    other_file: ("a b/ü.md", "S1"),
    name_around_the_output: ("out/X.md", "S1"),
    name_with_line_breaks: (r'"\tout/x.md\033[2J"', "S1"),
    rename: ("task.md", "S2"),
    deletion: ("code.txt", "S1"),
    executable: (OUTPUT, "S1"),
    link: (OUTPUT, "S1"),
    folder: (f"{OUTPUT}/x.md", "S1"),
    nested_repository: (OUTPUT, "S1"),
    other_branch: ("code.txt", "S1"),
    detached: ("code.txt", "S1"),
}


@pytest.mark.rule("S1", "S2", "O3")
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_other_files_are_blocked(
    repo: Repository, workspace: Workspace, attack: Callable[[Desk], None]
) -> None:
    put_hook(workspace)
    desk = make_desk(repo, workspace)
    attack(desk)
    done = desk.add_and_commit()
    path, rule = ATTACKS[attack]
    assert done.returncode == 1
    assert f"gitbatch: {path} may not be committed here (rule {rule}: " in done.stderr
    assert f"gitbatch: the assigned file is {OUTPUT}: " in done.stderr
    assert "\x1b" not in done.stderr
    assert desk.agent.git("log", "-1", "--format=%s") == "change"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_attack_succeeds_without_hook(
    repo: Repository, workspace: Workspace, attack: Callable[[Desk], None]
) -> None:
    desk = make_desk(repo, workspace)
    attack(desk)
    assert desk.add_and_commit().returncode == 0
    assert desk.agent.git("log", "-1", "--format=%s") == "work"


@pytest.mark.rule("S1")
def test_each_path_is_checked(repo: Repository, workspace: Workspace) -> None:
    put_hook(workspace)
    desk = make_desk(repo, workspace)
    name_around_the_output(desk)
    said = desk.add_and_commit().stderr
    assert said.count("may not be committed here") == 6
    for number in range(20):
        desk.agent.write(f"many/{number}.md", "x\n")
    said = desk.add_and_commit().stderr
    assert said.count("may not be committed here") == 10
    assert "gitbatch: … and 16 more\n" in said


@pytest.mark.parametrize("how", [("--all",), ("--", "code.txt"), ("--amend",), ("--include", "code.txt")])
@pytest.mark.rule("S1")
def test_every_form_of_commit_is_checked(
    repo: Repository, workspace: Workspace, how: tuple[str, ...]
) -> None:
    put_hook(workspace)
    desk = make_desk(repo, workspace)
    desk.agent.write("code.txt", "mine\n")
    if how == ("--amend",):
        desk.agent.git("add", "code.txt")
    assert "gitbatch: code.txt may not be committed" in desk.commit("--message", "work", *how).stderr


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (OUTPUT, OUTPUT),
        ("a b/ü 'x'.md", "a b/ü 'x'.md"),
        ('say "hi".md', r'"say \"hi\".md"'),
        ("-x.md", "-x.md"),
        ("$(id)/`id`*[a].md", "$(id)/`id`*[a].md"),
    ],
)
def test_assigned_file_passes(repo: Repository, workspace: Workspace, output: str, shown: str) -> None:
    put_hook(workspace)
    desk = make_desk(repo, workspace, output)
    desk.agent.write(output, "x\n")
    assert desk.add_and_commit().returncode == 0
    (desk.agent.root / output).unlink()
    assert desk.add_and_commit().returncode == 0
    desk.agent.write("code.txt", "mine\n")
    assert f"the assigned file is {shown}: " in desk.add_and_commit().stderr


@pytest.mark.parametrize("output", ["a b/ü 'x'.md", "-x.md", ""])
def test_overlay_worktree_names_the_assigned_file_by_a_link(
    repo: Repository, workspace: Workspace, output: str
) -> None:
    put_hook(workspace)
    desk = make_desk(repo, workspace, output or OUTPUT)
    own = git_dir_of(desk.agent.root)
    (own / ASSIGNED).unlink()
    agents = read_agent_git(repo, desk.agent.root.parent, "refs/heads/main")
    upper = agents.make_upper(desk.agent.root.with_name("other"), workspace.git("rev-parse", "HEAD"), output)
    (upper / ASSIGNED).rename(own / ASSIGNED)
    desk.agent.write(output or OUTPUT, "x\n")
    done = desk.add_and_commit()
    assert (done.returncode == 0) is bool(output)
    desk.agent.write("code.txt", "mine\n")
    assert f"the assigned file is {output or '/'}: " in desk.add_and_commit().stderr


def test_uncommitted_files_are_ignored(repo: Repository, workspace: Workspace) -> None:
    put_hook(workspace)
    desk = make_desk(repo, workspace)
    desk.agent.write(OUTPUT, "x\n")
    desk.agent.git("add", OUTPUT)
    desk.agent.write("code.txt", "not staged\n")
    desk.agent.write("stray.txt", "only announced\n")
    desk.agent.git("add", "--intent-to-add", "stray.txt")
    assert desk.commit("--message", "work").stderr == ""


def test_hook_can_be_bypassed(repo: Repository, workspace: Workspace) -> None:
    """The hook can be bypassed, so gitbatch takes one file out of the worktree, and nothing that was committed there."""
    put_hook(workspace)
    desk = make_desk(repo, workspace)
    shared_file(desk)
    desk.agent.git("add", "--all")
    assert desk.commit("--no-verify", "--message", "work").returncode == 0


def start_batch(repo: Repository, workspace: Workspace) -> str:
    """Records a batch of two items; the branch of the second has not moved. Returns that branch's short name."""
    items = (
        BatchItem("out/one.md", "T1", 'Write "slug": "1-t2"', "1-t1", 1),
        BatchItem('out/"two".md', "T2", "Write two", "1-t2", 1),
    )
    batch = "20260102-030405-abcd"
    groups = (BatchGroup(1, "Group", items),)
    record = Record(batch, 0, "refs/heads/main", "", "task.md", "at-end", "a", 1, groups)
    write_record(repo, record, workspace.git("rev-parse", "HEAD"))
    workspace.git("branch", f"gitbatch/{batch}/1-t2")
    return f"gitbatch/{batch}/1-t2"


@pytest.mark.rule("S1")
def test_item_branch_elsewhere_takes_only_its_file(repo: Repository, workspace: Workspace) -> None:
    put_hook(workspace)
    workspace.git("switch", "--quiet", start_batch(repo, workspace))
    desk = Desk(workspace, workspace)
    workspace.write('out/"two".md', "2\n")
    assert desk.add_and_commit().returncode == 0
    workspace.write("out/one.md", "1\n")
    said = desk.add_and_commit().stderr
    assert "out/one.md may not be committed here (rule S1" in said
    assert r'the assigned file is "out/\"two\".md": this is the branch of an item' in said
    workspace.git("switch", "--quiet", "--create", "mine")
    assert desk.add_and_commit().returncode == 0


@pytest.mark.rule("S1")
def test_item_branch_without_hook_takes_all(repo: Repository, workspace: Workspace) -> None:
    workspace.git("switch", "--quiet", start_batch(repo, workspace))
    workspace.write("out/one.md", "1\n")
    assert Desk(workspace, workspace).add_and_commit().returncode == 0


def test_unknown_batch_takes_nothing(workspace: Workspace) -> None:
    workspace.write("a.txt", "a")
    workspace.commit()
    put_hook(workspace)
    workspace.git("switch", "--quiet", "--create", "gitbatch/20260102-030405-abcd/1-x")
    workspace.write("out/x.md", "x")
    said = Desk(workspace, workspace).add_and_commit().stderr
    assert "out/x.md may not be committed here (rule S1" in said
    assert "the assigned file is not known here" in said


@pytest.mark.parametrize("where", ["main", "gitbatch", "gitbatch/mine", "feature/gitbatch/a/b"])
def test_user_commits_freely(workspace: Workspace, where: str) -> None:
    put_hook(workspace)
    workspace.write("task.md", "plan")
    workspace.commit()
    workspace.git("switch", "--quiet", "--detach")
    workspace.git("branch", "--delete", "main")
    workspace.git("switch", "--quiet", "--create", where)
    workspace.write("task.md", "mine")
    assert Desk(workspace, workspace).add_and_commit().stderr == ""
    linked = replace(workspace, root=workspace.root.parent / "linked")
    workspace.git("worktree", "add", "--quiet", "--detach", str(linked.root))
    linked.write("task.md", "mine too")
    assert Desk(workspace, linked).add_and_commit().stderr == ""


WITHOUT_FORK = """
import errno, os, sys
from gitbatch.sandbox.launcher.seccomp import install_filter, refuse_calls
numbers = (56, 57, 58, 435) if os.uname().machine == "x86_64" else (220, 435)  # clone, fork, vfork; clone3
install_filter([(0x20, 0, 0, 0), *refuse_calls(numbers, errno.EPERM), (0x06, 0, 0, 0x7FFF0000)])
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Runs a program that the kernel lets start no process."""


def run_without_fork(workspace: Workspace) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", WITHOUT_FORK, ".git/hooks/pre-commit"]
    return subprocess.run(
        argv,
        cwd=workspace.root,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )


def test_user_commit_forks_nothing(workspace: Workspace) -> None:
    """The hook is one shell; on the branch of an item it starts more."""
    put_hook(workspace)
    done = run_without_fork(workspace)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    workspace.git("checkout", "--quiet", "-b", BRANCH.removeprefix("refs/heads/"))
    assert "fork" in run_without_fork(workspace).stderr


def test_separate_git_dir(repo: Repository, workspace: Workspace) -> None:
    """Without GIT_DIR the hook asks git for its directory: here the hook is not started by git."""
    put_hook(workspace)
    desk = make_desk(repo, workspace)
    other_file(desk)
    desk.agent.git("add", "--all")
    done = subprocess.run(
        ["sh", workspace.root / ".git" / "hooks" / "pre-commit"],
        cwd=desk.agent.root,
        env=workspace.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "a b/ü.md may not be committed here" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_script_is_plain_shell(shell: str) -> None:
    posix = {"bash": ["--posix"]}.get(shell, [])
    assert subprocess.run([shell, *posix, "-n", SCRIPT], check=False).returncode == 0
    assert SCRIPT.read_bytes().startswith(b"#!/bin/sh\n")
    assert os.access(SCRIPT, os.X_OK)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_blocks_the_same(repo: Repository, workspace: Workspace, shell: str) -> None:
    put_hook(workspace)
    hook = workspace.root / ".git" / "hooks" / "pre-commit"
    script = hook.read_text(encoding="utf-8").replace("/bin/sh", shutil.which(shell) or "", 1)
    hook.write_text(script, encoding="utf-8")
    desk = make_desk(repo, workspace)
    name_with_line_breaks(desk)
    said = desk.add_and_commit().stderr
    assert said.count("may not be committed here") == 3
