"""The survey of agents: what is found on PATH, what it says of its version, which key it has; nothing else is started."""

import os
from pathlib import Path

import pytest

from gitbatch.agents.survey.known_programs import KNOWN_PROGRAMS, KeyState
from gitbatch.agents.survey.program_search import ProgramSearch, SkippedFolder
from gitbatch.agents.survey.survey import SurveyedProject, describe_agents, describe_program, survey_agents
from gitbatch.agents.survey.versions import VersionReport, ask_versions, read_version
from gitbatch.project.config import parse_config

CLAUDE, CODEX = KNOWN_PROGRAMS["claude"], KNOWN_PROGRAMS["codex"]


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_programs_of_the_repository_are_not_found(tmp_path: Path) -> None:
    checkout, outside = tmp_path / "repo", tmp_path / "bin"
    own = script(checkout / "node_modules/.bin/claude", "")
    script(checkout / "gemini", "")
    found = script(outside / "codex", "")
    (outside / "claude").symlink_to(own)
    (tmp_path / "link").symlink_to(checkout / "node_modules/.bin")
    (outside / "qwen").write_text("no program")
    folders = ("", "node_modules/.bin", str(own.parent), str(tmp_path / "link"), str(outside), str(outside))
    search = ProgramSearch.from_path(":".join(folders), checkout)
    assert search.path == str(outside)
    assert search.skipped == (
        SkippedFolder(".", "it is relative"),
        SkippedFolder("node_modules/.bin", "it is relative"),
        SkippedFolder(str(own.parent), "it is in the repository"),
        SkippedFolder(str(tmp_path / "link"), "it is in the repository"),
    )
    assert search.find_program("codex") == found
    assert [search.find_program(name) for name in ("claude", "gemini", "qwen", "none")] == [None] * 4
    assert search.may_start(found)
    assert not any(map(search.may_start, (own, outside / "claude", Path("codex"))))


@pytest.mark.parametrize(
    ("said", "status", "known", "version", "problem"),
    [
        ("2.1.332 (Claude Code)\n", 0, CLAUDE, "2.1.332", ""),
        ("codex-cli 0.171.0-alpha.1\n", 0, CODEX, "0.171.0-alpha.1", ""),
        ("\n\x1b[1mwarning: old node\x1b[0m\nv0.61.0\n", 0, CODEX, "0.61.0", ""),
        ("1.2.3\n", 0, CLAUDE, "1.2.3", "it is not Claude Code: its version is '1.2.3'"),
        ("Claude Code\n", 0, CLAUDE, "", "no version in what it says: Claude Code"),
        ("", 0, CODEX, "", "no version in what it says: it printed nothing"),
        ("x: not found 1.0\n", 127, CODEX, "", "it does not work (exit code 127): x: not found 1.0"),
    ],
)
def test_version(said: str, status: int, known: object, version: str, problem: str) -> None:
    assert read_version(said, status, known) == VersionReport(version, problem)  # type: ignore[arg-type]


