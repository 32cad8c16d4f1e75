"""A disk that fails anywhere below the repository or the worktrees: once, or from some call on; then it is well again.

Every call of gitbatch or of a git process of its that changes a file there, or opens one, is known (`errors.c`). A
trial lets one of them fail, looks at what is there, runs again with a healthy disk, and looks again. The long round
takes hundreds, the usual one a sample.

    GITBATCH_FAULTS=long pytest tests/faults/test_disk_errors.py -n 0 -s
"""

import errno
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Workspace
from faults.trials import AT_ONCE, RUN, Bench, Ran, Servers, agents, check_end, check_instant

LONG = os.environ.get("GITBATCH_FAULTS") == "long"

SEED = 13
SAMPLE = 2
"""Trials of the usual round."""
MANY = 400
"""Trials of the long one."""
ERRORS = (errno.EIO, errno.ENOSPC, errno.EROFS, errno.EDQUOT)
MODES = ("once", "from there on")


@dataclass(frozen=True)
class Fault:
    """Which calls of a run fail, and how."""

    at: int
    error: int
    mode: str

    def __str__(self) -> str:
        return f"{errno.errorcode[self.error]} {self.mode} at call {self.at}"


@dataclass(frozen=True)
class Trial:
    """The fault of a run, and perhaps that of the next one."""

    first: Fault
    then: Fault | None = None
    at_once: bool = False


@pytest.fixture(scope="module")
def bench(fault_servers: Servers) -> Iterator[Bench]:
    """Where trials are made."""
    with fault_servers.open_bench("errors.c") as made:
        yield made


def count_calls(bench: Bench) -> dict[int, int]:
    """How many calls of a run can fail with each error: with EIO, those too that open a file only to read it."""
    workspace = bench.workspace()
    ran = bench.server.run(workspace, *RUN, record=True, error=errno.EIO)
    assert ran.status == 0, ran.said
    calls = [line.split(" ")[1] for line in bench.server.recorded()]
    writing = sum(call != "open-to-read" for call in calls)
    return {error: len(calls) if error == errno.EIO else writing for error in ERRORS}


