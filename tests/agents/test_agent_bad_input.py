"""What goes wrong before or besides the work, for Claude Code and for programs with a format: one row each.

Each says in one line what happened, with the cause that decides what is done: `STOP` ends the batch at the first attempt,
`WAIT` counts no attempt.
"""

import asyncio
import json
import os
from pathlib import Path

import pytest
from agents.claude_code_values import FILES, an_assignment, play_stream, read_stream
from agents.claude_code_values import a_program as a_claude
from agents.event_programs import a_start, play, some_programs
from agents.process_bench import Bench
from conftest import Workspace
from sessions import run_here

from gitbatch.agents.claude_code.agent import make_claude_code_agent
from gitbatch.agents.claude_code.command_line import edit_rule
from gitbatch.agents.claude_code.table import ClaudeCodeAgent
from gitbatch.agents.command.agent import make_command_agent
from gitbatch.agents.command.program import CommandProgram
from gitbatch.agents.command.table import CommandAgent, FormatName
from gitbatch.agents.json_lines.verdict import find_usage_problem, judge_error
from gitbatch.agents.process.placeholders import fill_placeholders
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import AgentFolders, Failure
from gitbatch.agents.services import AgentServices
from gitbatch.errors import GitbatchError
from gitbatch.limits.causes import TREATMENTS, Cause, Remedy, WaitReason
from gitbatch.plan.help_texts import Language
from gitbatch.project.agent_scaffold import render_agent_table
from gitbatch.project.config import parse_config
from gitbatch.sandbox.model import SandboxKind

FORMATS: tuple[FormatName, ...] = ("claude", "codex", "opencode", "gemini", "qwen")
STOP, WAIT, AGAIN, FAIL = Remedy.STOP, Remedy.WAIT, Remedy.AGAIN, Remedy.FAIL


def services(**environment: str) -> AgentServices:
    return AgentServices({"PATH": os.environ["PATH"], **environment}, SandboxKind.NONE, Starter())


def test_no_program() -> None:
    claude = make_claude_code_agent("a", ClaudeCodeAgent(program="nothing"), services(ANTHROPIC_API_KEY="x"))
    other = make_command_agent("a", CommandAgent(command=("nothing",), format="qwen"), services())
    assert [agent.find_missing_program(lambda _: False) for agent in (claude, other)] == ["nothing"] * 2


@pytest.mark.parametrize(
    ("stream", "errors", "reason", "remedy"),
    [
        (
            "",
            b"error: unknown option '--setting-sources'\n",
            "too old (unknown option '--setting-sources')",
            STOP,
        ),
        (
            "",
            b"error: option '--max-budget-usd <amount>' argument '0' is invalid\n",
            "is invalid (exit 1)",
            AGAIN,
        ),
        ("", b"Invalid API key\n", "Invalid API key", STOP),
        (
            "not-logged-in",
            b"",
            "not logged in (Not logged in · Please run /login): set ANTHROPIC_API_KEY",
            STOP,
        ),
        ("status-401", b"", "401", STOP),
        ("status-403", b"", "403", STOP),
        ("status-402", b"", "402", STOP),
        ("model-not-found", b"", "model", STOP),
        ("status-429", b"", "429", WAIT),
        ("no-connection", b"", "no connection: ", WAIT),
        ("connection-lost", b"", "", WAIT),
    ],
)
def test_claude_code(stream: str, errors: bytes, reason: str, remedy: Remedy) -> None:
    failure, _ = play_stream(a_claude(), read_stream(stream) if stream else b"", 1, errors)
    assert isinstance(failure, Failure)
    assert TREATMENTS[failure.cause].remedy is remedy, failure
    assert reason.lower() in failure.reason.lower()


@pytest.mark.parametrize(
    ("name", "status", "said", "remedy"),
    [
        ("claude", 1, "error: unknown option '--verbos'", STOP),
        ("codex", 2, "error: unexpected argument '--json' found\n\nUsage: codex exec [OPTIONS]", STOP),
        ("codex", 2, "error: unrecognized subcommand 'exec'", STOP),
        ("codex", 2, "error: invalid value 'x' for '--sandbox <SANDBOX_MODE>'", STOP),
        ("gemini", 1, "Usage: gemini [options]\n\nUnknown arguments: skip-trust, skipTrust", STOP),
        (
            "gemini",
            1,
            'Invalid values:\n  Argument: output-format, Given: "stream-json", Choices: "text"',
            STOP,
        ),
        (
            "gemini",
            41,
            "When using Gemini API, you must specify the GEMINI_API_KEY environment variable.",
            STOP,
        ),
        ("gemini", 1, "Error: getaddrinfo ENOTFOUND generativelanguage.googleapis.com", WAIT),
        ("qwen", 1, "Not enough arguments following: auth-type", STOP),
        ("opencode", 1, "opencode: unknown flag: --format", STOP),
        ("codex", 1, "Not inside a trusted directory and --skip-git-repo-check was not specified.", AGAIN),
        ("codex", 1, "ERROR: 401 Incorrect API key provided", STOP),
        ("opencode", 1, "Error: not logged in\n    at run (/x/cli.js:1:2)", STOP),
        ("qwen", 1, "Error: 429 Too many requests", WAIT),
        ("codex", 1, "I cannot say what went wrong", AGAIN),
    ],
)
def test_program_that_prints_no_event(name: FormatName, status: int, said: str, remedy: Remedy) -> None:
    failure, _ = play(a_start(some_programs(name)), b"", status, errors=said.encode())
    assert isinstance(failure, Failure)
    assert TREATMENTS[failure.cause].remedy is remedy, failure
    assert len(failure.reason.splitlines()) == 1


