"""Bad input: one line what happened, one line what to do, the right exit code, and nothing changed."""

import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.cli.main import app, discard_unseen
from gitbatch.errors import GitbatchError

RUN = ("run", "--items", "all", "--checkpoint", "at-end")


@contextmanager
def in_place(workspace: Workspace, **more: str) -> Iterator[None]:
    """Lets this process be in the repository, with the test's environment alone."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            patch.delenv(name)
        for name, value in {**workspace.environment, **more}.items():
            patch.setenv(name, value)
        patch.chdir(workspace.root)
        yield


def refused(
    workspace: Workspace, code: int, *words: str, arguments: tuple[str, ...] = RUN, **environment: str
) -> None:
    """The command, run in this process, must fail with a code, say the words and change nothing."""
    before = workspace.state()
    with in_place(workspace, **environment), pytest.raises(GitbatchError) as raised:
        app(list(arguments), standalone_mode=False)
    error = raised.value
    said = f"{error.details}\n{error.message}\n{error.advice}"
    for word in words:
        assert word in said
    assert error.code == code
    assert "\n" not in error.message
    assert error.advice, "what to do is said too"
    assert workspace.state() == before


@pytest.mark.parametrize(
    ("code", "arguments", "line"),
    [
        (1, (*RUN, "-C", "nowhere"), "gitbatch: nowhere is not a folder"),
        (2, ("run", "--items", "T999", "--checkpoint", "at-end"), "gitbatch: no item is called 'T999'"),
    ],
)
def test_an_error_of_the_whole_program(
    three: Workspace, code: int, arguments: tuple[str, ...], line: str
) -> None:
    """Exit codes 0, 3, 75, 130 and 143 have such tests where a batch runs; 4 at the end of this file."""
    done = three.gitbatch(*arguments, code=code)
    first, *advice = done.stderr.splitlines()
    assert first.startswith(line)
    assert advice
    assert all(hint.startswith("  ") for hint in advice)


def test_not_a_repository(workspace: Workspace) -> None:
    refused(workspace, 1, "is not in a git repository", "-C DIR", arguments=(*RUN, "-C", str(workspace.home)))


def test_no_such_folder(three: Workspace) -> None:
    refused(three, 1, "is not a folder", arguments=(*RUN, "-C", "nowhere"))


@pytest.mark.parametrize("command", ["run", "hooks status"])
def test_the_current_folder_was_deleted(workspace: Workspace, command: str) -> None:
    gone = workspace.home / "gone"
    gone.mkdir()
    script = 'rmdir "$PWD" && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", "gitbatch", *command.split()],
        cwd=gone,
        env=workspace.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines() == [
        "gitbatch: the current folder cannot be used: No such file or directory",
        "  it was probably deleted or renamed: change into the repository (cd) and run the command again",
    ]


def test_bare(three: Workspace, tmp_path: Path) -> None:
    three.git("clone", "-q", "--bare", ".", str(tmp_path / "bare"))
    refused(three, 1, "bare repository", arguments=(*RUN, "-C", str(tmp_path / "bare")))


def test_inside_the_git_folder(three: Workspace) -> None:
    refused(three, 1, "is inside a .git folder", arguments=(*RUN, "-C", ".git"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_repository_of_somebody_else(three: Workspace) -> None:
    shutil.chown(three.root, 65534, 65534)
    shutil.chown(three.root / ".git", 65534, 65534)
    done = three.gitbatch("plan", code=1)
    assert "dubious ownership" in done.stderr
    assert "safe.directory" in done.stderr
    config = three.home / "gitconfig"
    three.environment["GIT_CONFIG_GLOBAL"] = str(config)
    three.git("config", "--global", "--add", "safe.directory", str(three.root))
    three.gitbatch(*RUN, code=0)


def test_unborn(workspace: Workspace) -> None:
    refused(workspace, 1, "branch main has no commit yet", "git add task.md")
    refused(workspace, 1, "no commit yet", arguments=("plan",))
    refused(workspace, 1, "no commit yet", arguments=(*RUN, "--branch", "new"))


def test_detached(three: Workspace) -> None:
    three.git("checkout", "-q", "--detach")
    refused(three, 1, "HEAD is detached", "--branch")


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (("merge", "side"), "a merge"),
        (("cherry-pick", "side"), "a cherry-pick"),
        (("rebase", "side"), "a rebase"),
    ],
)
def test_in_the_middle_of_something(three: Workspace, command: tuple[str, ...], what: str) -> None:
    three.git("checkout", "-q", "-b", "side")
    three.write("rules.md", "side\n")
    three.commit()
    three.git("checkout", "-q", "main")
    three.write("rules.md", "main\n")
    three.commit()
    three.git(*command, check=False)
    refused(three, 1, f"{what} is under way")


def test_git_too_old(three: Workspace, tmp_path: Path) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho git version 2.30.1\n", encoding="utf-8")
    fake.chmod(0o755)
    refused(three, 1, "git 2.30 is too old", "2.38", PATH=str(fake.parent))


def test_no_git(three: Workspace, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    refused(three, 1, "git was not found", PATH=str(tmp_path / "bin"))


def test_a_git_that_fails_is_heard(three: Workspace, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text("#!/bin/sh\necho 'xcrun: error: no developer tools' >&2\nexit 1\n")
    (tmp_path / "bin/git").chmod(0o755)
    refused(three, 1, "no developer tools", PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin")


def test_a_git_that_is_no_program(three: Workspace, tmp_path: Path) -> None:
    (tmp_path / "bin" / "git").mkdir(parents=True)  # found on PATH, and can't be run
    refused(three, 1, "git cannot be started", "install git", PATH=str(tmp_path / "bin"))


@pytest.mark.skipif(sys.platform != "linux", reason="how many files are open is different elsewhere")
def test_where_few_files_may_be_open_fewer_agents_run_at_a_time(three: Workspace) -> None:
    limited = (
        f"ulimit -n 160; exec {sys.executable} -m gitbatch run --items all --checkpoint at-end --jobs 40"
    )
    done = subprocess.run(
        ["bash", "-c", limited],
        cwd=three.root,
        env=three.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "the open-file limit allows 2 agents at a time, not 40" in done.stdout
    assert ", 2 at a time" in done.stdout


def test_what_a_closed_terminal_did_not_get_is_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python exits with 120 if it cannot write it at the end. A full disk keeps that."""
    parent, child = pty.openpty()
    os.close(parent)
    with os.fdopen(child, "w") as screen, Path("/dev/full").open("w", encoding="utf-8") as full:
        screen.write("unseen")
        full.write("lost")
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setattr(sys, "stderr", full)
        discard_unseen()
        screen.flush()
        with pytest.raises(OSError, match="No space left"):
            full.flush()
        os.dup2(screen.fileno(), full.fileno())