def plan(bench: Bench) -> list[Trial]:
    """Trials in an order that is always the same and favours no part of a run."""
    chance = random.Random(SEED)  # noqa: S311 - to be the same each time
    counts = count_calls(bench)
    faults = [
        Fault(at, error, mode)
        for error, count in counts.items()
        for at in range(1, count + 1)
        for mode in MODES
    ]
    chance.shuffle(faults)
    many = [Trial(fault) for fault in faults]
    for fault in chance.sample(faults, MANY // 6):
        many[chance.randrange(MANY)] = Trial(fault, then=chance.choice(faults))
    for fault in chance.sample(faults, MANY // 6):
        many[chance.randrange(MANY)] = Trial(fault, at_once=True)
    return many


def run(bench: Bench, trial: Trial) -> list[Ran]:
    """Make a trial; returns the runs that had a fault."""
    workspace = bench.workspace()
    runs, acknowledged = [], dict[str, int]()
    for fault in filter(None, (trial.first, trial.then)):
        arguments = AT_ONCE if trial.at_once else RUN
        ran = bench.server.run(workspace, *arguments, at=fault.at, victim=fault.mode, error=fault.error)
        runs.append(ran)
        assert ran.status in {0, 1, 75}, f"{fault}: exit {ran.status}: {ran.where}\n{ran.said}"
        assert "Traceback" not in ran.said, ran.said
        now = check_instant(bench, workspace)
        started = agents(workspace)
        acknowledged = {key: started.count(key) for key in (*now.merged, *now.waiting)} | acknowledged
    healthy = bench.server.run(workspace, *RUN)
    assert healthy.status == 0, f"then exit {healthy.status}: {healthy.said}"
    check_end(bench, workspace)
    started = agents(workspace)
    for key, count in acknowledged.items():
        assert started.count(key) == count, f"{key} ran again"
    shutil.rmtree(workspace.root.parent)
    return runs


def test_a_disk_that_fails_anywhere_costs_nothing_that_is_done(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = plan(bench)[: MANY if LONG else SAMPLE]
    ended, failed = Counter[str](), []
    for number, one in enumerate(trials, 1):
        try:
            for ran in run(bench, one):
                ended[f"exit {ran.status}" if ran.killed else "no call failed"] += 1
        except AssertionError as error:
            failed.append(f"{one.first} {one.then or ''}: {error}")
        if LONG and (number % 50 == 0 or number == len(trials)):
            with capsys.disabled():
                print(f"{number} of {len(trials)}: {dict(ended)}, failed {len(failed)}", flush=True)  # noqa: T201
    assert failed == []
    assert ended["exit 1"] >= len(trials) // 4


@dataclass(frozen=True)
class At:
    """One call of a run that fails: the first, or another, of those in whose record a text stands."""

    only: str
    error: int
    at: int = 1
    mode: str = "once"


def fail(bench: Bench, workspace: Workspace, which: At) -> Ran:
    """Run while one call fails; it must end as an expected error."""
    only = which.only.format(root=workspace.root, cache=workspace.environment["XDG_CACHE_HOME"])
    ran = bench.server.run(workspace, *RUN, at=which.at, victim=which.mode, error=which.error, only=only)
    assert ran.killed, f"no call: {only}"
    assert ran.status == 1, ran.said
    assert os.strerror(which.error) in ran.said or "the disk is full" in ran.said, ran.said
    assert "a bug" not in ran.said
    return ran


FOLLOWING = (
    At("mkdirat {root}/out", errno.ENOSPC),
    At("open {root}/out/.a.md.", errno.EROFS),
    At("{root}/out/.a.md.", errno.ENOSPC, at=2, mode="from there on"),
    At("fsync {root}/out/.b.md.", errno.EIO),
    At("renameat {root}/out/b.md", errno.EDQUOT),
    At("fsync {root}/out", errno.EIO),
    At("gitbatch open-to-read {root}/status.md", errno.EIO),
    At("unlinkat {root}/.status.md.", errno.EIO),
    At("open {root}/.git/index.gitbatch", errno.EDQUOT),
    At("rename {root}/.git/index\n", errno.EROFS),
)


@pytest.mark.parametrize("which", FOLLOWING, ids=lambda which: f"{which.only} {errno.errorcode[which.error]}")
@pytest.mark.sample(2)
def test_what_the_disk_kept_from_following_follows_at_the_next_start(bench: Bench, which: At) -> None:
    workspace = bench.workspace()
    ran = fail(bench, workspace, which)
    assert "cannot update the checkout to main" in ran.said
    assert "then resume: gitbatch run" in ran.said
    assert "do not commit here" in ran.said
    assert "your own version" not in ran.said
    assert check_instant(bench, workspace).merged == ("1-t1", "1-t2")
    assert not workspace.git("for-each-ref", "refs/gitbatch/*/followed")
    again = bench.server.run(workspace, *RUN)
    assert again.status == 0, again.said
    assert "your own version" not in again.said
    check_end(bench, workspace)


OURS = (
    At("open {root}/.git/gitbatch/index-lock", errno.EROFS),
    At("link {root}/.git/index.lock", errno.EIO),
    At("fsync {root}/.git/objects/", errno.EIO, at=3),
    At("gitbatch fsync {root}/.git/refs/", errno.EIO),
    At("chmod {root}/.git/refs/heads/main", errno.EROFS),
    At("mkdir {root}/.git/gitbatch/20", errno.ENOSPC),
    # The first of both is for a note about uncommitted changes, without which a run starts.
    At("gitbatch open-to-read {root}/.git/HEAD", errno.EIO, at=2),
    At("gitbatch open-to-read {root}/.git/refs/heads/main", errno.EIO, at=5),
    At("open {cache}/gitbatch/repo-", errno.ENOSPC, at=9),
    At("open-to-read {root}/.git/gitbatch/20", errno.EIO),
    At("open-to-read {root}/.git/info/attributes", errno.EIO),
    At("prompt.md", errno.EDQUOT),
    At("reply.json", errno.EIO),
    At("-1-t1-", errno.EIO, at=30, mode="from there on"),
)


@pytest.mark.parametrize("which", OURS, ids=lambda which: f"{which.only} {errno.errorcode[which.error]}")
@pytest.mark.sample(2)
def test_a_disk_that_fails_us_is_an_expected_error_and_no_attempt(bench: Bench, which: At) -> None:
    workspace = bench.workspace()
    fail(bench, workspace, which)
    check_instant(bench, workspace)
    assert not workspace.git("for-each-ref", "refs/gitbatch/*/ledger/*")
    again = bench.server.run(workspace, *RUN)
    assert again.status == 0, again.said
    check_end(bench, workspace)


@pytest.mark.parametrize(("at", "mode"), [(1, "once"), (2, "from there on")])
def test_the_proof_that_the_index_is_locked_by_us_stays_as_long_as_the_lock(
    bench: Bench, at: int, mode: str
) -> None:
    workspace = bench.workspace()
    fail(bench, workspace, At("unlink {root}/.git/index.lock", errno.EIO, at, mode))
    git = workspace.root / ".git"
    assert (git / "index.lock").samefile(git / "gitbatch" / "index-lock")
    again = bench.server.run(workspace, *RUN)
    assert again.status == 0, again.said
    check_end(bench, workspace)


@pytest.mark.parametrize("staged", [False, True], ids=["on disk", "staged too"])
def test_the_ticks_reach_a_plan_that_was_edited_though_the_disk_failed(bench: Bench, *, staged: bool) -> None:
    workspace = bench.workspace()
    workspace.environment["GITBATCH_WORKTREE"] = (
        "copy"  # in an overlay worktree, the agent does not see the checkout
    )
    edit = 'case "$GITBATCH_ITEM" in 1-t1) cd "$HOME/../repo" && echo mine >>task.md'
    workspace.edit("agent.sh", "{ echo", f"({edit}{' && git add task.md' * staged} ;; esac)\n{{ echo")
    workspace.git("commit", "--quiet", "--message", "edits", "agent.sh")
    fail(bench, workspace, At("renameat {root}/task.md", errno.EIO))
    assert "- [x] T1" not in workspace.read("task.md")
    again = bench.server.run(workspace, *RUN)
    assert again.status == 0, again.said
    assert workspace.read("task.md") == f"{workspace.git('show', 'HEAD:task.md')}\nmine\n"
    assert "[ ] T" not in workspace.git("show", ":task.md")


def test_what_git_left_of_an_object_is_read_by_nothing_and_removed_by_git_gc(bench: Bench) -> None:
    # Which call is which differs between runs; the one that makes a file leaves none.
    workspaces = (leave_object(bench, call) for call in range(4, 12))
    workspace = next(workspace for workspace in workspaces if left_objects(workspace))
    workspace.git("prune", "--expire=now")
    assert left_objects(workspace) == []
    check_end(bench, workspace)


def leave_object(bench: Bench, call: int) -> Workspace:
    """Let a run fail while git writes an object, and complete it."""
    workspace = bench.workspace()
    fail(bench, workspace, At("tmp_obj_", errno.EIO, call, "from there on"))
    again = bench.server.run(workspace, *RUN)
    assert again.status == 0, again.said
    check_end(bench, workspace)
    return workspace


def left_objects(workspace: Workspace) -> list[Path]:
    """The files of objects that git has not completed."""
    return list((workspace.root / ".git" / "objects").rglob("tmp_obj_*"))
