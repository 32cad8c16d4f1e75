"""The usage of an item that ran several times: every run counts once."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from conftest import Workspace
from reviews import REJECT, RETRY, REVISE, decide
from sessions import run_here

from gitbatch.batch.history.ledger import LedgerEntries, read_ledger
from gitbatch.batch.history.messages import render_checkpoint_message
from gitbatch.batch.history.progress import read_ended_progress, read_progress
from gitbatch.batch.history.record import all_batches
from gitbatch.batch.history.spending import ItemSpent, read_spending
from gitbatch.batch.model import FailedAttempt, ItemStatus
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Spent, Usage
from gitbatch.plan.model import ItemKey
from gitbatch.repo.opening import open_repository
from gitbatch.text import clean_text

AGENT = """\
set -eu
cat >/dev/null
echo "$1" >>"$HOME/tries.log"
tries=$(grep -cx "$1" "$HOME/tries.log")
mkdir -p "$(dirname "$1")"
echo "version $tries" >"$1"
case $1 in *a.md) test $tries -ne 1 && test $tries -ne 3 || exit 3 ;; *b.md) test $tries -ge 3 || exit 3 ;; esac
echo '{"summary": "Wrote it. It is good.", "usage": {"input": 10, "output": 1, "requests": 1, "cost": 0.5}}' >"$GITBATCH_REPLY"
"""


def read_spent(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Mapping[ItemKey, ItemSpent]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    repo = open_repository(workspace.root, read_only=True)
    (batch,) = all_batches(repo)
    state = (read_ended_progress if batch.ended else read_progress)(repo, batch)
    spent = read_spending(repo, batch, state, read_ledger(repo, batch.id))
    repo.close()
    return spent


def read_attempts(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    return {key: item.attempts for key, item in read_spent(workspace, monkeypatch).items()}


def test_every_run_counts_once(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """T101 fails once in each of its two runs; T102 fails twice, and then succeeds in its second run."""
    three.write("tools/agent.sh", AGENT)
    three.edit("gitbatch.toml", "retries = 0", 'retries = 1\nretry-pause = "0s"')
    three.commit()
    run_here(three, monkeypatch, items="T101,T102")
    assert read_attempts(three, monkeypatch) == {"1-t101": 2, "1-t102": 2}
    took = three.git("log", "main", "--format=%(trailers:key=Gitbatch-Seconds,valueonly)").split()
    assert [read_spent(three, monkeypatch)[ItemKey("1-t101")].seconds] == [round(float(took[0]), 1)]
    decide(three, (REVISE, "T101"), (RETRY, "T102"))
    run_here(three, monkeypatch, items=None, checkpoint=None)
    assert read_attempts(three, monkeypatch) == {"1-t101": 4, "1-t102": 3}
    said = three.git("log", "main", "--format=%(trailers:key=Gitbatch-Attempt,valueonly)").split()
    assert sorted(said) == ["1", "2", "2"], "each run counts its own attempts"
    decide(three, (REJECT, "T101"))
    assert read_attempts(three, monkeypatch) == {"1-t101": 4, "1-t102": 3}


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_what_a_conflicted_item_cost_stays_known(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commit is on its branch until it is retried; then the ledger has its cost, and once."""
    three.edit("gitbatch.toml", "command = ", "reports-usage = true\ncommand = ")
    script = AGENT.replace(
        "case $1 in", 'test $tries -ne 1 || (cd "$HOME/../repo" && sh change.sh)\ncase $1 in'
    )
    three.write("tools/agent.sh", script)
    three.write(
        "change.sh",
        "mkdir -p out/words && echo mine >out/words/one.md\ngit add out\ngit -c user.name=Me -c user.email=me@example.org commit -qm Mine out\n",
    )
    three.commit()
    run_here(three, monkeypatch, items="T301")
    key = ItemKey("3-t301")
    assert read_spent(three, monkeypatch)[key].spent.usage.cost == 0.5
    decide(three, (RETRY, "T301"))
    assert read_spent(three, monkeypatch)[key].spent.usage.cost == 0.5, (
        "once, while its branch is still there"
    )
    run_here(three, monkeypatch, items=None, checkpoint=None)
    spent = read_spent(three, monkeypatch)[key].spent
    assert (spent.usage.cost, spent.unknown) == (1.0, 0), "its old branch is not one of a killed attempt"
    assert three.read("out/words/one.md") == "version 2\n"


