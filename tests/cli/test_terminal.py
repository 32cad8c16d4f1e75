"""What a person meets in a real terminal: being asked, the live view, the pause, Ctrl-C."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pexpect
import pytest
from conftest import Workspace
from forked_terminal import GITBATCH, open_terminal
from history import assert_tidy, audit, ticked
from processes import processes_below, require_no_agents
from waiting import pass_moment, wait_until

DOWN, ENTER = "\x1b[B", "\r"


@contextmanager
def terminal(workspace: Workspace, *arguments: str, shell: str = "") -> Iterator["pexpect.spawn[str]"]:
    environment = {
        **workspace.environment,
        "TERM": "xterm-256color",
        "PROMPT_TOOLKIT_NO_CPR": "1",
        "PAGER": "cat",
    }
    command = ["sh", "-c", shell] if shell else [*GITBATCH, *arguments]
    child = open_terminal(workspace, command, env=environment, timeout=120, dimensions=(40, 120))
    try:
        yield child
    finally:
        child.close(force=True)


def pid_of(child: "pexpect.spawn[str]") -> int:
    assert child.pid is not None
    return child.pid


def approve(child: "pexpect.spawn[str]", question: str = "end the batch") -> None:
    """Continues from the review screen, with all items undecided."""
    child.expect(question)
    child.send("c")
    child.expect(r"\(y, n\)")
    child.send("y")


def stop(child: "pexpect.spawn[str]", shown: str = "stop here") -> None:
    """Stops at the review screen."""
    child.expect(shown)
    child.send("q")


def end(child: "pexpect.spawn[str]") -> int | None:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


@pytest.mark.rule("O7", "K1")
def test_asking_pausing_and_going_on(three: Workspace) -> None:
    with terminal(three, "run") as child:
        child.expect("Which items\\?")
        child.expect("all 12 open items")
        child.send(ENTER)
        child.expect("Pause for a review\\?")
        child.send(ENTER)
        child.expect("Checkpoint 1/3, Letters: 4 of 4 items done")
        child.expect("continue with the next group")
        child.send(ENTER + ENTER + "d")
        child.expect("diff --git a/out/letters/a.md")
        child.send("q")
        approve(child, "Enter decides nothing|a approve")
        child.expect("checkpoint 2/3")
        stop(child)
        assert end(child) == 3
    assert len(ticked(three)) == 8
    with terminal(three, "run") as child:
        child.expect("resumes after 2 of 3 groups")
        approve(child)
        assert end(child) == 0
    assert len(audit(three).items) == 12
    assert_tidy(three)


@pytest.mark.rule("F7")
def test_other_terminals_decide_while_one_waits(three: Workspace) -> None:
    """Of two that decide at once, one wins and the other is told; so is the first, which continues by what was decided."""
    with terminal(three, "run", "--items", "T101,T102,T301", "--checkpoint", "after-each") as child:
        child.expect("Enter decides nothing|a approve")
        child.send("x")
        watching = three.start("watch")
        assert "it waits for a review in its terminal" in three.gitbatch("status", code=0).stdout
        two = [three.start("review", "T101", "--reject", is_heard=False) for _ in range(2)]
        codes = sorted(process.wait() for process in two)
        assert codes in ([0, 1], [0, 75]), "the other is refused, or finds the lock held"
        assert len(three.git("log", "--format=%h", "--grep", "^gitbatch: review").split()) == 1
        child.send("c")
        child.expect(r"\(y, n\)")
        child.send("y")
        child.expect("decided elsewhere meanwhile: T101")
        child.send("\x7fc")
        child.expect(r"\(y, n\)")
        child.send("y")
        child.expect("decided elsewhere: T101 rejected by Test User")
        assert len(three.git("log", "--format=%h", "--grep", "^gitbatch: review").split()) == 1
        approve(child)
        assert end(child) == 0, "what a person rejected has not failed"
        assert watching.stdout
        with watching.stdout as watched:
            assert "finished  " in watched.read()
        assert watching.wait() == 0
    assert_tidy(three)


@pytest.mark.rule("O7")
def test_choosing_single_items_and_a_number_of_groups(three: Workspace) -> None:
    with terminal(three, "run") as child:
        child.expect("Which items\\?")
        child.send(DOWN * 4 + ENTER)
        child.expect("Ids or output paths")
        child.send("T999" + ENTER)
        child.expect("no item is called")
        child.send("\x7f" * 4 + "T101, T301" + ENTER)
        child.expect("Pause for a review\\?")
        child.send(DOWN + ENTER)
        child.expect("After how many of the 2 groups\\?")
        child.send(ENTER)
        approve(child)
        assert end(child) == 0
    assert ticked(three) == ["T101", "T301"]


def test_nothing_starts_when_the_answer_is_a_signal(three: Workspace) -> None:
    """The terminal shows again what is typed."""
    before = three.state()
    with terminal(three, "run") as child:
        child.expect("Which items\\?")
        child.sendcontrol("c")
        assert end(child) == 130
    with terminal(three, "run") as child:
        child.expect("Which items\\?")
        assert not child.getecho()
        child.kill(signal.SIGTERM)
        child.expect(pexpect.EOF)
        assert child.getecho()
        assert end(child) == 143
    assert three.state() == before


@pytest.mark.rule("F1")
def test_the_live_view_shows_what_runs(three: Workspace) -> None:
    three.edit("task.md", "Write a →", "Write a do: nap 2 →")
    three.commit()
    with terminal(three, "run", "--items", "group:1", "--checkpoint", "at-end") as child:
        child.expect("working on out/letters/a.md")
        child.expect("of 4 items")
        child.expect("checkpoint 1/1")
        approve(child)
        assert end(child) == 0


def test_a_terminal_without_colours_and_without_unicode(three: Workspace) -> None:
    """The bar is readable, and every byte is ASCII."""
    three.edit("task.md", "Write a →", "Write “ä” do: nap 1 →")
    three.edit("task.md", "out/letters/b.md", "out/letters/ü.md")
    three.edit("task.md", "### Letters", "### “Letters”")
    three.commit()
    limited = {"NO_COLOR": "1", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "LANG": "C"}
    options = ("--items", "group:1", "--checkpoint", "at-end")
    with terminal(replace(three, environment=three.environment | limited), "run", *options) as child:
        child.logfile_read = said = StringIO()
        child.expect(r"\[#+-+\] [123] of 4 items")
        child.expect("checkpoint 1/1")
        child.expect('Checkpoint 1/1, "Letters"')
        approve(child)
        assert end(child) == 0
    assert said.getvalue().isascii()
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", said.getvalue()), "a colour"
    assert three.read("out/letters/ü.md")


@pytest.mark.rule("F4")
def test_ctrl_c_ends_agents_and_keeps_what_is_done(three: Workspace) -> None:
    three.edit("task.md", "Write a →", "Write a do: hang →")
    three.commit()
    with terminal(three, "run", "--items", "group:1", "--checkpoint", "at-end") as child:
        child.expect("3 of 4 items")
        child.sendcontrol("c")
        child.expect("interrupted; every finished item is in git")
        assert end(child) == 130
    branches = three.git("for-each-ref", "--format=%(refname:short)", "refs/heads/gitbatch/").splitlines()
    assert len(branches) == 3
    three.edit("task.md", "Write a do: hang →", "Write a →")
    three.commit()
    done = three.gitbatch("run", code=0)
    assert "1 to run, 3 done before" in done.stdout
    assert len(audit(three).items) == 4
    assert_tidy(three)


def test_ctrl_c_while_python_still_imports_says_nothing_and_ends() -> None:
    code = """
