"""Signals: the first ends a run in good order, the second at once; neither cuts a git, and nothing paid for is lost."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Running, Workspace
from history import assert_tidy, audit, ticked
from processes import kill_agents, processes_below, require_no_agents
from waiting import pass_moment, wait_until

ENDLESS_GRACE = """
from gitbatch.agents.process import program
program._GRACE = 600
"""
"""Gitbatch, but who waits for an agent's grace to pass waits longer than a test does."""
STUBBORN = "trap '' TERM INT HUP; echo deaf >&2; while :; do sleep 1; done"


def with_agent(workspace: Workspace, letter: str, script: str) -> None:
    """Let the item of a letter run a piece of shell after it has written its page and its reply."""
    workspace.edit("task.md", f"Write {letter} →", f"Write {letter} do: special{letter} →")
    workspace.edit(
        "tools/agent.sh", "fail) echo", f'special{letter}) page >"$output"; {script} ;;\nfail) echo'
    )
    workspace.commit()


@contextmanager
def running(workspace: Workspace, *more: str, change: str = "") -> Iterator[Running]:
    arguments = ("run", "--items", "group:1", "--checkpoint", "at-end", *more)
    process = workspace.start(*arguments, change=change)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        kill_agents(workspace)


def read_until(process: Running, *wanted: str) -> None:
    """Read what it says until each of these has been seen."""
    left = set(wanted)
    assert process.stdout is not None
    for line in process.stdout:
        left = {text for text in left if text not in line}
        if not left:
            return
    raise AssertionError(f"it ended without saying {left}")


def done_items(workspace: Workspace) -> list[str]:
    """The items whose branch has their commit."""
    said = workspace.git("for-each-ref", "--format=%(subject)", "refs/heads/gitbatch/")
    return sorted(re.findall(r"^T\d+", said, re.MULTILINE))


@pytest.mark.rule("F4")
@pytest.mark.parametrize("sandbox", ["none", "landlock", "bubblewrap"])
@pytest.mark.sample(2)
def test_the_second_signal_does_not_wait_for_an_agent_that_does_not_listen(
    three: Workspace, sandbox: str
) -> None:
    with_agent(
        three, "a", "trap 'echo not yet >&2' TERM; trap '' INT HUP; echo deaf >&2; while :; do sleep 1; done"
    )
    before = three.git("rev-parse", "main")
    with running(three, "--sandbox", sandbox, change=ENDLESS_GRACE) as process:
        try:
            read_until(process, ": deaf", "succeeded T102", "succeeded T103", "succeeded T104")
        except AssertionError:
            pytest.skip(f"no {sandbox} here")
        process.send_signal(signal.SIGINT)
        read_until(process, "Ctrl-C again kills them", "not yet")
        assert process.poll() is None, "the agent is given time"
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=100)
        assert process.returncode == 130, "the first signal is what it ended by"
        require_no_agents(three)
    assert done_items(three) == ["T102", "T103", "T104"]
    assert three.git("rev-parse", "main") == before
    assert three.git("status", "--porcelain") == ""
    three.edit("task.md", " do: speciala", "")
    three.commit()
    assert "1 to run, 3 done before" in three.gitbatch("run", code=0).stdout
    assert_tidy(three)


def test_the_first_signal_alone_gives_an_agent_its_time(three: Workspace) -> None:
    with_agent(three, "a", "trap 'echo farewell >&2; exit 1' TERM; echo ready >&2; sleep 600 & wait")
    with running(three, change=ENDLESS_GRACE) as process:
        read_until(process, ": ready", "succeeded T102", "succeeded T103", "succeeded T104")
        process.send_signal(signal.SIGTERM)
        read_until(process, "farewell")
        process.wait(timeout=100)
        assert process.returncode == 143
    assert_no_worktree(three)


def assert_no_worktree(workspace: Workspace) -> None:
    assert workspace.git("worktree", "list", "--porcelain").count("worktree ") == 1


@pytest.mark.rule("F4")
@pytest.mark.copied("what an agent leaves running in an overlay is ended with it, so the moment is too short")
def test_what_an_agent_has_finished_when_the_signal_comes_is_committed(three: Workspace) -> None:
    # The program has ended; a child of it holds the pipe for a while, so that it is not over for us.
    with_agent(three, "a", f"echo $$ >'{three.home}/program'; echo bye; setsid sleep 3 &")
    with_agent(three, "b", "sleep 600")
    three.edit("tools/agent.sh", "speciala)", "speciala) printf '{}' >\"$GITBATCH_REPLY\";")
    three.commit()
    with running(three) as process:
        read_until(process, ": bye")
        (program,) = (three.home / "program").read_text().split()
        wait_until(lambda: not Path(f"/proc/{program}/comm").exists(), "the end of the program")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=100)
        assert process.returncode == 130, said
    assert "T101" in done_items(three)
    assert "T102" not in done_items(three)
    assert_no_worktree(three)


def test_no_item_starts_after_the_first_signal(three: Workspace) -> None:
    with_agent(three, "a", STUBBORN)
    three.edit("gitbatch.toml", "jobs = 4", "jobs = 1")
    three.commit()
    with running(three) as process:
        read_until(process, ": deaf")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "start" not in said
    assert done_items(three) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_burst_of_signals_at_any_time_leaves_nothing_half_changed(
    three: Workspace, number: signal.Signals
) -> None:
    for pause in (0.0, 0.05, 0.1):
        with running(three) as process:
            assert process.stdout is not None
            if not any("group 1/1" in line for line in process.stdout):
                break  # the start before has recorded it, and only the end was left
            pass_moment(pause)
            for _ in range(5):
                if process.poll() is None:
                    process.send_signal(number)
                pass_moment(0.01)
            said, _ = process.communicate(timeout=100)
            over = (
                {0, -number} if "finished" in said else set()
            )  # Python itself was ending when the signal came
            assert process.returncode in {128 + number, *over}
    three.gitbatch("run", "--items", "group:1", "--checkpoint", "at-end")
    assert ticked(three) == ["T101", "T102", "T103", "T104"]
    assert len(audit(three).items) == 4
    assert_tidy(three)


def test_agents_and_gits_are_in_process_groups_of_their_own(three: Workspace) -> None:
    with_agent(three, "a", "sleep 600")
    with running(three) as process:
        read_until(
            process, "working on out/letters/a.md", "succeeded T102", "succeeded T103", "succeeded T104"
        )
        below = processes_below(process.pid)
        assert {"git", "sh"} <= {name for name, _ in below.values()}, "the open gits and the agent"
        assert os.getpgid(process.pid) not in {group for _, group in below.values()}
        process.send_signal(signal.SIGINT)
        process.wait(timeout=100)