def test_closed_standard_streams_stop_nothing(three: Workspace) -> None:
    for command in ("plan", "status", "run --items all --checkpoint at-end --no-input"):
        shell = f"exec {sys.executable} -m gitbatch {command} >&- 2>&-"
        done = subprocess.run(["sh", "-c", shell], cwd=three.root, env=three.environment, check=False)
        assert done.returncode == 0, command
    assert "T204" in three.git("log", "--format=%s")


def test_a_demo_without_git_leaves_nothing_behind(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = workspace.gitbatch("demo", "made", code=1, PATH=str(tmp_path / "bin"))
    assert done.stderr.splitlines() == [
        "gitbatch: git was not found",
        "  install git 2.38 or newer and put it on PATH",
    ]
    assert not any((workspace.root / "made").glob("*"))


def test_nobody_knows_who(three: Workspace) -> None:
    for name in [name for name in three.environment if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))]:
        del three.environment[name]
    three.git("config", "user.useConfigOnly", "true")
    refused(three, 1, "git does not know who you are", "user.name")
    for looks_only in ("plan", "status", "verify"):
        three.gitbatch(looks_only)


def test_no_plan(workspace: Workspace) -> None:
    workspace.write("README.md", "x")
    workspace.commit()
    refused(workspace, 2, "missing task.md")


@pytest.mark.rule("T3", "P2")
def test_only_a_definition_of_done_is_a_hard_stop(three: Workspace) -> None:
    three.write("task.md", "# Plan\n\n- [ ] All is good\n- [ ] All is written\n")
    three.commit()
    refused(three, 2, "GB10", "### ")


def test_a_plan_with_errors_shows_them_all(three: Workspace) -> None:
    three.edit("task.md", "Write b → DoD: #1", "Write b → DoD: #9")
    three.edit("task.md", "Output: out/letters/d.md", "Output: ../d.md")
    three.commit()
    refused(three, 2, "task.md:14:", "GB214", "GB222")


def test_two_items_with_one_output(three: Workspace) -> None:
    three.edit("task.md", "out/letters/b.md\n", "out/letters/A.md\n")
    three.commit()
    refused(three, 2, "GB223")