def test_words_of_a_model_are_not_about_the_command_line() -> None:
    printed = b'{"type":"thread.started"}\n'
    failure, _ = play(a_start(some_programs("codex")), printed, 1, b"error: unknown option '--x'\n")
    assert isinstance(failure, Failure)
    assert failure.cause is Cause.FAILED


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("error: unknown option '--x'", True),
        ("gemini: Unknown argument: x", True),
        ("x.py: error: unrecognized arguments: --x", True),
        ("error: argument --mode: invalid choice: 'x' (choose from 'y')", True),
        ("ls: unrecognized option '--x'", True),
        ("ls: invalid option -- 'x'", True),
        ('Error: unknown command "exec" for "x"', True),
        ("an unknown option is not used", False),
        ("error: invalid value in the data", False),
        ("error: unknown optional part", False),
    ],
)
def test_usage_problem(line: str, *, is_one: bool) -> None:
    assert find_usage_problem(("other", line)) == (line if is_one else "")


@pytest.mark.parametrize("name", FORMATS)
def test_program_of_another_kind(name: FormatName) -> None:
    failure, _ = play(a_start(some_programs(name)), b"Done. All is well.\n")
    assert isinstance(failure, Failure)
    assert failure.cause is Cause.FATAL
    assert failure.reason == f"agent does not print events in the format {name}: check its command"


@pytest.mark.parametrize(
    ("said", "status", "cause"),
    [
        ("401 Incorrect API key provided", None, Cause.FATAL),
        ("Missing environment variable: `OPENAI_API_KEY`", None, Cause.FATAL),
        ("Not logged in", None, Cause.FATAL),
        ("You exceeded your current quota (insufficient_quota)", 429, Cause.FATAL),
        ("429 insufficient_quota", None, Cause.FATAL),
        ("Your credit balance is too low to access the Anthropic API", 400, Cause.FATAL),
        ("Your credit balance is too low to access the Anthropic API", None, Cause.FATAL),
        ("You exceeded your current quota, retry in 20 s", 429, Cause.BUSY),
        ("usage limit reached", None, Cause.BUSY),
        ("connect ECONNREFUSED 127.0.0.1:443", None, Cause.BUSY),
        ("getaddrinfo EAI_AGAIN api.openai.com", None, Cause.BUSY),
        ("Connection error. (cause: fetch failed)", None, Cause.BUSY),
        ("gitbatch: no connection to api.openai.com: refused", 502, Cause.BUSY),
        ("ECONNRESET behind us: no connection to the database", 500, Cause.BUSY),
        ("407 Proxy Authentication Required", 407, Cause.FATAL),
        ("status 407 Proxy Authentication Required", None, Cause.FATAL),
    ],
)
def test_errors_of_a_server(said: str, status: int | None, cause: Cause) -> None:
    verdict = judge_error(said, status)
    assert verdict.cause is cause
    is_offline = any(word in said for word in ("ECONNREFUSED", "EAI_AGAIN", "fetch failed", "gitbatch: "))
    assert (verdict.wait_reason is WaitReason.NO_CONNECTION) == is_offline


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "agent a needs a key, and none of ANTHROPIC_API_KEY"),
        ({"ANTHROPIC_API_KEY": "sk-ant-oat01-x"}, "belongs in CLAUDE_CODE_OAUTH_TOKEN"),
    ],
)
def test_no_key_for_claude_code(variables: dict[str, str], message: str) -> None:
    with pytest.raises(GitbatchError, match=message) as raised:
        make_claude_code_agent("a", ClaudeCodeAgent(), services(**variables))
    assert raised.value.advice.startswith("export ")


@pytest.mark.parametrize(
    ("variables", "notes"),
    [({}, ["agent a: OPENAI_API_KEY is not set"]), ({"OPENAI_API_KEY": "x"}, [])],
)
def test_no_key_for_a_program_with_a_format(variables: dict[str, str], notes: list[str]) -> None:
    table = CommandAgent(command=("sh",), format="qwen", pass_env=("OPENAI_API_KEY", "PATH"))
    assert [
        note for note in make_command_agent("a", table, services(**variables)).notes if "not set" in note
    ] == notes