def test_programs_are_asked_without_the_users_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    names = {
        "says": 'echo 1.0 "$#$1" $ANTHROPIC_API_KEY "$(ls -A "$HOME")" "$([ "$PWD" = "$HOME" ] && echo home)"; cat >&2; exit 1',
        "floods": "while :; do echo 2.0; done",
        "hangs": 'sleep 1000 & echo $! >"$0.pid"; sleep 1000',
    }
    files = {script(tmp_path / name, text): CODEX for name, text in names.items()}
    broken = tmp_path / "broken"
    broken.write_text("#!/no/interpreter\n")
    broken.chmod(0o755)
    says, floods, hangs, cannot = ask_versions({**files, broken: CODEX}, os.environ["PATH"], 1.0).values()
    assert says.problem == "it does not work (exit code 1): 1.0 1--version home"
    assert floods == VersionReport("2.0")
    assert hangs.problem == "it did not say its version within 1 seconds"
    assert cannot.problem == "it cannot be started: No such file or directory"
    child = int((tmp_path / "hangs.pid").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z", "its children are ended too"


@pytest.mark.parametrize(
    ("name", "environment", "login", "expected"),
    [
        ("claude", {"ANTHROPIC_API_KEY": "sk-ant-api03"}, "", (KeyState.KEY, "ANTHROPIC_API_KEY", "")),
        ("claude", {"ANTHROPIC_API_KEY": " "}, "", (KeyState.MISSING, "", "")),
        ("claude", {}, ".claude/.credentials.json", (KeyState.LOGIN, "", "")),
        ("codex", {}, ".codex/auth.json", (KeyState.LOGIN, "", "")),
        ("codex", {"CODEX_API_KEY": "sk"}, ".codex/auth.json", (KeyState.KEY, "CODEX_API_KEY", "")),
        (
            "claude",
            {"ANTHROPIC_API_KEY": "sk-ant-oat01", "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01"},
            "",
            (
                KeyState.KEY,
                "ANTHROPIC_API_KEY",
                "the value of ANTHROPIC_API_KEY belongs in CLAUDE_CODE_OAUTH_TOKEN",
            ),
        ),
    ],
)
def test_key_that_is_known_without_a_request(
    tmp_path: Path, name: str, environment: dict[str, str], login: str, expected: tuple[KeyState, str, str]
) -> None:
    if login:
        (tmp_path / login).mkdir(parents=True)  # it is not opened: a folder does as well
    known, home = KNOWN_PROGRAMS[name], {"HOME": str(tmp_path)}
    found = describe_program(known, Path("/x"), VersionReport("1.0"), {**environment, **home}, "bubblewrap")
    assert (found.key, found.variable, found.problem) == expected
    assert found.login == (f"~/{login}" if login else "")
    assert found.unused == (("CLAUDE_CODE_OAUTH_TOKEN",) if len(environment) > 1 else ())


CONFIG = """\
[batch]
agent = "b"
[agents.a]
kind = "claude-code"
[agents.b]
kind = "command"
command = ["sh"]
pass-env = ["A_KEY", "B_KEY"]
[agents.c]
kind = "command"
command = ["./no-such-program"]
sandbox = "none"
[agents.d]
kind = "anthropic"
"""


def test_configured_agents(tmp_path: Path) -> None:
    def describe(**more: str) -> list[tuple[str, ...]]:
        environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", **more}
        project = SurveyedProject(tmp_path, parse_config(CONFIG.encode()), environment)
        return [
            (each.name, each.network, " ".join(each.unset), each.problem.removeprefix(f"agent {each.name}"))
            for each in describe_agents(project)
        ]

    a, b, c, d = describe()
    assert a[0] == "a"
    assert a[3].startswith(" needs a key")
    assert b == ("b", "none", "A_KEY B_KEY", "")
    assert c == ("c", "none", "", ": the program ./no-such-program is not found, or cannot be executed")
    assert (d[1], d[2]) == ("", "ANTHROPIC_API_KEY")
    assert "ANTHROPIC_API_KEY" in d[3]
    a, b, *_ = describe(ANTHROPIC_API_KEY="sk-ant-api03-x", B_KEY="x")
    assert (a[2], b[2]) == ("", "")
    assert "claude is not found" in a[3]
    script(tmp_path / "no-such-program", "")
    assert describe()[2][3] == ""


def test_agents_of_workers(tmp_path: Path) -> None:
    """Nothing of them is looked for here, but of those that review, and of those that wait for a server."""
    text = f'{CONFIG}[executor]\nkind = "command"\nworkers = [["ssh", "x"]]\n'
    text += '[checks.good]\nagent = "c"\nprompt = "Is it good?"\non = ["*"]\n'
    project = SurveyedProject(tmp_path, parse_config(text.encode()), {"PATH": os.environ["PATH"]})
    found = {each.name: each for each in describe_agents(project)}
    assert [name for name, each in found.items() if each.is_sent] == ["a", "b"]
    assert [name for name, each in found.items() if each.problem] == ["c", "d"]
    assert found["b"].unset == ()


def test_default_agent(tmp_path: Path) -> None:
    def defaults(config: str) -> list[str]:
        project = SurveyedProject(tmp_path, parse_config(config.encode()), {})
        return [each.name for each in describe_agents(project) if each.is_default]

    two = CONFIG.partition("[agents.c]")[0]
    assert defaults(two) == ["b"]
    assert defaults(two.replace('agent = "b"', "")) == []
    assert defaults(two.replace('agent = "b"', "").partition("[agents.b]")[0]) == ["a"]


def test_survey(tmp_path: Path) -> None:
    script(tmp_path / "bin/claude", 'echo "2.1.332 (Claude Code)"')
    script(tmp_path / "repo/codex", "touch started")
    script(tmp_path / "bin/codex-acp", f"touch {tmp_path}/started")
    path = f"{tmp_path}/bin:{tmp_path}/repo:{os.environ['PATH']}"
    project = SurveyedProject(tmp_path / "repo", parse_config(b""), {"PATH": path, "HOME": str(tmp_path)})
    survey = survey_agents(project, tmp_path / "cache")
    found = {program.name: program for program in survey.programs}
    assert list(found) == list(KNOWN_PROGRAMS)
    assert (found["claude"].version, found["claude"].path) == ("2.1.332", f"{tmp_path}/bin/claude")
    assert (found["codex-acp"].version, found["codex-acp"].problem) == ("", "")
    assert not (tmp_path / "started").exists()
    assert found["codex"].path != f"{tmp_path}/repo/codex"
    assert [each.reason for each in survey.skipped] == ["it is in the repository"]
    assert survey.sandbox
    assert survey.agents == ()
