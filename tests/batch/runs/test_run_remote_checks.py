"""Runs whose checks and gates are sent to workers: what they say is believed, and history names where it was said."""

import json

import pytest
from batch.runs.test_checks import check, set_up
from batch.runs.test_run_workers import name_workers, run_all
from conftest import Here, Workspace
from history import audit, ticked, trailers


@pytest.mark.rule("F8")
def test_checks_run_at_workers(workspace: Workspace, here: Here) -> None:
    """A red one sends its findings to the next attempt; a trailer names the worker; all of them run here again."""
    script = (
        'git diff --quiet main HEAD -- task.md && grep -q "$(cat)" "$GITBATCH_OUTPUT" || exit 9\n'
        'grep -q more "$GITBATCH_OUTPUT" || { echo "no more at ${HOME##*/}"; exit 1; }'
    )
    checks = check("words", script) + check("few", '[ "$(ls)" = out ] && exit 77', checkout="context")
    # A gate has all files, and the history below its commit as far as it is there.
    gate = "test -e out/T1.md && git diff --quiet main HEAD -- task.md; [ $? = 1 ] || exit 1; echo $HOME; exit 77"
    gates = f"[gates.all]\ncommand = {json.dumps(['sh', '-c', gate])}\nsandbox = 'none'\n"
    set_up(workspace, checks + gates, "- [ ] T1 do: ok more → Output: out/T1.md\n")
    name_workers(workspace, 1, "--sandbox", "none", more='checks-at = "workers"\n')
    start = workspace.git("rev-parse", "main")
    events = run_all(workspace)
    assert ticked(workspace) == ["T1"]
    (failed,) = [event["outcome"] for event in events if event["event"] == "attempt-failed"]
    assert failed["reason"] == "check words failed: no more at far1 (exit 1)"
    (done,) = [event["outcome"] for event in events if event["event"] == "item-finished"]
    assert [(each["name"], each["verdict"], each["host"]) for each in done["checks"]] == [
        ("words", "pass", "w1"),
        ("few", "skip", "w1"),
    ]
    item = workspace.git("log", "--all", "--format=%H", "--grep", "Gitbatch-Item: out/T1.md")
    said = trailers(workspace, item, "Check")
    assert [value.rpartition(" at ")[2] for value in said] == ["w1", "w1"]
    assert len(audit(workspace).items) == 1
    told = json.dumps([event for event in events if event["event"] == "notice"])
    assert "checks and gates run at workers: their verdicts are believed" in told
    (gated,) = [event for event in events if event["event"] == "gate-finished"]
    assert (gated["result"], gated["host"]) == ("skip", "w1")
    assert gated["details"] == [str(workspace.home.parent / "far1")]
    (value,) = trailers(workspace, "main", "Gate")
    assert value.startswith("all skip ")
    assert value.endswith(" at w1")
    _assert_that_views_name_the_worker(workspace, here)
    assert here("verify", f"{start}..main", "--checks")[0] == 0


def _assert_that_views_name_the_worker(workspace: Workspace, here: Here) -> None:
    shown = json.loads(here("status", "--json")[1])
    (item,) = shown["items"]
    assert [item["host"], shown["gates"][0]["host"], item["checks"][0]["host"]] == ["w1"] * 3
    assert "words passed on w1, few skipped on w1, agent on w1" in here("status")[1]
    page = here("show", "T1")[1]
    assert "agent told, on w1" in page
    assert "check words failed: no more at far1 (exit 1) (a check failed) on w1" in " ".join(page.split())
    attempts = json.loads(here("show", "T1", "--json")[1])["details"]["attempts"]
    assert [attempt["host"] for attempt in attempts] == ["w1", "w1"]
    log = here("logs", "T1")[1]
    assert "attempt 2 starts" in log
    assert "sent to w1" in log
    assert "check few skipped (0." in log
    assert "s on w1): exit code 77" in log
    report = here("report", "--html", "-")[1]
    assert "agent told, on w1" in report
    assert " s on w1)" in report
    assert "on w1 (1 run" in workspace.git("log", "-1", "--format=%B")
