"""Gates of groups in whole runs: what reaches the branch, who is named, and how often a gate runs."""

import json
import math
import signal
from pathlib import Path
from typing import Any

import pytest
from batch.programs import set_up, starts
from conftest import Workspace
from sessions import run_here
from waiting import wait_until

from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.verdicts import GateState
from gitbatch.errors import BusyError
from gitbatch.fs.disk import DiskError
from gitbatch.limits.causes import Cause


def gate(workspace: Workspace, script: str, more: str = "", name: str = "tests") -> str:
    """Returns the settings of a gate, which also logs the outputs that it sees."""
    path = workspace.home / f"{name}.sh"
    path.write_text(f'echo $(ls out 2>/dev/null) >>"$HOME/{name}.log"\n{script}\n')
    return f'[gates.{name}]\ncommand = {json.dumps(["sh", str(path)])}\nsandbox = "none"\n{more}\n'


def seen(workspace: Workspace, name: str = "tests") -> list[list[str]]:
    """The outputs that a gate saw at each of its runs, without their suffix."""
    path = workspace.home / f"{name}.log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.replace(".md", "").split() for line in lines]


def trailers(workspace: Workspace, name: str, commit: str = "main") -> list[str]:
    form = f"--format=%(trailers:key=Gitbatch-{name},valueonly)"
    return list(filter(None, workspace.git("log", "-1", form, commit).splitlines()))


def written(workspace: Workspace) -> list[str]:
    return [path[4:-3] for path in workspace.git("ls-tree", "--name-only", "-r", "main", "out/").splitlines()]


def failures(result: Result) -> dict[str, str]:
    return {item.name: item.reason for item in result.failures}


def of_kind(events: list[Any], kind: str) -> list[Any]:
    return [event for event in events if event["event"] == kind]