import sys
class Interrupted:
    def find_spec(self, name, *rest):
        if name == "gitbatch.cli.main":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from gitbatch.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_works_after_a_pause(three: Workspace) -> None:
    three.edit("task.md", "Write ab →", "Write ab do: hang →")
    three.commit()
    with terminal(three, "run", "--items", "all", "--checkpoint", "after-each") as child:
        approve(child, "continue with the next group")
        child.expect("7 of 12 items")
        child.sendcontrol("c")
        child.expect("interrupted; every finished item is in git")
        assert end(child) == 130


def test_a_reader_that_goes_away_stops_nothing(three: Workspace) -> None:
    command = f"{sys.executable} -m gitbatch run --items all --checkpoint at-end | head -n 1"
    subprocess.run(["sh", "-c", command], cwd=three.root, env=three.environment, check=True)
    assert len(ticked(three)) == 12


def test_a_terminal_that_can_not_show_a_name_stops_nothing(three: Workspace) -> None:
    three.gitbatch("run", "--items", "group:1", "--checkpoint", "at-end", code=0, PYTHONIOENCODING="latin-1")


def test_colour_is_for_terminals(three: Workspace) -> None:
    said = three.gitbatch("run", "--items", "group:1", "--checkpoint", "at-end", code=0).stdout
    assert "\x1b" not in said
    with terminal(three, "run", "--items", "group:2", "--checkpoint", "at-end") as child:
        child.expect(re.escape("\x1b[32m"))
        approve(child)
        assert end(child) == 0


STUBBORN = 'stubborn) page >"$output"; trap "" TERM INT HUP; : >%s; while :; do sleep 1; done ;;\nfail) echo'


