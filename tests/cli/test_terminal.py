"""What a person meets in a real terminal: being asked, the live view, the pause, Ctrl-C."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pexpect
import pytest
from conftest import Place
from history import assert_tidy, audit, ticked

DOWN, ENTER = "\x1b[B", "\r"


@contextmanager
def terminal(place: Place, *arguments: str) -> Iterator["pexpect.spawn[str]"]:
    environment = {
        **place.environment,
        "TERM": "xterm-256color",
        "PROMPT_TOOLKIT_NO_CPR": "1",
        "PAGER": "cat",
    }
    child: pexpect.spawn[str] = pexpect.spawn(
        sys.executable,
        ["-m", "gitbatch", *arguments],
        cwd=str(place.root),
        env=environment,
        encoding="utf-8",
        timeout=120,
        dimensions=(40, 120),
    )
    try:
        yield child
    finally:
        child.close(force=True)


def end(child: "pexpect.spawn[str]") -> int | None:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


@pytest.mark.rule("O7", "K1")
def test_asking_pausing_and_going_on(three: Place) -> None:
    with terminal(three, "run") as child:
        child.expect("Which items\\?")
        child.expect("all 12 open items")
        child.send(ENTER)
        child.expect("Pause for a review\\?")
        child.send(ENTER)
        child.expect("checkpoint 1/3")
        child.expect("continue with the next group")
        child.send(DOWN + ENTER)
        child.expect("out/letters/a.md")
        child.expect("continue with the next group")
        child.send(ENTER)
        child.expect("checkpoint 2/3")
        child.expect("stop here")
        child.send(DOWN + DOWN + ENTER)
        assert end(child) == 3
    assert len(ticked(three)) == 8
    with terminal(three, "run") as child:
        child.expect("goes on after 2 of 3 groups")
        assert end(child) == 0
    assert len(audit(three).items) == 12
    assert_tidy(three)


@pytest.mark.rule("O7")
def test_choosing_single_items_and_a_number_of_groups(three: Place) -> None:
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
        assert end(child) == 0
    assert ticked(three) == ["T101", "T301"]


def test_nothing_starts_when_the_answer_is_ctrl_c(three: Place) -> None:
    before = three.state()
    with terminal(three, "run") as child:
        child.expect("Which items\\?")
        child.sendcontrol("c")
        assert end(child) == 130
    assert three.state() == before


@pytest.mark.rule("F1")
def test_the_live_view_shows_what_runs(three: Place) -> None:
    three.edit("task.md", "Write a →", "Write a do: nap 2 →")
    three.commit()
    with terminal(three, "run", "--items", "group:1", "--checkpoint", "at-end") as child:
        child.expect("working on out/letters/a.md")
        child.expect("of 4 items")
        child.expect("checkpoint 1/1")
        assert end(child) == 0


@pytest.mark.rule("F4")
def test_ctrl_c_ends_agents_and_keeps_what_is_done(three: Place) -> None:
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


def test_ctrl_c_works_after_a_pause(three: Place) -> None:
    three.edit("task.md", "Write ab →", "Write ab do: hang →")
    three.commit()
    with terminal(three, "run", "--items", "all", "--checkpoint", "after-each") as child:
        child.expect("continue with the next group")
        child.send(ENTER)
        child.expect("7 of 12 items")
        child.sendcontrol("c")
        child.expect("interrupted; every finished item is in git")
        assert end(child) == 130


def test_a_reader_that_goes_away_stops_nothing(three: Place) -> None:
    command = f"{sys.executable} -m gitbatch run --items all --checkpoint at-end | head -n 1"
    subprocess.run(["sh", "-c", command], cwd=three.root, env=three.environment, check=True)
    assert len(ticked(three)) == 12


def test_a_terminal_that_can_not_show_a_name_stops_nothing(three: Place) -> None:
    three.gitbatch("run", "--items", "group:1", "--checkpoint", "at-end", code=0, PYTHONIOENCODING="latin-1")


def test_colour_is_for_terminals(three: Place) -> None:
    said = three.gitbatch("run", "--items", "group:1", "--checkpoint", "at-end", code=0).stdout
    assert "\x1b" not in said
    with terminal(three, "run", "--items", "group:2", "--checkpoint", "at-end") as child:
        child.expect(re.escape("\x1b[32m"))
        assert end(child) == 0