def test_one_guilty_item_of_16_is_named_and_the_others_are_recorded(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "test ! -e out/T11.md || { echo T11 breaks it; exit 1; }"
    set_up(workspace, *["ok"] * 16, agent=gate(workspace, script))
    result, events = run_here(workspace, monkeypatch)
    assert result.ending is Ending.COMPLETE
    assert (result.succeeded, result.failed) == (15, 1)
    assert failures(result) == {"T11": "gate tests is red with it: T11 breaks it (exit 1)"}
    assert "T11" not in written(workspace)
    assert len(written(workspace)) == 15
    assert (
        len(seen(workspace)) == len(of_kind(events, "gate-started")) == len(of_kind(events, "gate-finished"))
    )
    assert len(seen(workspace)) <= 2 * math.log2(16) + 4
    assert trailers(workspace, "Gate") == [f"tests pass {workspace.git('rev-parse', 'main^{tree}').strip()}"]
    body = workspace.git("log", "-1", "--format=%B", "main")
    assert "\ngate       tests: pass (" in body
    assert "\nT11 failed, in the gate's words:\n    T11 breaks it\n" in body
    assert "- [ ] T11 " in workspace.read("task.md")
    assert workspace.git("status", "--porcelain") == ""
    assert workspace.gitbatch("verify").returncode == 0
    status = json.loads(workspace.gitbatch("status", "--json").stdout)
    assert [(shown["gate"], shown["state"]) for shown in status["gates"]] == [("tests", "pass")]
    (kept,) = json.loads(workspace.gitbatch("rescue", "--json").stdout)["files"]
    assert kept["path"] == "out/T11.md"
    assert starts(workspace, "T11") == 1


def test_two_guilty_items_are_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(workspace, *["ok"] * 8, agent=gate(workspace, "test ! -e out/T2.md && test ! -e out/T7.md"))
    result, _ = run_here(workspace, monkeypatch)
    assert failures(result).keys() == {"T2", "T7"}
    assert written(workspace) == ["T1", "T3", "T4", "T5", "T6", "T8"]
    assert len(seen(workspace)) <= 20


def test_all_items_are_guilty(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(workspace, *["ok"] * 4, agent=gate(workspace, "test ! -e out"))
    result, _ = run_here(workspace, monkeypatch)
    assert (result.succeeded, result.failed) == (0, 4)
    assert "gitbatch: checkpoint 1/1: Group 1 (0 of 4 done)" in workspace.git(
        "log", "-1", "--format=%s", "main"
    )
    assert len(seen(workspace)) <= 4 * 4 + 1


def test_items_that_are_red_only_together_are_named_together(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, *["ok"] * 4, agent=gate(workspace, "test ! -e out/T1.md || test ! -e out/T4.md"))
    result, _ = run_here(workspace, monkeypatch)
    assert failures(result) == {"T4": "gate tests is red with it together with T1: exit code 1"}
    assert written(workspace) == ["T1", "T2", "T3"]


def test_who_stands_upon_a_guilty_item_runs_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(
        workspace, "ok", "ok", "ok", batch='on-missing = "tell"', agent=gate(workspace, "test ! -e out/T1.md")
    )
    workspace.write(
        "task.md", workspace.read("task.md").replace("→ Output: out/T2", "→ After: T1 → Output: out/T2")
    )
    workspace.commit()
    result, _ = run_here(workspace, monkeypatch)
    assert failures(result).keys() == {"T1"}
    assert [starts(workspace, name) for name in ("T1", "T2", "T3")] == [1, 2, 1]
    assert written(workspace) == ["T2", "T3"]
    assert workspace.gitbatch("verify").returncode == 0


def test_who_stands_on_guilty_items_runs_again_a_few_times(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a row of guilty items, each is known only after those that stand on the one before it were paid again."""
    monkeypatch.setattr("gitbatch.batch.loop._MOST_REPEATS", 1)
    script = "test ! -e out/T1.md && test ! -e out/T2.md"
    set_up(workspace, "ok", "ok", "ok", batch='on-missing = "tell"', agent=gate(workspace, script))
    plan = workspace.read("task.md").replace("→ Output: out/T2", "→ After: T1 → Output: out/T2")
    workspace.write("task.md", plan.replace("→ Output: out/T3", "→ After: T2 → Output: out/T3"))
    workspace.commit()
    result, events = run_here(workspace, monkeypatch)
    assert failures(result)["T3"] == "it was written again and again on files of items that are not merged"
    assert [starts(workspace, name) for name in ("T1", "T2", "T3")] == [1, 2, 2]
    assert written(workspace) == []
    assert of_kind(events, "item-finished")[-1]["outcome"]["status"] == "failed"
    assert workspace.gitbatch("verify").returncode == 0


def test_a_gate_that_was_red_before_blocks_nothing_new(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = gate(workspace, "exit 0", 'groups = ["other"]', name="elsewhere")
    set_up(workspace, "ok", "ok", agent=gate(workspace, "echo the base is broken; exit 3") + more)
    result, events = run_here(workspace, monkeypatch)
    assert (result.succeeded, result.failed) == (2, 0)
    tree = workspace.git("rev-parse", "main^{tree}").strip()
    assert trailers(workspace, "Gate") == [f"tests red-before {tree}"]
    said = workspace.git("log", "-1", "--format=%B", "main")
    assert "red before this group already" in said
    assert "the base is broken (exit 3)" in said
    assert seen(workspace) == [["T1", "T2"], ["T1", "T2"], [], []]
    (checkpoint,) = of_kind(events, "checkpoint")
    assert checkpoint["checkpoint"]["gates"][0]["state"] == GateState.RED_BEFORE


def test_a_gate_that_must_pass_halts_the_batch_until_the_branch_is_good(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", agent=gate(workspace, "test -e good.txt", "must-pass = true"))
    result, _ = run_here(workspace, monkeypatch)
    assert result.halt
    assert result.halt.cause is Cause.GATE
    assert "gate tests must pass, and was red before this group" in result.halt.reason
    assert written(workspace) == []
    workspace.write("good.txt", "good\n")
    workspace.commit("Make it good")
    result, _ = run_here(workspace, monkeypatch)
    assert (result.ending, result.succeeded) == (Ending.COMPLETE, 1)
    assert starts(workspace, "T1") == 1


def test_what_a_gate_that_must_pass_lacks_can_come_from_outside(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was not up: no commit is needed, the gate runs again at the next start."""
    set_up(workspace, "ok", agent=gate(workspace, 'test -e "$HOME/up"', "must-pass = true"))
    result, _ = run_here(workspace, monkeypatch)
    assert result.halt
    (workspace.home / "up").touch()
    result, _ = run_here(workspace, monkeypatch)
    assert (result.ending, result.succeeded, starts(workspace, "T1")) == (Ending.COMPLETE, 1, 1)
    assert seen(workspace) == [["T1"], ["T1"], [], [], ["T1"]]


def test_a_gate_that_is_red_once_is_said_to_be_flaky(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", "ok", agent=gate(workspace, 'mkdir "$HOME/ran" 2>/dev/null && exit 1; exit 0'))
    result, events = run_here(workspace, monkeypatch)
    assert (result.succeeded, result.failed) == (2, 0)
    assert len(seen(workspace)) == 2
    assert "gate tests is flaky" in "".join(event["text"] for event in of_kind(events, "notice"))
    assert "flaky: it was red on the same tree before" in workspace.git("log", "-1", "--format=%B", "main")


def test_a_gate_that_skips_lets_a_group_through(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", agent=gate(workspace, "echo nothing to test; exit 77"))
    run_here(workspace, monkeypatch)
    assert trailers(workspace, "Gate")[0].startswith("tests skip ")


@pytest.mark.parametrize(
    ("script", "more", "said"),
    [
        ("exit 75", 'timeout = "9s"', "it still asks to be run again after 9s"),
        ("exit 127", "", "exit code 127"),
        ("kill -9 $$", "", "signal 9"),
    ],
)
def test_a_gate_without_a_verdict_halts_the_batch(
    workspace: Workspace, script: str, more: str, said: str
) -> None:
    set_up(workspace, "ok", "ok", agent=gate(workspace, f'test -e "$HOME/fixed" || {script}', more))
    run = ("run", "--items", "all", "--checkpoint", "at-end")
    stopped = workspace.gitbatch(*run, code=75)
    assert "gate tests gave no verdict: " in stopped.stderr
    assert said in stopped.stderr
    assert written(workspace) == []
    (workspace.home / "fixed").touch()
    workspace.gitbatch(*run)
    assert written(workspace) == ["T1", "T2"]
    assert starts(workspace, "T1") == 1


def test_a_resume_repeats_only_the_run_of_a_gate_that_was_interrupted(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that gives no verdict stands for one that is interrupted."""
    script = 'n=$(wc -l <"$HOME/tests.log"); test "$n" -ne 6 || exit 126; test ! -e out/T3.md'
    set_up(workspace, *["ok"] * 4, agent=gate(workspace, script))
    stopped, _ = run_here(workspace, monkeypatch)
    assert stopped.halt
    assert stopped.halt.cause is Cause.UNAVAILABLE
    first = len(seen(workspace))
    result, events = run_here(workspace, monkeypatch)
    assert failures(result).keys() == {"T3"}
    assert first == 6
    assert seen(workspace)[6] == seen(workspace)[5]
    reds = [event["tree"] for event in of_kind(events, "gate-finished") if event["result"] == "red"]
    assert len(reds) <= 2, "T3 alone, and once more"
    assert len(seen(workspace)) <= 11


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_branch_that_moves_while_a_gate_runs_is_judged_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = f'cd "{workspace.root}" && echo mine >mine.txt && git add mine.txt && git commit -qm Mine'
    script = f'test -e mine.txt || ({move}); ls >>"$HOME/files.log"'
    set_up(
        workspace, "ok", agent=gate(workspace, script, 'pass-env = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"]')
    )
    workspace.git("config", "user.name", "U")
    workspace.git("config", "user.email", "u@example.invalid")
    result, _ = run_here(workspace, monkeypatch)
    assert result.succeeded == 1
    assert len(seen(workspace)) == 2
    assert (workspace.home / "files.log").read_text().count("mine.txt") == 1
    assert trailers(workspace, "Gate") == [f"tests pass {workspace.git('rev-parse', 'main^{tree}').strip()}"]
    assert workspace.git("log", "--first-parent", "--format=%s").splitlines()[-2] == "Mine"


def test_what_an_agent_plants_next_to_its_output_has_no_effect_on_a_gate(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate_of_the_tree = '[gates.tests]\ncommand = ["sh", "check.sh"]\nsandbox = "none"\n'
    set_up(workspace, "ok", "ok", agent=gate_of_the_tree)
    plant = "echo exit 0 >check.sh\necho exit 0 >check.conf\n"
    workspace.write(
        "agent.sh", plant + workspace.read("agent.sh").replace("page() {", "page() { sh check.sh || exit 4;")
    )
    workspace.write("check.sh", "[ ! -e check.conf ] || . ./check.conf\ntest ! -e out/T2.md\n")
    workspace.commit()
    result, _ = run_here(workspace, monkeypatch)
    assert failures(result).keys() == {"T2"}
    assert starts(workspace, "T2") == 1, "where it was planted, it had its effect"


def test_a_gate_that_is_red_on_shared_files_alone_blames_no_item(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", "ok", agent=gate(workspace, "! grep -q succeeded status.md"))
    result, _ = run_here(workspace, monkeypatch)
    assert result.halt
    assert result.halt.cause is Cause.GATE
    assert "red on the shared files that gitbatch writes" in result.halt.reason
    assert written(workspace) == []


def test_a_base_that_is_red_by_now_blames_no_item(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'test -e out || { mkdir "$HOME/ran" 2>/dev/null && exit 0; }; exit 1'
    set_up(workspace, "ok", "ok", agent=gate(workspace, script))
    result, _ = run_here(workspace, monkeypatch)
    assert result.halt
    assert result.halt.cause is Cause.UNAVAILABLE
    assert "red by now also on the base" in result.halt.reason


def test_each_of_several_gates_has_its_say(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    gates = (
        gate(workspace, "test ! -e out/T1.md"),
        gate(workspace, "test ! -e out/T3.md", name="links"),
        gate(workspace, "exit 1", name="never"),
    )
    set_up(workspace, "ok", "ok", "ok", "ok", groups=2, batch='on-missing = "tell"', agent="".join(gates))
    hint = "\n<!-- gate: tests, links -->\n"
    workspace.write(
        "task.md", workspace.read("task.md").replace("## Work Packages\n", f"## Work Packages\n{hint}")
    )
    workspace.commit()
    result, _ = run_here(workspace, monkeypatch)
    assert failures(result) == {
        "T1": "gate tests is red with it: exit code 1",
        "T3": "gate links is red with it: exit code 1",
    }
    assert [verdict.split()[:2] for verdict in trailers(workspace, "Gate")] == [
        ["tests", "pass"],
        ["links", "pass"],
    ]
    assert seen(workspace, "never") == []


def test_a_gate_that_is_not_configured_stops_the_run(workspace: Workspace) -> None:
    set_up(workspace, "ok")
    workspace.write(
        "task.md", workspace.read("task.md").replace("### Group 1\n", "### Group 1\n<!-- gate: tets -->\n")
    )
    workspace.commit()
    stopped = workspace.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=None)
    assert stopped.returncode in {1, 2}
    assert "tets" in stopped.stderr


@pytest.mark.copied("the parent of a program in an overlay is its launcher")
def test_a_kill_in_the_middle_of_a_gate_loses_no_verdict(workspace: Workspace) -> None:
    script = 'n=$(wc -l <"$HOME/tests.log"); test "$n" -ne 5 || kill -9 $PPID; test ! -e out/T3.md'
    set_up(workspace, *["ok"] * 4, agent=gate(workspace, script))
    run = ("run", "--items", "all", "--checkpoint", "at-end")
    workspace.gitbatch(*run, code=-9)
    assert len(seen(workspace)) == 5
    workspace.gitbatch(*run, code=1)
    assert seen(workspace)[5] == seen(workspace)[4]
    assert len(seen(workspace)) <= 11
    assert written(workspace) == ["T1", "T2", "T4"]
    assert [starts(workspace, f"T{number}") for number in range(1, 5)] == [1, 1, 1, 1]


@pytest.mark.copied("the parent of a program in an overlay is its launcher")
def test_a_guilty_item_that_stands_on_another_fails_also_after_a_kill(workspace: Workspace) -> None:
    script = 'test ! -e out/T2.md || exit 1; test ! -e out/T3.md || ! mkdir "$HOME/cut" 2>/dev/null || kill -9 $PPID'
    set_up(workspace, "ok", "ok", "ok", batch='on-missing = "tell"', agent=gate(workspace, script))
    plan = workspace.read("task.md").replace("→ Output: out/T2", "→ After: T1 → Output: out/T2")
    workspace.write("task.md", plan.replace("→ Output: out/T3", "→ After: T2 → Output: out/T3"))
    workspace.commit()
    run = ("run", "--items", "all", "--checkpoint", "at-end")
    workspace.gitbatch(*run, code=-9)
    ended = workspace.gitbatch(*run, code=1)
    assert [starts(workspace, name) for name in ("T1", "T2", "T3")] == [1, 1, 2]
    assert written(workspace) == ["T1", "T3"]
    assert "gate tests is red with it: exit code 1" in ended.stdout
    assert workspace.gitbatch("verify").returncode == 0


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_branch_that_moves_during_the_search_is_searched_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = f'(cd "{workspace.root}" && echo mine >mine.txt && git add mine.txt && git commit -qm Mine)'
    script = f'n=$(wc -l <"$HOME/tests.log"); test "$n" -ne 4 || {move}; test ! -e out/T2.md'
    set_up(workspace, *["ok"] * 3, agent=gate(workspace, script))
    workspace.git("config", "user.name", "U")
    workspace.git("config", "user.email", "u@example.invalid")
    result, _ = run_here(workspace, monkeypatch)
    assert failures(result).keys() == {"T2"}
    assert written(workspace) == ["T1", "T3"]
    assert trailers(workspace, "Gate") == [f"tests pass {workspace.git('rev-parse', 'main^{tree}').strip()}"]
    assert workspace.read("mine.txt") == "mine\n"


def test_results_that_do_not_agree_blame_no_item(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(
        workspace, "ok", "ok", agent=gate(workspace, "test ! -e out/T1.md && ! grep -q succeeded status.md")
    )
    result, _ = run_here(workspace, monkeypatch)
    assert result.halt
    assert result.halt.cause is Cause.UNAVAILABLE
    assert "contradict" in result.halt.reason
    assert failures(result) == {}


def test_results_that_cannot_be_read_are_asked_for_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'n=$(wc -l <"$HOME/tests.log"); test "$n" -ne 2 || exit 126; exit 1'
    set_up(workspace, "ok", agent=gate(workspace, script))
    stopped, _ = run_here(workspace, monkeypatch)
    assert stopped.halt
    (ref,) = workspace.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/gates").splitlines()
    workspace.git("update-ref", ref, workspace.git("rev-parse", "main:task.md").strip())
    result, _ = run_here(workspace, monkeypatch)
    assert result.succeeded == 1
    assert seen(workspace) == [["T1"], ["T1"], ["T1"], ["T1"], [], []]


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_forged_result_stops_the_run(workspace: Workspace) -> None:
    set_up(workspace, "ok", agent=gate(workspace, "exit 0"))
    find = f"git -C '{workspace.root}' for-each-ref --format='%(refname)' 'refs/gitbatch/*/record'"
    forge = f"git -C '{workspace.root}' update-ref $({find} | sed s/record/gates/) main:task.md"
    workspace.write("agent.sh", f"{forge}\n{workspace.read('agent.sh')}")
    workspace.commit()
    stopped = workspace.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=1)
    assert "another process changed refs/gitbatch/" in stopped.stderr
    assert seen(workspace) == []


def test_an_unknown_gate_that_the_plan_names_later_stops_the_batch(workspace: Workspace) -> None:
    set_up(workspace, "ok", "ok", groups=2)
    workspace.gitbatch("run", "--items", "all", "--checkpoint", "after-each", code=3)
    workspace.write(
        "task.md", workspace.read("task.md").replace("### Group 2\n", "### Group 2\n<!-- gate: tets -->\n")
    )
    workspace.commit("A gate")
    stopped = workspace.gitbatch("run", code=None)
    assert stopped.returncode in {1, 2}
    assert "tets" in stopped.stderr
    assert written(workspace) == ["T1"]


def test_a_full_disk_below_a_gate_halts_the_batch(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_folders: Path) -> None:
        raise DiskError("the disk is full", "free disk space")

    set_up(workspace, "ok", agent=gate(workspace, "exit 0"))
    with monkeypatch.context() as full:
        full.setattr("gitbatch.batch.group.gate_runs.require_room", fail)
        stopped, _ = run_here(workspace, monkeypatch)
    assert stopped.halt
    assert stopped.halt.cause is Cause.DISK
    result, _ = run_here(workspace, monkeypatch)
    assert result.succeeded == 1
    assert starts(workspace, "T1") == 1


def test_a_guilty_item_whose_branch_outlived_a_kill_is_charged_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kill came after its failed attempt was written down, and before its branch was deleted."""
    later = gate(workspace, 'test -e "$HOME/fixed" || exit 126', name="later")
    check = '[checks.ok]\ncommand = ["true"]\non = ["out/*"]\nsandbox = "none"\n'
    set_up(workspace, "paid", "ok", agent=gate(workspace, "test ! -e out/T1.md") + later + check)
    run_here(workspace, monkeypatch)
    form = "--format=%(refname) %(objectname)"
    refs = dict(line.split() for line in workspace.git("for-each-ref", form, "refs/gitbatch").splitlines())
    assert [ref.rpartition("/")[2] for ref in refs if "/ledger/" in ref] == ["1-t1"]
    (kept,) = (ref for ref in refs if "/rescue/" in ref)
    workspace.git("update-ref", f"refs/heads/gitbatch/{kept.split('/')[2]}/1-t1", refs[kept])
    (workspace.home / "fixed").touch()
    result, _ = run_here(workspace, monkeypatch)
    assert failures(result).keys() == {"T1"}
    assert starts(workspace, "T1") == 1
    items = json.loads(workspace.gitbatch("status", "--json").stdout)["items"]
    assert [(item["status"], item["spent"]["usage"]["cost"]) for item in items if item["name"] == "T1"] == [
        ("failed", 0.4)
    ]


def test_a_gate_ends_with_an_interrupted_run(workspace: Workspace) -> None:
    script = 'test -e "$HOME/go" || { echo $$ >"$HOME/gate.pid"; while :; do sleep 0.05; done; }'
    set_up(workspace, "ok", agent=gate(workspace, script))
    run = workspace.start("run", "--items", "all", "--checkpoint", "at-end")
    pid = workspace.home / "gate.pid"
    try:
        wait_until(lambda: pid.exists() and bool(pid.read_text().strip()), "the gate runs")
        status = json.loads(workspace.gitbatch("status", "--json").stdout)
        run.send_signal(signal.SIGINT)
        run.communicate()
        assert run.wait() == 130
    finally:
        run.kill()
    assert status["process"]["pause"] == "gate"
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
    assert written(workspace) == []
    (workspace.home / "go").touch()
    workspace.gitbatch("run")
    assert written(workspace) == ["T1"]
    assert starts(workspace, "T1") == 1


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_branch_that_moves_each_time_is_given_up(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = f'(cd "{workspace.root}" && date +%N >mine.txt && git add mine.txt && git commit -qm Mine)'
    set_up(workspace, "ok", agent=gate(workspace, move))
    workspace.git("config", "user.name", "U")
    workspace.git("config", "user.email", "u@example.invalid")
    monkeypatch.setattr("gitbatch.batch.group.gated.TRIES", 2)
    with pytest.raises(BusyError, match="branch main keeps moving"):
        run_here(workspace, monkeypatch)
    assert len(seen(workspace)) == 2
    assert written(workspace) == []


def test_what_a_guilty_item_has_cost_is_the_same_after_a_resume(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'mkdir "$HOME/ran" 2>/dev/null && exit 126; test ! -e out/T1.md'
    set_up(workspace, "paidfail paid", agent=gate(workspace, script))
    stopped, _ = run_here(workspace, monkeypatch)
    assert stopped.halt
    result, _ = run_here(workspace, monkeypatch)
    assert failures(result).keys() == {"T1"}
    (item,) = json.loads(workspace.gitbatch("status", "--json").stdout)["items"]
    usage = item["spent"]["usage"]
    assert (item["attempts"], usage["requests"], round(usage["cost"], 6)) == (2, 4, 0.8)


def test_a_gate_that_is_red_twice_by_chance_blames_no_item(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", agent=gate(workspace, 'test "$(wc -l <"$HOME/tests.log")" -gt 2'))
    result, events = run_here(workspace, monkeypatch)
    assert result.succeeded == 1
    assert seen(workspace) == [["T1"], ["T1"], [], ["T1"], ["T1"]]
    assert "gate tests is flaky" in "".join(event["text"] for event in of_kind(events, "notice"))