@pytest.mark.rule("F4")
def test_a_second_ctrl_c_kills_agents(three: Workspace, tmp_path: Path) -> None:
    """After the first one alone, the agent would have an hour to end, and this test would time out."""
    patient = "import gitbatch.agents.process.program as program\nprogram._GRACE = 3600.0\n"
    (tmp_path / "sitecustomize.py").write_text(patient, encoding="utf-8")
    three.environment["PYTHONPATH"] = str(tmp_path)
    deaf = three.home / "deaf"
    three.edit("tools/agent.sh", "fail) echo", STUBBORN % deaf)
    three.edit("task.md", "Write a →", "Write a do: stubborn →")
    three.commit()
    before = three.git("rev-parse", "main")
    with terminal(three, "run", "--items", "group:1", "--checkpoint", "at-end") as child:
        child.expect("3 of 4 items")
        wait_until(deaf.exists, "the agent ignores signals")
        assert hears_ctrl_c(child) == {pid_of(child)}
        child.sendcontrol("c")
        child.expect("Ctrl-C again kills them")
        child.sendcontrol("c")
        child.expect("interrupted; every finished item is in git. resume: gitbatch run")
        assert end(child) == 130
    require_no_agents(three)
    assert three.git("rev-parse", "main") == before
    assert three.git("status", "--porcelain") == ""
    three.edit("task.md", "Write a do: stubborn →", "Write a →")
    three.commit()
    assert "1 to run, 3 done before" in three.gitbatch("run", code=0).stdout
    assert_tidy(three)


def hears_ctrl_c(child: "pexpect.spawn[str]") -> set[int]:
    """The processes of a terminal that its Ctrl-C reaches."""
    foreground = os.tcgetpgrp(child.child_fd)
    below = {pid_of(child): os.getpgid(pid_of(child))}
    below |= {pid: group for pid, (_, group) in processes_below(pid_of(child)).items()}
    assert len(below) > 3, "agents and gits are at work"
    return {pid for pid, group in below.items() if group == foreground}


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_cuts_no_git(three: Workspace, times: int) -> None:
    shim, log, go = three.home / "bin" / "git", three.home / "calls", three.home / "go"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *read-tree*-u*) echo begin >>{log}; until [ -e {go} ]; do sleep 0.05; done; {shutil.which("git")} "$@"; '
        f'code=$?; echo end >>{log}; exit $code;; esac\nexec {shutil.which("git")} "$@"\n'
    )
    shim.chmod(0o755)
    three.environment["PATH"] = f"{shim.parent}:{three.environment['PATH']}"
    with terminal(three, "run", "--items", "group:1", "--checkpoint", "at-end") as child:
        child.expect("4 to run")
        wait_until(log.exists, "git begins")
        for _ in range(times):
            child.sendcontrol("c")
            pass_moment(0.1)
        go.touch()
        child.expect("interrupted; every finished item is in git")
        assert end(child) == 130
    assert log.read_text().split() == ["begin", "end"]
    three.gitbatch("run", code=0)
    assert len(audit(three).items) == 4
    assert_tidy(three)


def test_a_system_that_shuts_down_ends_a_pause(three: Workspace) -> None:
    with terminal(three, "run", "--items", "all", "--checkpoint", "after-each") as child:
        child.expect("continue with the next group")
        os.kill(pid_of(child), signal.SIGTERM)
        child.expect("interrupted; every finished item is in git")
        assert end(child) == 143
    assert len(ticked(three)) == 4
    assert_tidy(three)


def another_program(three: Workspace) -> None:
    three.write("tools/other.sh", three.read("tools/agent.sh"))
    three.edit("gitbatch.toml", "tools/agent.sh", "tools/other.sh")
    three.commit("Another agent")


@pytest.mark.parametrize(("answer", "code", "done"), [("n", 3, 4), ("y", 3, 8), ("\x03", 3, 4)])
@pytest.mark.sample(2)
def test_a_resume_by_another_program_is_asked_about_once(
    three: Workspace, answer: str, code: int, done: int
) -> None:
    three.gitbatch("run", "--items", "all", "--checkpoint", "after-each", code=3)
    another_program(three)
    with terminal(three, "run") as child:
        child.expect(re.escape('+ agents.scripted.command = ["sh", "tools/other.sh"'))
        child.expect("Run the batch with the changed configuration\\?")
        child.send(answer if answer == "\x03" else answer + ENTER)
        if done == 8:
            child.expect("accepted: the batch runs with this configuration")
            stop(child)
        else:
            child.expect("to accept it: gitbatch run --accept-config")
        assert end(child) == code
    assert len(ticked(three)) == done


