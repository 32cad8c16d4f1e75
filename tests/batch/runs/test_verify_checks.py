"""`gitbatch verify --checks`: the checks and gates of a trusted commit again, on the trees that a history records."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import IDENTITY, Here, Workspace, base_environment
from fork_server import ForkServer
from msgspec.structs import replace
from sessions import run_here

from gitbatch.batch.by_hand.recheck import Recheck, confine_table
from gitbatch.batch.history.verify.audit import Audit, AuditFinding
from gitbatch.batch.history.verify.rules import Check
from gitbatch.cli.verify import describe_result
from gitbatch.project.check_tables import CheckTable

PLAN = """# P

## Work Packages

### One

- [ ] T1 Write good → Output: docs/a.md
- [ ] T2 Write good → Output: docs/b.md

### Two

- [ ] T3 Write good → Output: docs/c.md
"""
CONFIG = """[agents.one]
kind = "command"
command = ["sh", "-c", "echo good >$0; echo Wrote it. Nothing is open.", "{output}"]
sandbox = "none"

[checks.good]
command = ["sh", "tools/good.sh", "{output}"]
on = ["docs/*.md"]
sandbox = "none"

[gates.clean]
command = ["sh", "-c", "! grep -rn bad docs"]
sandbox = "none"
"""
JUDGES = f"""
[checks.text]
command = ["sh", "-c", "true && sh tools/judge.sh $0", "{{output}}"]
on = ["docs/a.md"]
sandbox = "none"

[checks.module]
command = ["{sys.executable}", "-S", "-m", "tools.judge", "{{output}}"]
on = ["docs/b.md"]
sandbox = "none"

[checks.rules]
command = ["env", "sh", "tools/apply.sh", "--rules", "tools/rules.txt", "{{output}}"]
on = ["docs/c.md"]
sandbox = "none"

[gates.clean]
command = ["sh", "tools/judge.sh"]
groups = ["Two"]
sandbox = "none"
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer) -> Path:
    """The folder of a repository in which a batch with checks and gates has run."""
    home = tmp_path_factory.mktemp("home")
    environment = {**base_environment(), **IDENTITY, "HOME": str(home), "GIT_CONFIG_GLOBAL": os.devnull}
    workspace = Workspace(home / "repo", home, environment, fork_server)
    workspace.root.mkdir()
    workspace.git("init", "--quiet", "--initial-branch=main")
    workspace.write("task.md", PLAN)
    workspace.write("gitbatch.toml", CONFIG)
    workspace.write("tools/good.sh", "grep -q good $1\n")
    workspace.commit()
    workspace.git("tag", "start")
    workspace.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=0)
    return workspace.root


@pytest.fixture
def recorded(workspace: Workspace, template: Path) -> Workspace:
    """A copy of it."""
    shutil.rmtree(workspace.root)
    shutil.copytree(template, workspace.root, symlinks=True)
    return workspace


def verify(here: Here, *arguments: str, code: int) -> dict[str, Any]:
    ended, said, errors = here("verify", "--json", "--checks", *arguments)
    assert ended == code, said + errors
    return dict(json.loads(said))


def test_recorded_batch(recorded: Workspace, here: Here) -> None:
    before = recorded.state()
    found = verify(here, "start..main", code=0)
    assert (found["checks_run"], found["findings"]) == (5, [])
    assert found["checked_by"] == recorded.git("rev-parse", "start")
    assert recorded.state() == before
    assert not list((recorded.home / "cache").rglob("check-*"))
    start = recorded.git("rev-parse", "--short=12", "start")
    assert here("verify", "--checks", "start..main")[1].splitlines() == [
        f"5 checks and gates run again by {start}",
        "7 commits of gitbatch judged, nothing found",
    ]


