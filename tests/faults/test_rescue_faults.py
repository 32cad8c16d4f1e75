"""Killed anywhere while an item fails and is tried again: what its failed attempt had written is there, or was never known.

The agent gets its item done only where it finds that. Long: every step of a run, `GITBATCH_FAULTS=long`.
"""

from collections.abc import Iterator

import pytest
from conftest import Workspace
from faults.test_faults import READING, VICTIMS, hold_trials, steps_of_a_run
from faults.trials import RETRYING, Bench, Committed, Servers, trial

SAMPLE = 1
"""Trials of the usual round."""


def is_kept(workspace: Workspace, now: Committed) -> None:
    """Once a failed attempt is written down, what it had written is kept until its item is done."""
    ledger = workspace.git("for-each-ref", "refs/gitbatch/*/ledger/*")
    done = "1-t2" in (*now.merged, *now.waiting)
    refs = workspace.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/rescue/*").splitlines()
    assert not ledger or done or refs, "the attempt is written down, and its output is lost"
    for ref in refs:
        assert workspace.git("show", f"{ref}:out/b.md") == "half"
        assert workspace.git("log", "-1", "--format=%(trailers:key=Gitbatch-Item)", ref) == ""


@pytest.fixture(scope="module")
def bench(fault_servers: Servers) -> Iterator[Bench]:
    """Where trials are made."""
    with fault_servers.open_bench(agent=RETRYING) as made:
        made.also = is_kept
        yield made


def test_what_a_failed_attempt_had_written_outlives_any_kill(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [(number, process) for number, process, call in steps_of_a_run(bench) if call not in READING]
    trials = [
        (n, victim) for n, process in steps for victim in VICTIMS if victim != "git" or process == "git"
    ]
    hold_trials(capsys, trials, SAMPLE, lambda one: trial(bench, *one) is not None)