@pytest.mark.parametrize("arguments", [("--agent", "nobody"), ()])
def test_an_unknown_agent(three: Workspace, arguments: tuple[str, ...]) -> None:
    if not arguments:
        three.edit("task.md", "Write b →", "Write b → Agent: nobody →")
        three.commit()
    refused(three, 2, "nobody", "scripted", arguments=(*RUN, *arguments))


def test_no_agent_at_all(three: Workspace) -> None:
    three.write("gitbatch.toml", "")
    three.commit()
    refused(three, 2, "no agent is configured", "[agents.writer]")


def dirty_plan(workspace: Workspace) -> None:
    workspace.write("task.md", workspace.read("task.md") + "\nmore\n")


def staged_status(workspace: Workspace) -> None:
    workspace.write("status.md", "staged")
    workspace.git("add", "status.md")


def untracked_output(workspace: Workspace) -> None:
    workspace.write("out/letters/c.md", "mine")


def file_in_the_way(workspace: Workspace) -> None:
    workspace.write("out", "no folder")


def untracked_log(workspace: Workspace) -> None:
    workspace.write("decisions-log.md", "mine")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (dirty_plan, "task.md"),
        (staged_status, "status.md"),
        (untracked_output, "out/letters/c.md"),
        (untracked_log, "decisions-log.md"),
        (file_in_the_way, "out/letters/a.md"),
    ],
)
def test_uncommitted_changes_in_what_gitbatch_writes(
    three: Workspace, change: Callable[[Workspace], None], path: str
) -> None:
    change(three)
    refused(three, 1, f"uncommitted changes in {path}", "commit or stash")


def test_a_lock_held_by_another_run(three: Workspace) -> None:
    three.edit("task.md", "Write a →", "Write a do: hang →")
    three.commit()
    first = subprocess.Popen(
        [sys.executable, "-m", "gitbatch", "run", "--items", "T101", "--checkpoint", "at-end"],
        cwd=three.root,
        env=three.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdout is not None
    while "start     T101" not in first.stdout.readline():
        pass
    before = three.state()
    done = three.gitbatch(*RUN, code=75)
    assert f"another gitbatch is running in {three.root} (process {first.pid} of " in done.stderr
    three.gitbatch("abort", code=75)
    assert three.state() == before
    assert "0 of 1 group" in three.gitbatch("status", code=0).stdout
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)
    assert first.returncode == 130


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--checkpoint", "sometimes", "--items", "all"), "invalid checkpoint mode"),
        (("--checkpoint", "after-batch:0", "--items", "all"), "invalid checkpoint mode"),
        (("--items", "T999", "--checkpoint", "at-end"), "no item is called 'T999'"),
        (("--items", "group:7", "--checkpoint", "at-end"), "group:7 is not in the plan"),
        (("--items", f"group:{'9' * 5_000}", "--checkpoint", "at-end"), "is not in the plan"),
        (("--items", ",", "--checkpoint", "at-end"), "--items is empty"),
        (("--items", "", "--checkpoint", "at-end"), "--items is empty"),
        ((*RUN[1:], "--agent", ""), "agent '' is not configured"),
        ((".", *RUN[1:]), "is a folder and no plan"),
        ((*RUN[1:], "--branch", "a..b"), "invalid branch name"),
        ((*RUN[1:], "--branch", "HEAD"), "invalid branch name"),
        ((*RUN[1:], "--branch", "refs/heads/x"), "invalid branch name"),
        ((*RUN[1:], "--branch", "main/below"), "there is a branch main"),
        ((*RUN[1:], "--branch", "gitbatch"), "gitbatch/… is for item branches"),
        (("../elsewhere.md", *RUN[1:]), "is outside the repository"),
        (("docs/other.md", *RUN[1:]), "docs/other.md"),
    ],
)
def test_options_that_make_no_sense(three: Workspace, arguments: tuple[str, ...], words: str) -> None:
    refused(three, 2, words, arguments=("run", *arguments))


def test_an_unknown_option_is_a_usage_error(three: Workspace) -> None:
    assert "No such option" in three.gitbatch("run", "--nonsense", code=2).stderr


def test_a_done_item_is_not_run_again(three: Workspace) -> None:
    three.edit("task.md", "- [ ] T101", "- [x] T101")
    three.commit()
    refused(three, 2, "T101 is done", arguments=("run", "--items", "T101", "--checkpoint", "at-end"))


@pytest.mark.rule("O2")
def test_a_plan_of_another_phase(three: Workspace) -> None:
    three.write("CLAUDE.md", "## Aktiver Scope\n\nPhase: one\n")
    three.write("docs/phases/one/task.md", three.read("task.md"))
    three.write("docs/phases/two/task.md", three.read("task.md"))
    three.commit()
    refused(
        three,
        2,
        "docs/phases/two/task.md is not the plan of the active phase",
        arguments=("run", "docs/phases/two/task.md", *RUN[1:]),
    )