def test_the_mark_of_a_review_costs_nothing() -> None:
    """It would count as an attempt of unknown cost, and a limit would be held by an estimate that is too high."""
    key, review, no_reason = ItemKey("1-a"), "5" * 40, clean_text("")
    tried = FailedAttempt(key, "4" * 40, 1, ItemStatus.FAILED, Cause.FAILED, no_reason, usage=Usage(cost=1.5))
    killed = FailedAttempt(key, "", 0, ItemStatus.FAILED, None, no_reason)
    mark = FailedAttempt(key, review, 0, ItemStatus.FAILED, None, no_reason)
    assert LedgerEntries((tried, mark)).spent_on(key) == Spent.of_attempt(tried.usage)
    spent = LedgerEntries((tried, killed, mark)).spent_on(key)
    assert (spent.known, spent.unknown) == (1, 1)


def test_what_is_set_aside_cost_what_its_own_run_cost(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T301 fails for $4, and is retried; that run costs $0.5 and is in conflict: the failure is not taken off it."""
    three.edit("gitbatch.toml", "command = ", "reports-usage = true\ncommand = ")
    reply = 'echo \'{"summary": "It is good.", "usage": {"requests": 1, "cost": %s}}\' >"$GITBATCH_REPLY"\n'
    failing = reply % "4.0" + "exit 3\n"
    change = 'cd "$HOME/../repo" && mkdir -p out/words && echo mine >out/words/one.md && git add out && '
    change += "git -c user.name=Me -c user.email=me@example.org commit -qm Mine out"
    three.write("tools/agent.sh", f"cat >/dev/null\n{failing}")
    three.commit()
    run_here(three, monkeypatch, items="T301")
    key = ItemKey("3-t301")
    assert read_spent(three, monkeypatch)[key].spent.usage.cost == 4.0
    script = f"cat >/dev/null\nmkdir -p out/words\necho good >$1\n({change})\n{reply % '0.5'}"
    three.write("tools/agent.sh", script)
    three.commit()
    decide(three, (RETRY, "T301"))
    run_here(three, monkeypatch, items=None, checkpoint=None)
    decide(three, (RETRY, "T301"))
    three.write("tools/agent.sh", f"cat >/dev/null\n{failing}")
    three.commit()
    run_here(three, monkeypatch, items=None, checkpoint=None)
    assert read_spent(three, monkeypatch)[key].spent.usage.cost == 8.5


def test_a_batch_of_an_earlier_version_with_a_review_is_resumed(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits of gitbatch 0.1 state no format, its checkpoints no plan; a review in such a batch is genuine all the same."""

    def render_earlier_message(*args: Any, **more: Any) -> str:  # noqa: ANN401 - those of the function
        return re.sub(r"\nGitbatch-Plan: .*", "", render_checkpoint_message(*args, **more))

    monkeypatch.setattr("gitbatch.batch.planning.start._choose_format", lambda _: 0)
    monkeypatch.setattr("gitbatch.batch.group.checkpoint.render_checkpoint_message", render_earlier_message)
    three.write("tools/agent.sh", AGENT)
    three.commit()
    run_here(three, monkeypatch, items="T103")
    assert not re.search("Gitbatch-(Format|Plan)", three.git("log", "main", "--format=%B"))
    decide(three, (REVISE, "T103"))
    _, events = run_here(three, monkeypatch, items=None, checkpoint=None)
    assert [e["outcome"]["status"] for e in events if e["event"] == "item-finished"] == ["succeeded"]
    assert "Gitbatch-Format" not in three.git("log", "main", "--format=%B")
