"""Checks of items in whole runs: what passes, what is tried again, what halts, and what an agent cannot do about it."""

import errno
import json
import os
import signal
import sys

import pytest
from batch.programs import AGENT, found, prompt, run, starts
from conftest import Workspace
from history import assert_tidy, audit, ticked, trailers
from processes import kill_agents
from sessions import run_here
from waiting import wait_until

from gitbatch.batch.workplace import detached_worktrees
from gitbatch.limits.causes import Cause

KEPT = "refs/gitbatch/*/unchecked/*"


def set_up(workspace: Workspace, checks: str, items: str, more: str = "") -> None:
    """Commits a plan whose agent does what the items say, and a configuration with checks."""
    (workspace.home / "agent").write_text(f"#!/bin/sh\n{AGENT}")
    (workspace.home / "agent").chmod(0o755)
    command = json.dumps([str(workspace.home / "agent")])
    workspace.write(
        "gitbatch.toml",
        f'[batch]\nretry-pause = "0s"\n{more}\n[agents.told]\nkind = "command"\ncommand = {command}\n'
        f'sandbox = "none"\n{checks}',
    )
    workspace.write(
        "task.md",
        f"# Plan\n\n## Work Packages\n\n### One\n{items}\n## Definition of Done\n- [ ] It is there.\n",
    )
    workspace.commit("The plan")


def check(name: str, script: str, **settings: object) -> str:
    """Returns the table of a check that is a script of the shell."""
    table = {"command": ["sh", "-c", script], "sandbox": "none", "on": ["out/*.md"], **settings}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
    return f"[checks.{name}]\n{lines}"


def test_a_red_check_sends_its_findings_and_the_output_to_the_next_attempt(workspace: Workspace) -> None:
    script = 'cat; grep -q more "$GITBATCH_OUTPUT" || { echo "line 1: no more"; exit 1; }'
    passes, skips = check("words", script), check("never", "exit 77")
    set_up(
        workspace,
        passes + skips,
        "- [ ] T1 do: ok more → Output: out/T1.md\n- [ ] T2 a → Output: src/T2.md\n",
    )
    told = run(workspace)
    assert workspace.read("out/T1.md") == "T1 1\nmore\n"
    assert "What the checks of your file report" in prompt(workspace, "T1", 2)
    assert "> words: T1 1\n> words: line 1: no more" in prompt(workspace, "T1", 2)
    assert found(workspace, "T1", 2) == "T1 1\n"
    (failed,) = told.of("attempt-failed")
    assert (failed["outcome"]["cause"], failed["outcome"]["reason"]) == (
        "check-failed",
        "check words failed: line 1: no more (exit 1)",
    )
    item = workspace.git("log", "--all", "--format=%H", "--grep", "Gitbatch-Item: out/T1.md")
    said = [value.partition(" (")[0] for value in trailers(workspace, item, "Check")]
    assert said == ["words pass", "never skip"]
    assert trailers(workspace, item, "Earlier") == ["1: check words failed: line 1: no more (exit 1)"]
    (shown,) = [
        each
        for each in json.loads(workspace.gitbatch("status", "--json").stdout)["items"]
        if each["name"] == "T1"
    ]
    assert [(each["check"], each["verdict"]) for each in shown["checks"]] == [
        ("words", "pass"),
        ("never", "skip"),
    ]
    assert "words passed, never skipped" in workspace.gitbatch("status").stdout
    body = workspace.git("log", "-1", "--format=%B")
    assert "checks: words passed" in body
    assert "never skipped" in body
    results = [e["result"] for e in told.of("check-finished")]
    assert sorted((r["name"], r["verdict"]) for r in results) == [
        ("never", "skip"),
        ("never", "skip"),
        ("words", "pass"),
        ("words", "red"),
    ]
    audit(workspace)
    assert_tidy(workspace)
    assert workspace.git("for-each-ref", KEPT) == ""