@pytest.mark.parametrize(
    ("output", "rule"),
    [
        ("docs/[x].md", r"Edit(/docs/\\[x\\].md)"),
        ("docs/a*b?.md", r"Edit(/docs/a\\*b\\?.md)"),
        ("!a #1 (b).md", r"Edit(/\\!a \\#1 \(b\).md)"),
    ],
)
def test_odd_names_of_outputs(output: str, rule: str) -> None:
    assert edit_rule(output) == rule


@pytest.mark.parametrize("output", ['a "b" [x]*?!#(1).md', "docs/ü.md"])
def test_odd_names_in_rules_that_are_json(output: str) -> None:
    table = parse_config(render_agent_table("opencode", "a", Language.EN).encode()).agents["a"]
    assert isinstance(table, CommandAgent)
    program = CommandProgram(table, an_assignment(output=output), AgentFolders(Path("/w"), Path("/s")), FILES)
    rules = json.loads(program.environment()["OPENCODE_CONFIG_CONTENT"])
    assert rules["permission"]["edit"] == {"*": "deny", output: "allow"}
    filled = fill_placeholders('\n{ "edit": [\n  "{output}"\n]}', program.assignment, program.folders, FILES)
    assert json.loads(filled) == {"edit": [output]}
    assert fill_placeholders("{output} {x}", program.assignment, program.folders, FILES) == f"{output} {{x}}"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, environment={"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
    made.worktree.mkdir()
    return made


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("cat >/dev/null; read answer || { echo 'nobody answers' >&2; exit 3; }", "nobody answers (exit 3)"),
        ("echo 'Password:' >/dev/tty", "/dev/tty"),
    ],
)
def test_question_ends_at_once(bench: Bench, script: str, reason: str) -> None:
    """Standard input has the prompt and ends; there is no terminal to ask on."""
    answer = asyncio.run(bench.attempt("sh", "-c", script))
    assert isinstance(answer, Failure)
    assert reason in answer.reason


def test_program_that_waits_in_silence(bench: Bench) -> None:
    bench.timeout = 0.2
    answer = asyncio.run(bench.attempt("sh", "-c", "sleep 60"))
    assert isinstance(answer, Failure)
    assert (answer.cause, answer.reason) == (
        Cause.TIMEOUT,
        "it took longer than 0.2 seconds and printed nothing",
    )
    assert answer.details == (
        "if it waits for an answer, such as a login, this shows it: gitbatch agents try tester",
    )


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "error: unexpected argument '--json' found",
            "does not know its command line (error: unexpected argument",
        ),
        ("ERROR: 401 Incorrect API key provided: sk-w***", "401 Incorrect API key provided"),
    ],
)
def test_what_concerns_all_items_costs_one_attempt(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, said: str, reason: str
) -> None:
    workspace.write(
        "agent", f'#!/bin/sh\ncat >/dev/null; echo x >>"$HOME/starts"; echo "{said}" >&2; exit 2\n'
    )
    (workspace.root / "agent").chmod(0o755)
    items = "".join(f"- [ ] T{n} Write → Output: {n}.md\n" for n in range(3))
    workspace.write("task.md", f"# Plan\n\n## Work Packages\n\n### Group\n\n{items}")
    workspace.write(
        "gitbatch.toml",
        '[agents.a]\nkind = "command"\nformat = "codex"\ncommand = ["./agent"]\nsandbox = "none"\n',
    )
    workspace.commit()
    result, _ = run_here(workspace, monkeypatch, jobs=1)
    assert result.halt
    assert (result.halt.cause, reason in result.halt.reason) == (Cause.FATAL, True), result.halt
    assert result.halt.advice.startswith("fix the agent in gitbatch.toml (API key, credit, model or program)")
    assert (workspace.home / "starts").read_text() == "x\n"


@pytest.mark.parametrize(
    ("passed", "more"),
    [
        ((), ["agent a: HTTPS_PROXY is set and not passed: add it to public-env if it is needed"]),
        (("HTTPS_PROXY",), []),
    ],
)
def test_proxy_in_the_environment(passed: tuple[str, ...], more: list[str]) -> None:
    """With the network `api`, our proxy uses it: `test_process_api_access.py`."""
    around = services(HTTPS_PROXY="http://127.0.0.1:9", ANTHROPIC_API_KEY="x")
    claude = make_claude_code_agent("a", ClaudeCodeAgent(network=True, public_env=passed), around)
    table = CommandAgent(command=("sh",), format="qwen", network=True, public_env=passed)
    other = make_command_agent("a", table, around)
    key = "agent a: key: in its environment"
    assert [list(agent.notes) for agent in (claude, other)] == [
        ["agent a: network: all", *more, key],
        ["agent a: network: all", *more],
    ]
