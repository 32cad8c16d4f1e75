"""`gitbatch lint` and `gitbatch init`, as a new user meets them."""

import json
import os
import pty
import subprocess
import sys

import pytest
from cli.test_terminal import DOWN, ENTER, end, terminal
from conftest import Workspace

from gitbatch.batch.events import SCHEMA

BAD = "## Work Packages\n\n### G\n\n- [] lookalike\n- [ ] a <!-- sequental -->\n- [ ] b → DoD: #7\n"
AGENT = '[agents.writer]\nkind = "command"\ncommand = ["sh"]\nsandbox = "none"\n'
WARNING = "## Work Packages\n\n### G\n\n- [ ] a <!-- sequental -->\n"


def test_all_diagnostics_are_shown_in_order(workspace: Workspace) -> None:
    workspace.write("task.md", BAD)
    said = workspace.gitbatch("lint", code=2).stdout
    assert [
        line.split(": ")[0] for line in said.splitlines() if " | " not in line and line.startswith("task.md:")
    ] == [
        "task.md:5:3",
        "task.md:6:9",
        "task.md:7:16",
        "task.md",
    ]
    assert "6 | - [ ] a <!-- sequental -->\n  |         ^^^^^^^^^^^^^^^^^^\nhelp: did you mean" in said
    assert said.splitlines()[-1] == "task.md: 2 errors, 1 warning"
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [(BAD, (), 2), (WARNING, (), 0), (WARNING, ("--strict",), 1), ("### no plan", (), 2)],
)
def test_the_exit_code(workspace: Workspace, text: str, arguments: tuple[str, ...], code: int) -> None:
    workspace.write("task.md", text)
    workspace.write("gitbatch.toml", AGENT)
    workspace.gitbatch("lint", *arguments, code=code)
    workspace.gitbatch("lint", *arguments, "task.md", code=code)


def test_a_good_plan_is_counted(three: Workspace) -> None:
    assert three.gitbatch("lint", "--strict", code=0).stdout == "task.md: 12 items in 3 groups\n"


def test_json_has_byte_offsets(workspace: Workspace) -> None:
    workspace.write("task.md", BAD)
    found = [
        json.loads(line)
        for line in workspace.gitbatch("lint", "--format", "json", code=2).stdout.splitlines()
    ]
    assert [(one["code"], one["line"], one["column"], one["schema"]) for one in found] == [
        ("GB201", 5, 3, SCHEMA),
        ("GB301", 6, 9, SCHEMA),
        ("GB214", 7, 16, SCHEMA),
    ]
    assert BAD.encode()[found[2]["start"] : found[2]["end"]] == b"#7"


def test_github_annotations_are_one_line_each(workspace: Workspace) -> None:
    workspace.write("100%,a.md", BAD)
    lines = workspace.gitbatch("lint", "--format", "github", "100%,a.md", code=2).stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("::error file=100%25%2Ca.md,line=5,col=3,title=GB201::")
    assert "%0A" in lines[0]