def test_last_line_counts_what_the_checks_have_found() -> None:
    red = AuditFinding("a" * 40, "F6", Check.ITEM_CHECKS, "check good is red")
    audit = Audit(judged=7, unjudged=0, findings=(), ends=())
    found = [
        describe_result(each, again)
        for each, again in (
            (audit, Recheck("start", 5)),
            (audit, Recheck("start", 5, (red, red))),
            (replace(audit, findings=(red,), unjudged=1), Recheck("start", 5, (red,), (red,))),
        )
    ]
    assert [each.removeprefix("7 commits of gitbatch judged, ") for each in found] == [
        "nothing found",
        "2 findings",
        "2 findings; 1 without a verdict; 1 of gitbatch 0.1 not judged",
    ]


@pytest.mark.usefixtures("recorded")
def test_range_needs_a_start(here: Here) -> None:
    code, _, said = here("verify", "--checks")
    assert (code, "--config REV" in said) == (2, True)
    assert verify(here, "--config", "start", code=0)["checks_run"] == 5
    assert here("verify", "--config", "start")[0] == 2


@pytest.mark.forged
def test_output_that_a_check_refuses(recorded: Workspace, here: Here) -> None:
    """A history that nobody checked: the commits say `pass`, and the check of the start says otherwise."""
    recorded.edit("tools/good.sh", "good", "excellent")
    recorded.commit("Stricter")
    found = verify(here, "start..main", "--config", "main", code=1)
    assert [each["message"] for each in found["findings"]] == [
        f"check good is red on docs/{name}.md: exit code 1" for name in ("a", "b", "c")
    ]
    assert {each["rule"] for each in found["findings"]} == {"F6"}