@pytest.mark.rule("O5", "K4")
def test_another_phase_in_the_middle_of_a_batch_is_a_hard_stop(three: Workspace) -> None:
    three.write("CLAUDE.md", "## Aktiver Scope\n\nPhase: one\n")
    for phase in ("one", "two"):
        three.write(f"docs/phases/{phase}/task.md", three.read("task.md"))
    three.commit()
    three.gitbatch("run", "--items", "all", "--checkpoint", "after-each", code=3)
    three.write("CLAUDE.md", "## Aktiver Scope\n\nPhase: two\n")
    three.commit()
    done = three.gitbatch("run", code=1)
    assert "the active phase is now two; this batch belongs to one" in done.stdout
    assert "- [x] T201" not in three.read("docs/phases/one/task.md")
    assert "- [x]" not in three.read("docs/phases/two/task.md")


def test_a_context_that_nothing_writes(three: Workspace) -> None:
    three.edit("task.md", "(context: out/letters/a.md, out/letters/b.md)", "(context: nowhere.md)")
    three.commit()
    refused(three, 2, "T201 reads nowhere.md", "task.md:20")


def test_a_context_whose_writer_was_not_chosen(three: Workspace) -> None:
    refused(three, 2, "choose T101 too", arguments=("run", "--items", "T201", "--checkpoint", "at-end"))


@pytest.mark.parametrize("kind", ["symlink", "file"])
def test_an_output_below_something_that_is_no_folder(three: Workspace, kind: str) -> None:
    if kind == "symlink":
        (three.root / "out").symlink_to("tools")
    else:
        three.write("out", "a file")
    three.commit()
    refused(three, 2, "cannot write the output out/letters/a.md: out is a")


def test_a_branch_called_gitbatch(three: Workspace) -> None:
    three.git("branch", "gitbatch")
    refused(three, 1, "there is a branch called gitbatch", "git branch -m")


def test_a_branch_that_another_worktree_has(three: Workspace, tmp_path: Path) -> None:
    three.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    refused(three, 1, "branch side is checked out in", arguments=(*RUN, "--branch", "side"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[batch]\njobs = 0\n", "$.batch.jobs"),
        ("[batch]\njbos = 4\n", "jbos"),
        ("[agents.a]\nkind = 'telepathy'\n", "telepathy"),
        ("[agents.a]\nkind = 'command'\ncommand = 'a string'\n", "$.agents"),
        ("[agents.a]\nkind = 'command'\ncommand = ['x']\ntimeout = 'soon'\n", "invalid duration 'soon'"),
        ("this is not toml", "not valid TOML"),
    ],
)
def test_a_configuration_that_makes_no_sense(three: Workspace, text: str, words: str) -> None:
    three.write("gitbatch.toml", text)
    three.commit()
    refused(three, 2, words)


def test_worktrees_inside_the_repository(three: Workspace) -> None:
    refused(three, 2, "inside the repository", GITBATCH_WORKTREES=str(three.root / "trees"))


def test_a_folder_for_worktrees_that_can_not_be_written(three: Workspace) -> None:
    done = three.gitbatch(*RUN, code=1, GITBATCH_WORKTREES="/proc/nowhere")
    assert "cannot make a worktree in /proc/nowhere" in done.stderr
    three.gitbatch("run", code=0)


def test_a_warning_is_shown_and_stops_nothing(three: Workspace) -> None:
    three.edit("task.md", "- [ ] T102", "<!-- sequential -->\n- [ ] T102")
    three.commit()
    assert "GB303 warning" in three.gitbatch("plan", code=0).stderr
    assert "GB303 warning" in three.gitbatch(*RUN, code=0).stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_git_folder_that_can_not_be_written(three: Workspace) -> None:
    (three.root / ".git").chmod(0o500)
    done = three.gitbatch(*RUN, code=1)
    (three.root / ".git").chmod(0o700)
    assert "cannot write" in done.stderr


def test_a_bug_leaves_a_trace(three: Workspace, tmp_path: Path) -> None:
    broken = tmp_path / "sitecustomize.py"
    broken.write_text("import gitbatch.batch.history.record as r\nr.all_batches = None\n", encoding="utf-8")
    done = three.gitbatch("status", code=4, PYTHONPATH=str(tmp_path))
    assert "Traceback" not in done.stderr
    path = Path(done.stderr.split("traceback written to ")[1].splitlines()[0])
    assert "TypeError" in path.read_text(encoding="utf-8")
