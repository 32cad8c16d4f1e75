"""`gitbatch check`: checks and gates on the working tree or on a commit, without a batch."""

import json
import shutil
import signal
from typing import Any

import pytest
from conftest import Here, Workspace
from processes import agents_below, require_no_agents
from waiting import wait_until

PLAN = """# P

## Work Packages

### One

- [x] T1 Write → Output: docs/a.md
- [ ] T2 Write → Output: docs/b.md (context: src/x.py)
- [ ] T3 Write → Check: none → Output: docs/c.md

### Two

- [ ] T4 Write → Check: other → Output: docs/d.md
"""
CONFIG = """[batch]
jobs = 2

[agents.one]
kind = "command"
command = ["sh", "-c", "true"]
sandbox = "none"

[checks.good]
command = ["grep", "-q", "good", "{output}"]
on = ["docs/*.md"]
sandbox = "none"

[gates.clean]
command = ["sh", "-c", "! grep -rn bad docs"]
sandbox = "none"
"""
STYLE = """
[checks.style]
agent = "one"
prompt = "Is it good?"
on = ["docs/a.md"]
"""


@pytest.fixture
def written(workspace: Workspace) -> Workspace:
    workspace.write("task.md", PLAN)
    workspace.write("gitbatch.toml", CONFIG)
    workspace.write("docs/a.md", "good\n")
    workspace.write("docs/c.md", "whatever\n")
    workspace.write("src/x.py", "x = 1\n")
    workspace.write("old/x", "x")
    workspace.commit()
    return workspace


def check(here: Here, *arguments: str, code: int) -> list[tuple[str, str, str]]:
    """Returns output, name and verdict of each result."""
    ended, said, errors = here("check", "--json", *arguments)
    assert ended == code, said + errors
    return [(each["output"], each["name"], each["verdict"]) for each in json.loads(said)["results"]]


def test_outputs_that_exist(written: Workspace, here: Here) -> None:
    before = written.state()
    assert check(here, code=0) == [("docs/a.md", "good", "pass")]
    assert written.state() == before
    assert not list((written.home / "cache").rglob("check-*"))


def test_included_and_prepared_files_are_there(written: Workspace, here: Here) -> None:
    seen = """command = ["sh", "-c", "test $(cat made) = x && test -e node_modules/x"]"""
    config = CONFIG.replace('command = ["grep", "-q", "good", "{output}"]', f"{seen}\ncheckout = 'context'")
    config = config.replace("""command = ["sh", "-c", "! grep -rn bad docs"]""", seen)
    prepare = 'prepare = ["cp", "node_modules/x", "made"]\nprepare-sandbox = "none"'
    written.write("gitbatch.toml", config.replace("jobs = 2", f"jobs = 2\n{prepare}"))
    written.write(".gitignore", "node_modules\nmade\n")
    written.write(".worktreeinclude", "node_modules/\n")
    written.commit()
    written.write("node_modules/x", "x")
    found = [("docs/a.md", "good", "pass"), ("", "clean", "pass")]
    assert check(here, "docs/a.md", "--gate", "clean", code=0) == found
    assert not (written.root / "made").exists()


def test_working_tree_and_commit(written: Workspace, here: Here) -> None:
    """What is changed, new and deleted on the disk counts, and `--rev` reads the commit alone."""
    written.write("docs/a.md", "bad\n")
    written.write("docs/b.md", "good\n")
    (written.root / "src/x.py").unlink()
    written.write("src/x.py/y", "a folder where a file was")
    shutil.rmtree(written.root / "old")
    written.write("old", "a file where a folder was")
    assert check(here, code=1) == [("docs/a.md", "good", "red"), ("docs/b.md", "good", "pass")]
    assert check(here, "--rev", "HEAD", code=0) == [("docs/a.md", "good", "pass")]
    assert check(here, "--gate", "clean", code=1) == [("", "clean", "red")]
    assert check(here, "--gate", "clean", "--rev", "main", code=0) == [("", "clean", "pass")]


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("T1", [("docs/a.md", "good", "pass")]),
        ("t1", [("docs/a.md", "good", "pass")]),
        ("docs/a.md", [("docs/a.md", "good", "pass")]),
        ("./docs/../docs/a.md", [("docs/a.md", "good", "pass")]),
        ("src/x.py", []),
        ("T3", []),
    ],
)
def test_names(here: Here, name: str, found: list[tuple[str, str, str]]) -> None:
    assert check(here, name, code=0) == found
    if not found:
        assert " has no check\n" in here("check", name)[1]


