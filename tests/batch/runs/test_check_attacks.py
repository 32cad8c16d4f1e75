"""What an agent does to pass a check that its output would fail: nothing of it has an effect on the verdict.

Each has its control: the same check in the folder that the agent left behind is green.
"""

import json
import sys

from batch.programs import run
from batch.runs.test_checks import check, runs
from conftest import Workspace
from history import ticked

PLANTS = {
    "conftest": ("tests/conftest.py", "import os\nos._exit(0)\n"),
    "ini": ("pytest.ini", "[pytest]\naddopts = --collect-only\n"),
    "lychee": (".lychee.toml", "exclude = ['.*']\n"),
    "program": ("tools/check.sh", "exit 0\n"),
    "shadow": ("pytest.py", "raise SystemExit(0)\n"),
}
"""What is written where."""

LINKS = 'grep -q "exclude" .lychee.toml 2>/dev/null || { echo dead link; exit 1; }\n'
"""A program that reads its configuration by itself."""
PYTEST = ["env", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1"]  # or it imports what the tests of this project have
PYTEST += [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
COMMANDS = {
    **dict.fromkeys(("conftest", "ini", "shadow"), PYTEST),
    "lychee": ["sh", "tools/links.sh"],
    "program": ["sh", "tools/check.sh", "calc.py"],
}
"""The check that each is to turn green."""
BAD = "def one():\n    return 2\n"


def set_up(workspace: Workspace, agent: str, checks: str, plan: str) -> None:
    """Commits a package with a test, two programs that check it, and an agent."""
    workspace.write("tests/test_calc.py", "from calc import one\n\ndef test_one():\n    assert one() == 1\n")
    workspace.write("tools/check.sh", 'grep -q "return 1" "$1" || { echo wrong; exit 1; }\n')
    workspace.write("tools/links.sh", LINKS)
    (workspace.home / "agent").write_text(
        f'#!/bin/sh\n{agent}echo "{{\\"summary\\": \\"All tests pass. I ran them.\\"}}" >"$GITBATCH_REPLY"\n'
    )
    (workspace.home / "agent").chmod(0o755)
    command = json.dumps([str(workspace.home / "agent")])
    workspace.write(
        "gitbatch.toml",
        '[batch]\nretries = 0\nretry-pause = "0s"\n[agents.told]\nkind = "command"\nsandbox = "none"\n'
        f"command = {command}\n{checks}",
    )
    workspace.write("task.md", f"# Plan\n\n## Work Packages\n\n### One\n{plan}")
    workspace.commit("The plan")


def plant_and_try(plant: str) -> str:
    """Returns commands of a shell that plant a file, run the check in the agent's own folder, and note its exit code."""
    path, text = PLANTS[plant]
    command = " ".join(COMMANDS[plant])
    return (
        f"mkdir -p $(dirname {path}) && cat >{path} <<'END'\n{text}END\n"
        f'{command} >/dev/null 2>&1; echo {plant} $? >>"$HOME/naive"\n'
    )


def naive(workspace: Workspace) -> set[str]:
    """What the checks say in the folders of the agents."""
    return set((workspace.home / "naive").read_text().splitlines())


def test_what_an_agent_plants_next_to_its_output_has_no_effect(workspace: Workspace) -> None:
    write = f"cat >calc.py <<'END'\n{BAD}END\n"
    each = "".join(f"{plant_and_try(plant)}rm {PLANTS[plant][0]}\n" for plant in PLANTS if plant != "program")
    again = "".join(
        f"mkdir -p $(dirname {path}) && cat >{path} <<'END'\n{text}END\n" for path, text in PLANTS.values()
    )
    commands = {"pytest": PYTEST, "lychee": COMMANDS["lychee"], "program": COMMANDS["program"]}
    checks = "".join(check(name, "", command=command, on=["calc.py"]) for name, command in commands.items())
    set_up(
        workspace, write + each + plant_and_try("program") + again, checks, "- [ ] T1 a → Output: calc.py\n"
    )
    told = run(workspace, code=1)
    assert naive(workspace) == {f"{plant} 0" for plant in PLANTS}, (
        "the control: in the agent's own folder, all are green"
    )
    outcome = told.outcome("T1")
    assert (outcome["status"], outcome["cause"]) == ("failed", "check-failed")
    assert [result["verdict"] for result in outcome["checks"]] == ["red"] * 3
    assert set(outcome["strays"]) >= {path for path, _ in PLANTS.values()}
    assert ticked(workspace) == []


def test_an_output_that_its_check_loads_is_judged_with_the_bases_version_of_it(workspace: Workspace) -> None:
    """The base is red; each item writes a file that would make its check green."""
    plants = [plant for plant in PLANTS if plant != "shadow"]
    agent = "".join(
        f'if [ "$GITBATCH_OUTPUT" = {PLANTS[plant][0]} ]; then\n{plant_and_try(plant)}fi\n'
        for plant in plants
    )
    checks = "".join(check(plant, "", command=COMMANDS[plant], on=[PLANTS[plant][0]]) for plant in plants)
    workspace.write("calc.py", BAD)
    set_up(workspace, agent, checks, "".join(f"- [ ] a → Output: {PLANTS[plant][0]}\n" for plant in plants))
    told = run(workspace, code=1)
    assert naive(workspace) == {f"{plant} 0" for plant in plants}
    causes = [event["outcome"]["cause"] for event in told.of("item-finished")]
    assert causes == ["check-failed"] * len(plants)
    assert ticked(workspace) == []


def test_a_sandboxed_check_reads_its_folder_and_not_the_checkout(workspace: Workspace) -> None:
    script = (
        'cat "$1" && ! cat "$2/secret.md" 2>/dev/null && grep -q bad out/T1.md && echo from "$2" && exit 1'
    )
    command = ["sh", "-c", script, "check", "{output}", str(workspace.root)]
    workspace.write("secret.md", "nothing for a check\n")
    (workspace.home / "agent").write_text("#!/bin/sh\nmkdir -p out; echo bad >out/T1.md; echo done\n")
    (workspace.home / "agent").chmod(0o755)
    agent = json.dumps([str(workspace.home / "agent")])
    table = check("reads", "", command=command, sandbox="auto", checkout="context")
    workspace.write(
        "gitbatch.toml",
        f'[batch]\nretries = 0\n[agents.told]\nkind = "command"\nsandbox = "none"\ncommand = {agent}\n{table}',
    )
    workspace.write("task.md", "# Plan\n\n## Work Packages\n\n### One\n- [ ] T1 a → Output: out/T1.md\n")
    workspace.commit("The plan")
    told = run(workspace, code=1)
    assert told.outcome("T1")["details"] == ["reads: bad", f"reads: from {workspace.root}"]
    assert runs(workspace, "reads") == 0
