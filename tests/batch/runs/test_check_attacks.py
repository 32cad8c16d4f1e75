"""What an agent does to pass a check that its output would fail: nothing of it has an effect on the verdict.

Each has its control: the same check in the folder that the agent left behind is green.
"""

import json
import sys

import pytest
from batch.programs import run
from batch.runs.test_checks import check, runs
from conftest import Place
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


def set_up(place: Place, plant: str, output: str = "calc.py") -> None:
    """Commits a plan whose agent plants a file, tries the checks in its folder, and writes a bad output."""
    path, text = PLANTS[plant]
    place.write("tests/test_calc.py", "from calc import one\n\ndef test_one():\n    assert one() == 1\n")
    place.write("tools/check.sh", 'grep -q "return 1" "$1" || { echo wrong; exit 1; }\n')
    place.write("tools/links.sh", LINKS)
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    commands = {
        "program": ["sh", "tools/check.sh", "{output}"],
        "lychee": ["sh", "tools/links.sh"],
    }
    command = commands.get(plant, pytest_command)
    in_folder = " ".join(part.replace("{output}", "calc.py") for part in command)
    (place.home / "agent").write_text(
        "#!/bin/sh\n"
        f"mkdir -p $(dirname {path}) && cat >{path} <<'END'\n{text}END\n"
        "[ -e calc.py ] || printf 'def one():\\n    return 2  # %s\\n' \"$GITBATCH_ATTEMPT\" >calc.py\n"
        f'{in_folder} >/dev/null 2>&1; echo $? >>"$HOME/naive"\n'
        'echo "{\\"summary\\": \\"All tests pass. I ran them.\\"}" >"$GITBATCH_REPLY"\n'
    )
    (place.home / "agent").chmod(0o755)
    table = check("it", "", command=command, on=[output])
    agent = json.dumps([str(place.home / "agent")])
    place.write(
        "gitbatch.toml",
        '[batch]\nretries = 0\nretry-pause = "0s"\n[agents.told]\nkind = "command"\nsandbox = "none"\n'
        f"command = {agent}\n{table}",
    )
    place.write("task.md", f"# Plan\n\n## Work Packages\n\n### One\n- [ ] T1 a → Output: {output}\n")
    place.commit("The plan")


@pytest.mark.parametrize("plant", PLANTS)
def test_what_an_agent_plants_next_to_its_output_has_no_effect(place: Place, plant: str) -> None:
    set_up(place, plant)
    told = run(place, code=1)
    assert (place.home / "naive").read_text() == "0\n", "the control: in the agent's own folder, it is green"
    outcome = told.outcome("T1")
    assert (outcome["status"], outcome["cause"]) == ("failed", "check-failed")
    assert PLANTS[plant][0] in outcome["strays"]
    assert ticked(place) == []


@pytest.mark.parametrize("plant", ["conftest", "ini", "lychee", "program"])
def test_an_output_that_the_check_loads_is_judged_with_the_bases_version_of_it(
    place: Place, plant: str
) -> None:
    path, _ = PLANTS[plant]
    set_up(place, plant, path)
    place.write(
        "calc.py", "def one():\n    return 2\n"
    )  # red on the base: only the planted file makes it green
    place.commit("Red")
    if plant == "program":
        place.edit("gitbatch.toml", '"{output}"', '"calc.py"')
        place.commit("Check another file")
    told = run(place, code=1)
    assert (place.home / "naive").read_text() == "0\n"
    assert told.outcome("T1")["cause"] == "check-failed"
    assert ticked(place) == []


def test_a_sandboxed_check_reads_its_folder_and_not_the_checkout(place: Place) -> None:
    script = (
        'cat "$1" && ! cat "$2/secret.md" 2>/dev/null && grep -q bad out/T1.md && echo from "$2" && exit 1'
    )
    command = ["sh", "-c", script, "check", "{output}", str(place.root)]
    place.write("secret.md", "nothing for a check\n")
    (place.home / "agent").write_text("#!/bin/sh\nmkdir -p out; echo bad >out/T1.md; echo done\n")
    (place.home / "agent").chmod(0o755)
    agent = json.dumps([str(place.home / "agent")])
    table = check("reads", "", command=command, sandbox="auto", checkout="context")
    place.write(
        "gitbatch.toml",
        f'[batch]\nretries = 0\n[agents.told]\nkind = "command"\nsandbox = "none"\ncommand = {agent}\n{table}',
    )
    place.write("task.md", "# Plan\n\n## Work Packages\n\n### One\n- [ ] T1 a → Output: out/T1.md\n")
    place.commit("The plan")
    told = run(place, code=1)
    assert told.outcome("T1")["details"] == ["reads: bad", f"reads: from {place.root}"]
    assert runs(place, "reads") == 0
