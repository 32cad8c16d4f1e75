"""What lint and a start say of checks and gates: unknown names, patterns that match nothing, missing programs."""

import json

import pytest
from conftest import Here, Workspace
from sessions import run_here

from gitbatch.errors import GitbatchError, PlanError

PLAN = """# P

## Work Packages

### One

- [ ] T1 Write → Check: links → Output: docs/a.md
- [ ] T2 Write → Output: docs/b.md

### Two

<!-- gate: tests -->
<!-- check: links, style -->

- [ ] T3 Write → Output: src/c.txt
- [ ] T4 Write → Output: src/d.txt
"""
CONFIG = """[agents.one]
kind = "command"
command = ["sh", "-c", "true"]
sandbox = "none"

[checks.links]
command = ["true"]
on = ["docs/*.md"]
sandbox = "none"
"""


def set_up(workspace: Workspace, plan: str = PLAN, config: str = CONFIG) -> Workspace:
    workspace.write("task.md", plan)
    workspace.write("gitbatch.toml", config)
    workspace.commit()
    return workspace


def test_unknown_names(workspace: Workspace, here: Here) -> None:
    set_up(workspace)
    code, said, _ = here("lint")
    assert code == 2
    assert [line.partition(": ")[2] for line in said.splitlines() if "GB42" in line] == [
        "GB420 error: “T3” wants check “style”, which is not configured",
        "GB420 error: “T3” is in a group that wants gate “tests”, which is not configured",
    ]
    assert "use one of gitbatch.toml: links" in said


def test_near_name(workspace: Workspace, here: Here) -> None:
    set_up(workspace, PLAN.replace("Check: links", "Check: link"))
    assert "did you mean links?" in here("lint")[1]


def test_start_refuses_unknown_name(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(workspace)
    with pytest.raises(PlanError, match=r"task.md:15: T3 wants check style, which is not configured"):
        run_here(workspace, monkeypatch, items="T3")
    assert not workspace.git("for-each-ref", "refs/gitbatch")


def test_patterns_without_match(workspace: Workspace, here: Here) -> None:
    patterns = 'on = ["docs/*.md", "manual/*.md", "old/*.md", "*.rst", "*.txt"]'
    gates = '\n[gates.tests]\ncommand = ["true"]\ngroups = ["One", "Three", "2"]\n[checks.style]\ncommand = ["true"]\n'
    workspace.write("old/x.md", "x")
    set_up(workspace, config=CONFIG.replace('on = ["docs/*.md"]', patterns) + gates)
    for more in ((), ("--here",)):
        said = here("lint", *more)[1]
        assert [line.partition(": ")[2] for line in said.splitlines() if "GB421" in line] == [
            "GB421 warning: “manual/*.md” matches no output of task.md, and no file",
            "GB421 warning: “*.rst” matches no output of task.md, and no file",
            "GB421 warning: “Three” matches no group of task.md",
        ], said
    assert here("lint", "--strict")[0] == 1


@pytest.mark.parametrize(
    ("program", "table"),
    [("no-such-program", "checks.links"), ("./bin/none", "checks.links"), ("nowhere", "gates.t")],
)
def test_missing_program(
    workspace: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch, program: str, table: str
) -> None:
    plan = PLAN.replace("<!-- gate: tests -->\n", "").replace(", style", "")
    config = CONFIG + '\n[gates.t]\ncommand = ["true"]\nsandbox = "none"\n'
    head, _, rest = config.partition(f"[{table}]\n")
    set_up(workspace, plan, f"{head}[{table}]\n{rest.replace('true', program, 1)}")
    kind, _, name = table.partition(".")
    error = f"{kind[:-1]} {name}: the program {program} is not found, or cannot be executed"
    code, said, _ = here("lint")
    assert (code, f"GB410 warning: {error}" in said) == (0, True), said
    assert here("lint", "--here")[0] == 2
    with pytest.raises(GitbatchError, match=error):
        run_here(workspace, monkeypatch)
    assert not workspace.git("for-each-ref", "refs/gitbatch")


def test_plan_shows_checks_and_gates(workspace: Workspace, here: Here) -> None:
    config = (
        CONFIG + '[checks.style]\ncommand = ["true"]\n[gates.tests]\ncommand = ["true"]\ngroups = ["Two"]\n'
    )
    set_up(workspace, config=config)
    _, said, _ = here("plan")
    shown = [line.strip() for line in said.splitlines() if "  agent one" in line or "  gate" in line]
    assert shown == [
        "agent one, 3 attempts of at most 30 min, check links",
        "agent one, 3 attempts of at most 30 min, check links",
        "gate tests",
        "agent one, 3 attempts of at most 30 min, checks links style",
        "agent one, 3 attempts of at most 30 min, checks links style",
    ]
    groups = json.loads(here("plan", "--json")[1])["groups"]
    assert [group["gates"] for group in groups] == [[], ["tests"]]
    assert [item["checks"] for group in groups for item in group["items"]] == [["links"]] * 2 + [
        ["links", "style"]
    ] * 2


def test_outputs_that_their_checks_read(workspace: Workspace, here: Here) -> None:
    config = CONFIG.replace("docs/*.md", "docs/*") + (
        '[gates.tests]\ncommand = ["true", "src/d.txt"]\n\n'
        '[checks.style]\ncommand = ["true", "--config=docs/b.md", "{output}"]\non = ["docs/*", "*.txt"]\n'
    )
    set_up(workspace, PLAN.replace("docs/a.md", "docs/conftest.py"), config)
    said = here("lint")[1]
    assert [line for line in said.splitlines() if "GB422" in line] == [
        "task.md:7:41: GB422 warning: the output “docs/conftest.py” is read by check links, gate tests itself",
        "task.md:8:26: GB422 warning: the output “docs/b.md” is read by check style itself",
        "task.md:16:26: GB422 warning: the output “src/d.txt” is read by gate tests itself",
    ]
    assert "its checks run with the file as the base has it" in said


def test_reviewers_with_the_model_of_the_author(workspace: Workspace, here: Here) -> None:
    agents = "".join(
        f'[agents.{name}]\nkind = "claude-code"\nmodel = "{model}"\n'
        for name, model in (("a", "opus"), ("b", "opus"), ("c", "haiku"))
    )
    checks = "".join(
        f'[checks.by-{name}]\nagent = "{name}"\nprompt = "?"\non = ["docs/*"]\n' for name in "abc"
    )
    plan = PLAN.replace("→ Check: links ", "").replace(
        "<!-- gate: tests -->\n<!-- check: links, style -->", ""
    )
    set_up(workspace, plan, f'[batch]\nagent = "a"\n{agents}{checks}')
    assert [line for line in here("lint")[1].splitlines() if "GB423" in line] == [
        "task.md:7:1: GB423 warning: “T1” is judged by its own model in check “by-a”",
        "task.md:7:1: GB423 warning: “T1” is judged by its own model in check “by-b”",
    ]