def test_path_from_a_folder(written: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written.root / "docs")
    assert check(here, "a.md", code=0) == [("docs/a.md", "good", "pass")]


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("T2",), "T2: its output docs/b.md does not exist"),
        (("T9",), "T9 is neither a file here nor an item of the plan"),
        (("docs/none.md",), "docs/none.md is neither a file here"),
        (("--gate", "other"), "gate other is not configured"),
        (("T4",), "check other of docs/d.md is not configured"),
        (("--rev", "nowhere"), "nowhere names no commit here"),
        (("--rev", "--all"), "--all names no commit here"),
    ],
)
def test_invalid_names(workspace: Workspace, here: Here, arguments: tuple[str, ...], message: str) -> None:
    workspace.write("docs/d.md", "later\n")
    code, _, said = here("check", *arguments)
    assert (code, message in said) == (2, True), said


def test_what_is_shown(written: Workspace, here: Here) -> None:
    written.write("docs/a.md", "bad\n")
    code, said, _ = here("check", "T1", "--gate", "clean")
    assert code == 1
    lines = said.replace("0.0 s", "0.1 s").splitlines()
    assert sorted(line.split(" (")[0] for line in lines[:3]) == [
        "  | docs/a.md:1:bad",
        "failed          docs/a.md  check good",
        "failed          gate clean",
    ]
    assert lines[3:] == ["2 results on the working tree: 2 failed"]


@pytest.mark.parametrize(("status", "verdict", "code"), [(77, "skip", 0), (126, "unavailable", 75)])
def test_exit_codes(written: Workspace, here: Here, status: int, verdict: str, code: int) -> None:
    written.edit("gitbatch.toml", '"grep", "-q", "good", "{output}"', f'"sh", "-c", "exit {status}"')
    assert check(here, code=code) == [("docs/a.md", "good", verdict)]


def test_missing_program(written: Workspace, here: Here) -> None:
    written.edit("gitbatch.toml", '"grep"', '"no-such-program"')
    code, _, said = here("check")
    assert code == 1
    assert "check good: the program no-such-program is not found" in said


def test_agents_are_not_asked(written: Workspace, here: Here) -> None:
    written.write("gitbatch.toml", CONFIG + STYLE)
    shown = json.loads(here("check", "--json", "T1")[1])
    assert [each["name"] for each in shown["results"]] == ["good"]
    assert shown["not_run"] == [{"output": "docs/a.md", "name": "style"}]
    assert "check style is an agent's, and is not run by hand" in here("check", "T1")[1]


def test_context_checkout(written: Workspace, here: Here) -> None:
    """The folder has the output, what its item reads and what the command names, as the disk has them."""
    written.edit(
        "gitbatch.toml",
        'command = ["grep", "-q", "good", "{output}"]',
        'command = ["sh", "-c", "sh tools/list.sh"]\ncheckout = "context"',
    )
    written.write("tools/list.sh", "find . -type f -not -path './.git*' | sort; cat; exit 1\n")
    written.write("docs/b.md", "new\n")
    shown: Any = json.loads(here("check", "--json", "T2")[1])
    assert shown["results"][0]["findings"] == ["./docs/b.md", "./src/x.py", "./tools/list.sh", "new"]


def test_sandbox(written: Workspace, here: Here) -> None:
    """The checkout is not readable, and its changes are in the folder all the same."""
    (written.root / "secret").write_text("s3cret")
    (written.root / ".gitignore").write_text("secret\n")
    script = f"cat {{output}}; cat {written.root}/secret; git log --oneline | wc -l; exit 1"
    written.edit("gitbatch.toml", '"grep", "-q", "good", "{output}"', f'"sh", "-c", "{script}"')
    written.write("docs/a.md", "changed\n")
    shown = json.loads(here("check", "--json", "--sandbox", "bubblewrap", "T1")[1])
    findings = "\n".join(shown["results"][0]["findings"])
    assert "changed\n1" in findings
    assert "s3cret" not in findings


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_leaves_nothing(written: Workspace, number: signal.Signals) -> None:
    script = f"touch {written.home}/started; sleep 600 & wait"
    written.edit("gitbatch.toml", '"grep", "-q", "good", "{output}"', f'"sh", "-c", "{script}"')
    running = written.start("check", "T1", is_heard=False)
    wait_until((written.home / "started").exists, "the check starts")
    below = agents_below(written)
    running.send_signal(number)
    assert running.wait(30) == 128 + number
    assert below
    require_no_agents(written)
    assert not list((written.home / "cache").rglob("check-*"))