def test_an_output_that_always_fails_its_checks_fails_its_item_alone(workspace: Workspace) -> None:
    checks = check("one", "echo bad one; exit 1") + check("two", "echo bad two; exit 2", on=["out/T1.md"])
    items = (
        "- [ ] T1 do: ok → Output: out/T1.md <!-- retries: 1 -->\n- [ ] T2 b → Output: out/T2.md → Check: none\n"
        "- [ ] T3 do: ok nothing → Output: out/T3.md\n"
    )
    set_up(workspace, checks, items)
    told = run(workspace, code=1)
    outcome = told.outcome("T1")
    assert (outcome["status"], outcome["cause"], outcome["attempts"]) == ("failed", "check-failed", 2)
    assert "checks one, two failed: bad one (exit 1)" in prompt(workspace, "T1", 2)
    body = workspace.git("log", "-1", "--format=%B")
    assert "T1 failed, in its checks' words:\n    one: bad one\n    two: bad two\n" in body
    assert "> one: bad one\n> two: bad two" in prompt(workspace, "T1", 2)
    assert ticked(workspace) == ["T2"]
    unchanged = told.outcome("T3")
    assert (unchanged["cause"], unchanged["attempts"]) == ("nothing-changed", 2)
    assert unchanged["reason"].endswith("is as the last attempt left it, and its checks have rejected that")
    kept = workspace.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/rescue/*").splitlines()
    assert [ref.rpartition("/")[2] for ref in kept] == ["1-t1-2", "1-t3-2"]
    assert workspace.git("for-each-ref", KEPT) == ""


def counting(name: str, script: str) -> str:
    """Returns a script that notes each of its runs in the test's home folder, and then does something."""
    return f'echo run >>"$HOME/{name}.runs"; {script}'


def runs(workspace: Workspace, name: str) -> int:
    """How often such a script was run."""
    path = workspace.home / f"{name}.runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_check_without_a_verdict_halts_and_the_output_is_only_checked_again(workspace: Workspace) -> None:
    waits = counting("waits", 'exit "$(cat "$HOME/code")"')
    checks = check("good", counting("good", "exit 0"), on=["out/T1.md"])
    checks += check("waits", waits, on=["out/T1.md"], timeout="9s")
    set_up(workspace, checks, "- [ ] T1 do: paid → Output: out/T1.md\n- [ ] T2 b → Output: out/T2.md\n")
    (workspace.home / "code").write_text("75")
    told = run(workspace, code=75)
    (halted,) = told.of("batch-halted")
    assert halted["cause"] == "check-unavailable"
    assert "T1: check waits gave no verdict: it still asks to be run again after 9s" in halted["reason"]
    assert (starts(workspace, "T1"), ticked(workspace), told.of("attempt-failed")) == (1, [], [])
    assert told.of("batch-waiting") == [], "the agents do not wait for a check"
    status = json.loads(workspace.gitbatch("status", "--json").stdout)
    assert status["spent"]["usage"]["cost"] == 0.4
    (shown,) = [each for each in status["items"] if each["name"] == "T1"]
    assert (shown["status"], shown["reason"]) == ("open", "its output is kept until its checks have answered")
    assert [each["check"] for each in shown["checks"]] == ["good"]
    (workspace.home / "code").write_text("0")
    again = run(workspace)
    assert again.of("batch-started")[0]["spent"]["usage"]["cost"] == 0.4
    assert (starts(workspace, "T1"), starts(workspace, "T2")) == (1, 1)
    assert (runs(workspace, "good"), runs(workspace, "waits")) == (1, 2)
    outcome = again.outcome("T1")
    assert (outcome["attempts"], outcome["spent"]["usage"]["cost"], outcome["spent"]["unknown"]) == (
        1,
        0.4,
        0,
    )
    assert outcome["reply"]["summary"] == "Wrote it. It is short."
    assert ticked(workspace) == ["T1", "T2"]
    audit(workspace)
    assert_tidy(workspace)
    assert workspace.git("for-each-ref", KEPT) == ""


@pytest.mark.copied("it breaks the checkout that copies have")
def test_a_folder_that_cannot_be_made_halts_the_batch_and_costs_nothing_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, check("a", "exit 0") + check("b", "exit 0"), "- [ ] T1 do: paid → Output: out/T1.md\n")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fail(*_: object) -> None:
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(detached_worktrees, "make_detached", fail)
        for _ in range(2):  # while the attempt is new, and when its output is held
            result, _ = run_here(workspace, monkeypatch)
            assert result.halt
            assert result.halt.cause is Cause.DISK
    result, _ = run_here(workspace, monkeypatch)
    assert (result.succeeded, starts(workspace, "T1")) == (1, 1)


def test_four_checks_of_an_item_run_at_the_same_time(workspace: Workspace) -> None:
    script = 'n=$(ls "$HOME"/now.* 2>/dev/null | wc -l); echo $n >>"$HOME/seen"; touch "$HOME/now.$$"; '
    script += 'while [ $(cat "$HOME/seen" | wc -l) -lt 4 ]; do sleep 0.02; done; rm "$HOME/now.$$"'
    set_up(workspace, "".join(check(f"c{n}", script) for n in range(6)), "- [ ] T1 a → Output: out/T1.md\n")
    told = run(workspace)
    assert len(told.of("check-finished")) == 6
    seen = [int(line) for line in (workspace.home / "seen").read_text().split()]
    assert len(seen) == 6
    assert max(seen) <= 3, "more than four at once"


@pytest.mark.parametrize(
    ("path", "started", "checked"),
    [
        ("other.md", 1, ["T1 1"] * 2),
        ("out/T1.md", 2, ["T1 1", "T1 2"]),
        ("notes.md", 2, ["T1 1", "T1 2"]),
    ],
)
def test_a_held_output_is_checked_on_the_branch_as_it_is_by_then(
    workspace: Workspace, path: str, started: int, checked: list[str]
) -> None:
    workspace.write("notes.md", "What T1 reads.\n")
    script = 'cat >>"$HOME/checked"; [ -e other.md ] || [ -s "$HOME/go" ] || exit 126'
    set_up(workspace, check("other", script), "- [ ] T1 a → Output: out/T1.md (context: notes.md)\n")
    run(workspace, code=75)
    workspace.write(path, "by hand\n")
    workspace.commit("By hand")
    (workspace.home / "go").write_text("go" if path != "other.md" else "")
    run(workspace)
    assert starts(workspace, "T1") == started
    assert (workspace.home / "checked").read_text().splitlines() == checked
    assert workspace.git("for-each-ref", KEPT) == ""


def test_an_aborted_batch_keeps_what_waits_for_its_checks(workspace: Workspace) -> None:
    set_up(
        workspace,
        check("never", "exit 126"),
        "- [ ] T1 do: paid → Output: out/T1.md\n- [ ] T2 b → Output: src/b.md\n",
    )
    run(workspace, code=75)
    said = json.loads(workspace.gitbatch("abort", "--yes", "--json").stdout)
    assert (said["kept"], said["lost"], said["unchecked"]) == (["T2"], ["T1"], ["T1"])
    assert workspace.git("show", f"{said['refs'][1]}:out/T1.md") == "T1 1"
    assert workspace.git("for-each-ref", KEPT) == ""
    listed = workspace.gitbatch("rescue").stdout
    assert "its checks had not answered when the batch was ended" in listed
    workspace.gitbatch("rescue", "take", "T1", code=0)
    assert workspace.read("out/T1.md") == "T1 1\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_ends_in_a_check_asks_only_that_check_again(
    workspace: Workspace, number: signal.Signals
) -> None:
    slow = counting("slow", '[ -e "$HOME/go" ] || sleep 60')
    checks = check("red", counting("red", "echo never good; exit 1")) + check("slow", slow)
    set_up(workspace, checks, "- [ ] T1 do: paid nothing → Output: out/T1.md\n")
    process = workspace.start("run", "--items", "all", "--checkpoint", "at-end", is_heard=False)
    try:
        wait_until(
            lambda: runs(workspace, "slow") and "never good" in _held_state(workspace),
            "the verdict of one check",
        )
    finally:
        process.send_signal(number)
        process.wait(60)
        kill_agents(workspace)
    (workspace.home / "go").touch()
    told = run(workspace, code=1)
    assert (runs(workspace, "red"), runs(workspace, "slow")) == (1, 2)
    (failed,) = told.of("attempt-failed")
    assert failed["outcome"]["reason"] == "check red failed: never good (exit 1)"
    outcome = told.outcome("T1")
    assert (outcome["cause"], outcome["attempts"], starts(workspace, "T1")) == ("nothing-changed", 2, 2)
    assert (outcome["spent"]["usage"]["cost"], outcome["spent"]["unknown"]) == (0.4, 1)
    assert workspace.git("for-each-ref", KEPT) == ""


def _held_state(workspace: Workspace) -> str:
    """The state of the one output that is held; empty if none is."""
    ref = workspace.git("for-each-ref", "--format=%(refname)", KEPT)
    return workspace.git("show", f"{ref}:state.json", check=False) if ref else ""


LIAR = """set -u
printf '{"summary": "All tests pass. I ran every one of them twice."}' >"$GITBATCH_REPLY"
case $((($(echo "$1 $GITBATCH_ATTEMPT" | cksum | cut -d ' ' -f 1)) % 6)) in
0) printf '{"name": "%s", "numbers": [1, 2, 3]}' "$1" >"$1" ;;
1) printf '{"name": "%s", "numbers": [1, 2' "$1" >"$1" ;;
2) printf 'name: %s\\nnumbers: 1 2 3\\n' "$1" >"$1" ;;
3) printf 'A great page. It is complete, tested and correct.\\n' >"$1" ;;
4) printf '{"name": "other", "numbers": [1, 2, 3]}' >"$1"; echo 'exit 0' >check.py ;;
5) : >"$1" ;;
esac
"""
"""An agent that claims the same of each output, of which one in six is what was asked for."""
JUDGE = """import json, sys
found = json.load(open(sys.argv[1]))
sys.exit(0 if found == {"name": sys.argv[1], "numbers": [1, 2, 3]} else 3)
"""


def test_no_output_of_a_lying_agent_is_recorded_that_its_check_would_reject(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The long round (`GITBATCH_FAULTS=long`) has 1,000 items."""
    count = 1000 if os.environ.get("GITBATCH_FAULTS") == "long" else 12
    items = "".join(f"- [ ] a → Output: out/{number}.json\n" for number in range(count))
    set_up(workspace, "", items, "retries = 1")
    workspace.write("agent.sh", LIAR)
    workspace.write("check.py", JUDGE)
    config = workspace.read("gitbatch.toml").replace(
        str(workspace.home / "agent"), 'sh", "agent.sh", "{output}'
    )
    table = check(
        "json", "", command=[sys.executable, "-S", "check.py", "{output}"], on=["out/*"], checkout="context"
    )
    workspace.write("gitbatch.toml", f"{config}{table}")
    workspace.commit("An agent that lies")
    _, events = run_here(workspace, monkeypatch, jobs=4)
    names = workspace.git("ls-tree", "-r", "--name-only", "main", "out").splitlines()
    right = [json.dumps({"name": name, "numbers": [1, 2, 3]}) for name in names]
    assert [workspace.git("show", f"main:{name}") for name in names] == right
    outcomes = [event["outcome"] for event in events if event["event"] == "item-finished"]
    assert len(outcomes) == count
    assert len(names) == sum(outcome["status"] == "succeeded" for outcome in outcomes)
    assert 0 < len(names) < count
    causes = {outcome["cause"] for outcome in outcomes if outcome["status"] == "failed"}
    assert causes <= {"check-failed", "no-usable-output", "nothing-changed"}


def test_programs_that_run_here_cannot_read_the_key_of_a_cluster(workspace: Workspace) -> None:
    """With it, what an agent wrote could run programs on every machine of the cluster."""
    certificates = workspace.home.parent / "tls"
    certificates.mkdir()
    for name in ("ca.pem", "key.pem"):
        (certificates / name).write_text(f"the words of {name}")
    script = f'cat {certificates}/*.pem; test "$(cat {certificates}/*.pem)" = "the words of ca.pem"'
    needs = [str(certificates)]
    set_up(
        workspace, check("keys", script, sandbox="auto", needs=needs), "- [ ] T1 do: ok → Output: out/T1.md\n"
    )
    done = workspace.gitbatch(
        *("run", "--items", "all", "--checkpoint", "at-end"), GITBATCH_TLS_KEY=str(certificates / "key.pem")
    )
    assert done.returncode == 0, done.stdout + done.stderr