def test_colour_in_a_terminal(workspace: Workspace) -> None:
    workspace.write("task.md", BAD)
    parent, child = pty.openpty()
    environment = {**workspace.environment, "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "gitbatch", "lint"]
    subprocess.run(command, cwd=workspace.root, env=environment, stdout=child, check=False)
    assert b"\x1b[1;31mGB201 error: \x1b[0m" in os.read(parent, 65536)


def test_several_plans_outside_a_repository(workspace: Workspace) -> None:
    (workspace.home / "a.md").write_text(WARNING, encoding="utf-8")
    (workspace.home / "b.md").write_text(BAD, encoding="utf-8")
    said = workspace.gitbatch("lint", "-C", str(workspace.home), "a.md", "b.md", code=2).stdout
    assert f"{workspace.home}/a.md: 1 warning" in said
    assert f"{workspace.home}/b.md: 2 errors, 1 warning" in said
    workspace.write("task.md", WARNING)
    done = workspace.gitbatch("lint", "nothing.md", "task.md", code=2)
    assert "cannot read" in done.stderr
    assert "task.md: 1 warning" in done.stdout, "one bad path does not hide the others"


FIXABLE = "## Work Packages\n\n### G\n\n- [] a\n- [-] b\n- [ ] T1 c\n- [ ] T1 d ⟶ Output: d.md\n"


def test_fix_writes_the_plan_alone_and_once(workspace: Workspace) -> None:
    workspace.write("gitbatch.toml", AGENT)
    workspace.write("docs/task.md", FIXABLE.replace("\n", "\r\n"))
    (workspace.root / "docs/task.md").chmod(0o600)
    workspace.commit()
    done = workspace.gitbatch("lint", "--fix", code=2)
    assert done.stderr == "docs/task.md: fixed 3 places (lines 5, 8)\n"
    assert done.stdout.count(" error: ") == 1, "what [-] means is not certain"
    fixed = FIXABLE.replace("[]", "[ ]").replace("T1 d ⟶", "T2 d →")
    assert workspace.read("docs/task.md") == fixed.replace("\n", "\r\n")
    assert (workspace.root / "docs/task.md").stat().st_mode & 0o777 == 0o600
    assert workspace.git("status", "--porcelain") == " M docs/task.md"
    assert workspace.gitbatch("lint", "--fix", "docs", code=2).stderr == ""
    for arguments in (("--here",), ("-",)):
        assert "--fix cannot fix" in workspace.gitbatch("lint", "--fix", *arguments, code=2).stderr


def test_a_folder_and_standard_input(workspace: Workspace) -> None:
    workspace.write("gitbatch.toml", AGENT)
    workspace.write("task.md", WARNING)
    workspace.write("other/task.md", BAD)
    assert workspace.gitbatch("lint", ".", code=0).stdout == workspace.gitbatch("lint", code=0).stdout
    assert "other/task.md: 2 errors, 1 warning" in workspace.gitbatch("lint", "other", code=2).stdout
    done = subprocess.run(
        [sys.executable, "-m", "gitbatch", "lint", "-"],
        cwd=workspace.root,
        env=workspace.environment,
        input=BAD.encode(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (2, b"<stdin>: 2 errors, 1 warning")
    assert workspace.read("task.md") == WARNING


def test_two_configurations_are_told_apart(workspace: Workspace) -> None:
    inner = workspace.root / "inner"
    workspace.git("init", "-q", str(inner))
    for folder in ("", "inner/"):
        workspace.write(f"{folder}gitbatch.toml", "job = 1\n")
        workspace.write(f"{folder}task.md", WARNING)
    said = workspace.gitbatch("lint", "task.md", "inner/task.md", code=2).stdout
    assert [line for line in said.splitlines() if " error: " in line] == [
        f"{folder}gitbatch.toml:1:1: GB411 error: Object contains unknown field `job`"
        for folder in ("", "inner/")
    ]


@pytest.mark.parametrize("sandbox", ["none", "auto"])
def test_what_is_missing_on_the_machine_is_a_warning(workspace: Workspace, sandbox: str) -> None:
    workspace.write("task.md", WARNING.replace("sequental", "sequential"))
    agent = AGENT.replace("none", sandbox).replace('["sh"]', '["no-such-program"]')
    workspace.write("gitbatch.toml", f'[batch]\nworktrees = "."\nmax-cost = 1\n{agent}')
    workspace.commit()
    said = workspace.gitbatch("lint", "--strict", code=2).stdout
    assert said.count("GB410 warning: ") == 2
    assert "3:11" not in said
    assert "GB411 error: agent writer does not report its cost" in said
    workspace.edit("gitbatch.toml", "max-cost = 1\n", "")
    workspace.commit()
    assert workspace.gitbatch("lint", "--strict", code=0).stdout.count("GB410 warning: ") == 2
    said = workspace.gitbatch("lint", "--here", code=2).stdout
    assert "gitbatch.toml:2:13: GB410 error: cannot create worktrees in" in said
    assert "GB410 error: agent writer: the program no-such-program is not found" in said


def test_a_key_in_the_configuration_is_a_warning_next_to_all_others(workspace: Workspace) -> None:
    workspace.write("task.md", WARNING.replace("sequental", "sequential"))
    agent = AGENT.replace('["sh"]', '["no-such-program"]')
    workspace.write("gitbatch.toml", f'{agent}env = {{TOKEN = "ghp_abcdefghijklmnop"}}\n')
    workspace.commit()
    for arguments, code in (((), 0), (("--strict",), 1), (("task.md",), 0)):
        said = workspace.gitbatch("lint", *arguments, code=code).stdout
        assert "GB417 warning: the value of agents.writer.env.TOKEN looks like a key" in said
        assert "GB410 warning: " in said
        assert "ghp_" not in said.replace('env = {TOKEN = "ghp_abcdefghijklmnop"}', "")


def test_the_projects_configuration_counts(workspace: Workspace) -> None:
    workspace.write("gitbatch.toml", '[titles]\nwork = ["Aufgaben"]\n[project]\nshared = ["inventory.md"]\n')
    workspace.write("task.md", "## Aufgaben\n\n### G\n\n- [ ] a → Output: inventory.md\n")
    assert "GB222" in workspace.gitbatch("lint", code=2).stdout


def test_run_and_plan_refuse_with_the_same_output(three: Workspace) -> None:
    three.write("task.md", BAD)
    three.commit()
    shown = three.gitbatch("lint", code=2).stdout.rsplit("\n", 2)[0].rstrip()
    for command in (("plan",), ("run", "--items", "all", "--checkpoint", "at-end")):
        assert shown in three.gitbatch(*command, code=2).stderr


@pytest.mark.rule("T1")
@pytest.mark.parametrize("language", ["de", "en"])
def test_init_then_lint_plan_and_run(workspace: Workspace, language: str) -> None:
    said = workspace.gitbatch("init", "--lang", language, "--phase", "erste", code=0).stdout
    for path in ("docs/templates/task.md", "docs/phases/erste/rules.md", "CLAUDE.md", "gitbatch.toml"):
        assert f"wrote  {path}" in said
    assert "GB409 error: no agent is configured" in workspace.gitbatch("lint", "--strict", code=2).stdout
    workspace.write(
        "gitbatch.toml",
        workspace.read("gitbatch.toml")
        + '\n[agents.writer]\nkind = "command"\ncommand = ["sh", "-c", "cat >$GITBATCH_OUTPUT; echo Done. It is short."]\n',
    )
    workspace.gitbatch("lint", "--strict", code=0)
    errors = workspace.gitbatch("lint", "--strict", "docs/templates/task.md", code=2).stdout
    assert errors.count(" error: ") == errors.count("GB408 error: ") == 2, "its context is an example"
    workspace.commit()
    assert "docs/phases/erste/rules.md (every item reads it)" in workspace.gitbatch("plan", code=0).stdout
    workspace.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=0)
    assert workspace.read("docs/phases/erste/task.md").count("[x]") == 5
    assert workspace.git("status", "--porcelain") == ""


def test_init_never_overwrites(workspace: Workspace) -> None:
    workspace.write("CLAUDE.md", "# Mine\n")
    workspace.write("docs/phases/phase-1/task.md", "mine\n")
    said = workspace.gitbatch("init", "--phase", "phase-1", code=0).stdout
    assert "kept   docs/phases/phase-1/task.md" in said
    assert "write your plan into docs/phases/phase-1/task.md," in said
    assert said.endswith("Write into it:\n\n## Active Scope\n\nPhase: phase-1\n\n"), (
        "what is missing comes last"
    )
    assert (workspace.read("CLAUDE.md"), workspace.read("docs/phases/phase-1/task.md")) == (
        "# Mine\n",
        "mine\n",
    )
    before = workspace.git("status", "--porcelain", "--untracked-files=all")
    workspace.gitbatch("init", "--phase", "phase-1", code=0)
    assert workspace.git("status", "--porcelain", "--untracked-files=all") == before
    said = workspace.gitbatch("init", "--phase", "phase-1", "--append-scope", code=0).stdout
    assert workspace.read("CLAUDE.md") == "# Mine\n\n## Active Scope\n\nPhase: phase-1\n"
    assert "wrote  CLAUDE.md" in said
    assert said.endswith("gitbatch help agents\n")
    assert "kept   docs/phases/phase-1/task.md" in workspace.gitbatch("init", code=0).stdout, (
        "CLAUDE.md names it"
    )


def test_init_adds_an_agent(workspace: Workspace) -> None:
    assert "unknown agent 'x'" in workspace.gitbatch("init", "--agent", "x", code=2).stderr
    assert workspace.git("status", "--porcelain") == ""
    said = workspace.gitbatch("init", "--agent", "claude-code", code=0).stdout
    assert "added  [agents.claude] in gitbatch.toml: it works on items that name no agent\n" in said
    assert "  gitbatch agents try claude\n" in said
    assert "missing" not in said
    workspace.commit()
    assert workspace.gitbatch("lint", "--strict", code=0).stdout.startswith("task.md: 3 items in 2 groups\n")
    (workspace.root / "task.md").unlink()
    found = json.loads(workspace.gitbatch("init", "--agent", "codex", "--json", code=0).stdout)
    assert (found["written"], found["agent"], found["agent_change"]) == ([], "codex", "added")
    assert (found["agent_default"], workspace.git("status", "--porcelain")) == (
        "claude",
        " M gitbatch.toml\n D task.md",
    )
    assert "kept   [agents.codex]" in workspace.gitbatch("init", "--agent", "codex", code=0).stdout
    workspace.write("gitbatch.toml", "batch.jobs = 2\n")
    said = workspace.gitbatch("init", "--agent", "codex", code=0).stdout
    assert "missing: the agent. Add it to gitbatch.toml:\n\n# Codex" in said
    assert workspace.read("gitbatch.toml") == "batch.jobs = 2\n"


def test_the_simple_form_is_the_first(workspace: Workspace) -> None:
    said = workspace.gitbatch("init", code=0).stdout
    assert said.startswith(
        "wrote  task.md\nwrote  gitbatch.toml\n\nnext: write your plan into task.md, then\n"
    )
    assert "git add task.md gitbatch.toml && git commit -m Plan\n" in said
    said = workspace.gitbatch("lint", "--strict", code=2).stdout
    assert said.count(" error: ") == said.count("GB409 error: no agent is configured") == 1


def test_a_plan_that_init_keeps_is_to_be_committed(workspace: Workspace) -> None:
    workspace.write("task.md", "# Mine\n")
    said = workspace.gitbatch("init", code=0).stdout
    assert "git add task.md gitbatch.toml && git commit -m Plan\n" in said


def test_init_asks_in_a_terminal(workspace: Workspace) -> None:
    workspace.write("CLAUDE.md", "# Mine\n")
    with terminal(workspace, "init") as child:
        child.expect("What do you start with")
        child.expect("one plan: task.md, no phases")
        child.send(DOWN + ENTER)
        child.expect("The phase's name")
        child.send(ENTER)
        child.expect("Append it to CLAUDE.md")
        child.send("y" + ENTER)
        child.expect("wrote  CLAUDE.md")
        assert end(child) == 0
    assert "Phase: phase-1" in workspace.read("CLAUDE.md")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--phase", "../x"), "invalid phase name"), (("--lang", "fr"), "--lang de or --lang en")],
)
def test_init_with_options_that_make_no_sense(
    workspace: Workspace, arguments: tuple[str, ...], words: str
) -> None:
    assert words in workspace.gitbatch("init", *arguments, code=2).stderr
    assert workspace.git("status", "--porcelain") == ""


def test_init_where_a_file_is_in_the_way_writes_nothing(workspace: Workspace) -> None:
    workspace.write("docs/phases", "a file")
    before = workspace.git("status", "--porcelain", "--untracked-files=all")
    assert "docs/phases is a file" in workspace.gitbatch("init", "--phase", "one", code=2).stderr
    assert workspace.git("status", "--porcelain", "--untracked-files=all") == before


@pytest.mark.parametrize("hint", ["maxx: 2", "mx: 2", "sequental", "retires: 2"])
def test_a_hint_that_is_nearly_one_is_a_warning(workspace: Workspace, hint: str) -> None:
    workspace.write("task.md", f"## Work Packages\n\n### G\n\n<!-- {hint} -->\n\n- [ ] a\n")
    workspace.write("gitbatch.toml", AGENT)
    assert "GB301 warning" in workspace.gitbatch("lint", "--strict", code=1).stdout


@pytest.mark.rule("O2")
def test_a_scope_that_names_two_phases_is_an_error_of_each_plan(workspace: Workspace) -> None:
    for phase in ("one", "two"):
        workspace.write(f"docs/phases/{phase}/task.md", WARNING)
    workspace.write("CLAUDE.md", "## Aktiver Scope\n\nErst one, dann two.\n")
    said = workspace.gitbatch("lint", "docs/phases/two/task.md", code=2).stdout
    message = "the scope section of CLAUDE.md names more than one phase: one, two"
    assert f"CLAUDE.md:1:1: GB414 error: {message}\n" in said
    assert "help: behalte die aktive, oder schreibe in CLAUDE.md:" in said
    (found,) = json.loads(workspace.gitbatch("lint", "docs/phases/two/task.md", "--json", code=2).stdout)[
        "findings"
    ][-1:]
    assert (found["path"], found["line"], found["code"]) == ("CLAUDE.md", 1, "GB414")