@pytest.mark.parametrize(("answer", "code", "done"), [("n", 3, 4), ("y", 0, 12)])
def test_a_change_between_groups_is_asked_about(three: Workspace, answer: str, code: int, done: int) -> None:
    with terminal(three, "run", "--items", "all", "--checkpoint", "after-each") as child:
        child.expect("checkpoint 1/3")
        child.expect("continue with the next group")
        another_program(three)
        approve(child, "")
        child.expect("Run the batch with the changed configuration\\?")
        child.send(answer + ENTER)
        if done == 12:
            for number in (2, 3):
                child.expect(f"checkpoint {number}/3")
                approve(child, "continue with the next group" if number == 2 else "end the batch")
        else:
            child.expect("to accept it: gitbatch run --accept-config")
        assert end(child) == code
    assert len(ticked(three)) == done


@pytest.mark.rule("K1", "K2", "K3")
@pytest.mark.parametrize("mode", ["after-each", "after-batch:2", "at-end"])
@pytest.mark.sample(2)
def test_the_last_checkpoint_is_reviewed_in_every_mode(three: Workspace, mode: str) -> None:
    """In the mode at-end, the one review shows the changes of every group."""
    choice = "T101,T201" if mode == "at-end" else "T101"
    three.edit("task.md", "(context: out/letters/a.md, out/letters/b.md)", "(context: status.md)")
    three.commit()
    with terminal(three, "run", "--items", choice, "--checkpoint", mode) as child:
        if mode == "at-end":
            child.expect("2 groups up to checkpoint 2/2: 2 of 2 items done")
            child.expect("T101.*T201")
        child.expect("end the batch")
        child.send("D")
        child.expect("out/letters/a.md")
        if mode == "at-end":
            child.expect("out/pairs/ab.md")
        child.expect("back to the review")
        child.send(ENTER)
        if mode == "after-each":
            approve(child, "a approve")
            assert end(child) == 0
        else:
            stop(child, "a approve")
            child.expect("next: the batch ends")
            assert end(child) == 3
    if mode != "after-each":
        assert "resume: gitbatch run" in three.gitbatch("status", code=0).stdout
        with terminal(three, "run") as child:  # what a review covers is read from git
            single, several = "Checkpoint 1/1, Letters: 1 of 1", "2 groups up to checkpoint 2/2: 2 of 2"
            child.expect(several if mode == "at-end" else single)
            child.expect("T101.*T201" if mode == "at-end" else "T101")
            approve(child)
            child.expect("2 done" if mode == "at-end" else "1 done")
            assert end(child) == 0
    assert_tidy(three)


def test_keys_typed_while_agents_run_answer_nothing(three: Workspace) -> None:
    """`A`, `c` and `y` would approve and continue: all of it is typed before the question."""
    three.edit("task.md", "Write a →", "Write a do: wait →")
    three.edit(
        "tools/agent.sh",
        "fail) echo",
        'wait) page >"$output"; until [ -e "$HOME/go" ]; do sleep 0.05; done ;;\nfail) echo',
    )
    three.edit("gitbatch.toml", 'timeout = "1m"', 'timeout = "1m"\npass-env = ["HOME"]')
    three.commit()
    with terminal(three, "run", "--items", "T101", "--checkpoint", "at-end") as child:
        child.expect("working on out/letters/a.md")
        child.send("Acy" + ENTER + "\n\n")
        (three.home / "go").touch()
        stop(child)
        child.expect("paused")
        assert end(child) == 3


def test_keys_that_come_with_an_answer_do_not_answer_the_next_question(three: Workspace) -> None:
    with terminal(three, "run", "--items", "T101") as child:
        child.expect("Pause for a review\\?")
        child.send(ENTER + "Acy")
        stop(child)
        assert end(child) == 3


def test_questions_go_to_the_terminal_where_output_is_redirected(three: Workspace) -> None:
    program = f"{sys.executable} -m gitbatch"
    command = f"{program} run --items T101 | tee log >copy; {program} run --items T301 --checkpoint at-end >log2; echo exit $?"
    with terminal(three, shell=command) as child:
        child.expect("Pause for a review\\?")
        child.send(ENTER)
        child.expect("Checkpoint 1/1, Letters: 1 of 1 item done")
        child.expect("end the batch")
        child.send("d")
        child.expect("# out/letters/a.md")
        child.send("q")
        approve(child, "a approve")
        child.expect("Checkpoint 1/1, Words")
        approve(child)
        child.expect("exit 0")
        child.expect(pexpect.EOF)
    for log in ("log", "log2"):
        assert "finished  1 done" in three.read(log)
        assert not re.search("Pause for|a approve|\x1b", three.read(log))