@pytest.mark.forged
def test_range_decides_nothing(recorded: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the range brings of checks, hints and programs has no effect, for better or worse."""
    recorded.git("reset", "--quiet", "--hard", "start")
    recorded.write("tools/good.sh", "exit 0\n")
    recorded.write("gitbatch.toml", CONFIG.replace("echo good", "echo poor"))
    recorded.edit("task.md", "T3 Write good → Output", "T3 Write good → Check: none → Output")
    recorded.commit("Pass whatever comes")
    result, _ = run_here(recorded, monkeypatch)
    assert result.succeeded == 3
    found = verify(here, "start..main", code=1)
    assert [each["message"].partition(":")[0] for each in found["findings"]] == [
        f"check good is red on docs/{name}.md" for name in ("a", "b", "c")
    ]
    assert verify(here, "start..main", "--config", "main", code=0)["checks_run"] == 4


@pytest.mark.forged
def test_range_does_not_bring_what_judges(
    recorded: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that Python runs, a script in the text of a shell, rules that an option names: all of the start."""
    recorded.git("reset", "--quiet", "--hard", "start")
    recorded.write("gitbatch.toml", CONFIG.split("[checks", maxsplit=1)[0] + JUDGES)
    versions = {
        "judge.sh": ("exit 1\n", "exit 0\n"),
        "judge.py": ("raise SystemExit(1)\n", ""),
        "rules.txt": ("good\n", "poor\n"),
        "apply.sh": ('! grep -q -f "$2" "$3"\n',) * 2,
    }
    for name, (strict, _) in versions.items():
        recorded.write(f"tools/{name}", strict)
    recorded.commit("Strict")
    recorded.git("tag", "--force", "start")
    for name, (_, lax) in versions.items():
        recorded.write(f"tools/{name}", lax)
    recorded.commit("Pass whatever comes")
    result, _ = run_here(recorded, monkeypatch)
    assert result.succeeded == 3
    found = verify(here, "start..main", code=1)
    assert [each["message"].partition(":")[0] for each in found["findings"]] == [
        "check text is red on docs/a.md",
        "check module is red on docs/b.md",
        "check rules is red on docs/c.md",
        "gate clean is red",
    ]


@pytest.mark.forged
@pytest.mark.parametrize("planted", ["link", "folder"])
def test_range_with_something_instead_of_the_program(
    recorded: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    """What stands where the program of the start is to be written is replaced."""
    recorded.git("reset", "--quiet", "--hard", "start")
    shutil.rmtree(recorded.root / "tools")
    if planted == "link":
        recorded.write("else/good.sh", "exit 1\n")
        (recorded.root / "tools").symlink_to("else")
    else:
        recorded.write("tools/good.sh/x", "x")
    recorded.write("gitbatch.toml", CONFIG.split("[checks", maxsplit=1)[0])
    recorded.commit("Planted")
    result, _ = run_here(recorded, monkeypatch)
    assert result.succeeded == 3
    assert verify(here, "start..main", code=0)["checks_run"] == 5


@pytest.mark.forged
def test_gate_that_the_range_calls_red_before(
    recorded: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be red if it is red below the group too, and not because the range says so."""
    recorded.git("reset", "--quiet", "--hard", "start")
    recorded.edit("gitbatch.toml", "! grep -rn bad docs", "! grep -rn good docs")
    recorded.commit("No good")
    recorded.git("tag", "--force", "start")
    recorded.edit("gitbatch.toml", '"sh", "-c", "! grep -rn good docs"', '"false"')
    recorded.commit("Always red")
    result, _ = run_here(recorded, monkeypatch)
    assert result.succeeded == 3
    assert recorded.git("log", "--format=%B").count("clean red-before ") == 2
    found = verify(here, "start..main", code=1)
    assert [each["message"] for each in found["findings"]] == [
        "gate clean is red, and was not red before: docs/a.md:1:good (exit 1)"
    ]


def test_confined_table() -> None:
    table = CheckTable(command=("true",), sandbox="none", network=True, needs=("/opt/x",))
    confined = confine_table(table)
    assert (confined.sandbox, confined.network, confined.needs) == ("auto", False, ("/opt/x",))
    assert confine_table(CheckTable(command=("true",), sandbox="landlock")).sandbox == "landlock"


def test_sandboxed_without_network(recorded: Workspace, here: Here) -> None:
    """Whatever the table says, a program of a history is confined: here, it cannot read the checkout."""
    secret = recorded.root / "secret"
    secret.write_text("s3cret")
    table = CONFIG.replace('["sh", "tools/good.sh", "{output}"]', f'["sh", "-c", "! cat {secret}"]')
    recorded.write("gitbatch.toml", f"{table}network = true\n")
    recorded.commit("Look around")
    assert verify(here, "start..main", "--config", "main", code=0)["checks_run"] == 5


@pytest.mark.parametrize(("status", "code"), [("exit 126", 75), ("exit 77", 0)])
def test_no_verdict(recorded: Workspace, here: Here, status: str, code: int) -> None:
    recorded.write("tools/good.sh", f"{status}\n")
    recorded.commit("Another end")
    found = verify(here, "start..main", "--config", "main", code=code)
    assert (len(found["no_verdict"]), found["findings"], found["ok"]) == (3 if code else 0, [], not code)


def test_red_gate(recorded: Workspace, here: Here) -> None:
    recorded.edit("gitbatch.toml", "! grep -rn bad docs", "! grep -rn good docs")
    recorded.commit("No good")
    found = verify(here, "start..main", "--config", "main", code=1)
    assert {each["message"].partition(":")[0] for each in found["findings"]} == {"gate clean is red"}
    assert len(found["findings"]) == 2


def test_trusted_commit_without_the_plan(recorded: Workspace, here: Here) -> None:
    """Then the patterns alone decide, for outputs and for groups by their names."""
    recorded.git("rm", "--quiet", "task.md")
    recorded.edit("gitbatch.toml", "[gates.clean]", '[gates.clean]\ngroups = ["Two"]')
    recorded.commit("Another phase")
    assert verify(here, "start..main~1", "--config", "main", code=0)["checks_run"] == 4


def test_agents_are_not_asked(recorded: Workspace, here: Here) -> None:
    style = '\n[checks.style]\nagent = "one"\nprompt = "Good?"\non = ["docs/a.md"]\n'
    recorded.write("gitbatch.toml", CONFIG.split("[checks", maxsplit=1)[0] + style)
    recorded.commit("Review")
    found = verify(here, "start..main", "--config", "main", code=0)
    assert (found["checks_run"], found["checks_not_run"]) == (0, 1)
