"""How Claude Code is started: its settings, its command line, its environment, its key, and what it may spend."""

import json
from pathlib import Path

import pytest
from agents.claude_code_values import FILES, KEY, a_program, a_state, an_assignment
from msgspec.structs import replace

from gitbatch.agents.claude_code.agent import make_claude_code_agent, make_program
from gitbatch.agents.claude_code.command_line import edit_rule
from gitbatch.agents.claude_code.key import find_key
from gitbatch.agents.claude_code.table import ClaudeCodeAgent
from gitbatch.agents.last_message import INSTRUCTION
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import AgentFolders, Failure
from gitbatch.agents.services import AgentServices
from gitbatch.errors import GitbatchError, PlanError
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.project.config import parse_config
from gitbatch.sandbox.model import SandboxKind

USUAL = [
    *("claude", "-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "dontAsk"),
    *("--tools", "Read,Glob,Grep,Edit,Write", "--allowedTools", "Read", "Glob", "Grep", "Edit(/docs/p1.md)"),
    *("--setting-sources", "", "--strict-mcp-config", "--no-session-persistence", "--max-turns", "50"),
]


def parse_table(settings: str) -> ClaudeCodeAgent:
    table = parse_config(f'[agents.a]\nkind = "claude-code"\n{settings}'.encode()).agents["a"]
    assert isinstance(table, ClaudeCodeAgent)
    return table


def test_defaults() -> None:
    table = parse_table("")
    assert (table.program, table.max_turns, table.max_cost, table.settings) == ("claude", 50, None, "none")
    assert (table.wanted_network, table.strict, table.writable, table.sandbox) == ("api", False, (), "auto")
    assert table.secret_variables == (
        "ANTHROPIC_API_KEY",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "ANTHROPIC_AUTH_TOKEN",
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "strict = true",
        'writable = ["~/.claude"]',
        'tools = ["Read"]',
        'tools = ["Write", "WebFetch"]',
        "tools = []",
        'program = ""',
        "max-turns = 0",
        "max-cost = 0",
        'settings = "user"',
        "api-key-env = []",
    ],
)
def test_settings_that_are_refused(wrong: str) -> None:
    with pytest.raises(PlanError):
        parse_table(wrong)


def test_command_line() -> None:
    assert a_program().arguments() == USUAL


def test_command_line_with_every_setting() -> None:
    table = parse_table(
        'program = "/opt/claude"\nmodel = "opus"\nfallback-model = "sonnet"\nmax-turns = 7\nmax-cost = 0.5\n'
        'tools = ["Bash", "Edit"]\nsettings = "project"'
    )
    assert a_program(table).arguments() == [
        *("/opt/claude", "-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "dontAsk"),
        *("--tools", "Bash,Edit", "--allowedTools", "Bash", "Edit(/docs/p1.md)"),
        *("--setting-sources", "project", "--strict-mcp-config", "--no-session-persistence"),
        *(
            "--model",
            "opus",
            "--fallback-model",
            "sonnet",
            "--max-turns",
            "7",
            "--max-budget-usd",
            "0.500000",
        ),
    ]


@pytest.mark.rule("O4")
def test_command_line_with_shared_artifacts() -> None:
    arguments = a_program(assignment=an_assignment(artifacts=("docs/tool-inventory.md",))).arguments()
    assert arguments == [*USUAL, "--append-system-prompt", INSTRUCTION]


def test_rule_that_the_list_of_tools_would_split() -> None:
    """A list of rules ends one at its first `)`, escaped or not: `Edit` alone would be left, which allows all files."""
    output = "docs/a) Edit b.md"
    *_, allowed, option, settings = a_program(assignment=an_assignment(output=output)).arguments()[:15]
    assert (allowed, option) == ("Grep", "--settings")
    assert json.loads(settings) == {"permissions": {"allow": [r"Edit(.//docs/a\) Edit b.md)"]}}


@pytest.mark.parametrize(
    ("output", "rule"),
    [
        ("a.md", "Edit(/a.md)"),
        ("docs/ü b.md", "Edit(/docs/ü b.md)"),
        ("~/x.md", "Edit(/~/x.md)"),
        ("[x]*?.md", r"Edit(/\\[x\\]\\*\\?.md)"),
        ("!a#.md", r"Edit(/\\!a\\#.md)"),
        ("a(1).md", r"Edit(/a\(1\).md)"),
        ("a\\b.md", r"Edit(/a\\\\b.md)"),
    ],
)
def test_only_the_output_may_be_written(output: str, rule: str) -> None:
    assert edit_rule(output) == rule


@pytest.mark.parametrize(
    ("output", "part"),
    [
        ("docs/a.md", ""),
        (".github/workflows/a.yml", ""),
        ("package.json", ""),
        ("claude/a.md", ""),
        ("docs/a…~b.md", ""),
        (".claude/a.md", ".claude"),
        ("a/.VSCode/b.json", ".VSCode"),
        ("a/.mcp.json", ".mcp.json"),
        (".npmrc/a.md", ""),
        ("docs/a?.md", "a?.md"),
        ("docs/a~1.md", "a~1.md"),
        ("a /b.md", "a "),
        ("docs/a.", "a."),
    ],
)
def test_output_that_is_never_written(output: str, part: str) -> None:
    problem = ClaudeCodeAgent().find_output_problem(output)
    assert problem == (f"Claude Code does not write {part!r} without a terminal" if part else "")


def test_environment() -> None:
    table = ClaudeCodeAgent(base_url="http://127.0.0.1:1")
    assert a_program(table).environment() == {
        "CLAUDE_CODE_MAX_RETRIES": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_UPDATES": "1",
        "DISABLE_TELEMETRY": "1",
        "CLAUDE_CONFIG_DIR": "/scratch/claude",
        "ANTHROPIC_API_KEY": KEY.value,
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:1",
    }
    of_user = a_state({"ANTHROPIC_BASE_URL": "http://127.0.0.1:2"})
    assert a_program(state=of_user).environment()["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:2"
    assert "ANTHROPIC_BASE_URL" not in a_program().environment()
    assert KEY.value not in repr(a_program())


# the key, and what else is seen before anything starts


def services_of(environment: dict[str, str]) -> AgentServices:
    return AgentServices(environment, SandboxKind.NONE, Starter())


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"ANTHROPIC_AUTH_TOKEN": "t"}, "ANTHROPIC_AUTH_TOKEN"),
        ({"ANTHROPIC_AUTH_TOKEN": "t", "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01"}, "CLAUDE_CODE_OAUTH_TOKEN"),
        ({"ANTHROPIC_API_KEY": "k", "CLAUDE_CODE_OAUTH_TOKEN": "t"}, "ANTHROPIC_API_KEY"),
        ({"ANTHROPIC_API_KEY": " ", "CLAUDE_CODE_OAUTH_TOKEN": "t"}, "CLAUDE_CODE_OAUTH_TOKEN"),
    ],
)
def test_first_key_that_is_set(environment: dict[str, str], name: str) -> None:
    agent = make_claude_code_agent("a", ClaudeCodeAgent(), services_of(environment))
    program = agent.make_program(an_assignment(), AgentFolders(Path("/w"), Path("/scratch")), FILES)
    assert not isinstance(program, Failure)
    passed = set(program.environment()) & set(ClaudeCodeAgent().api_key_env)
    assert passed == {name}


@pytest.mark.parametrize(
    ("environment", "message", "hint"),
    [
        ({}, "none of ANTHROPIC_API_KEY, CLAUDE_CODE_OAUTH_TOKEN", "claude setup-token"),
        ({"ANTHROPIC_API_KEY": "sk-ant-oat01-x"}, "belongs in CLAUDE_CODE_OAUTH_TOKEN", "unset ANTHROPIC_API_KEY"),
        ({"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-api03-x"}, "belongs in ANTHROPIC_API_KEY", "export ANTHROPIC_API_KEY"),
        ({"ANTHROPIC_API_KEY": "kéy"}, "has characters that no key has", "export ANTHROPIC_API_KEY"),
    ],
)  # fmt: skip
def test_key_that_cannot_work(environment: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(GitbatchError) as raised:
        make_claude_code_agent("a", ClaudeCodeAgent(), services_of(environment))
    assert message in raised.value.message
    assert hint in (raised.value.advice)


def test_key_variable_of_the_table() -> None:
    table = ClaudeCodeAgent(api_key_env=("MY_KEY",))
    with pytest.raises(GitbatchError, match="MY_KEY is not set"):
        make_claude_code_agent("a", table, services_of({"ANTHROPIC_API_KEY": "k"}))
    assert make_claude_code_agent("a", table, services_of({"MY_KEY": "sk-ant-oat01"})).name == "a"


@pytest.mark.parametrize(
    ("value", "variable"),
    [
        ("sk-ant-api03-x", "ANTHROPIC_API_KEY"),
        ("sk-ant-oat01-x", "CLAUDE_CODE_OAUTH_TOKEN"),
        ("of-a-gateway", "ANTHROPIC_API_KEY"),
    ],
)
def test_key_of_a_variable_that_claude_code_does_not_read(value: str, variable: str) -> None:
    found = find_key("a", ClaudeCodeAgent(api_key_env=("MY_KEY",)), {"MY_KEY": value})
    assert (found.name, found.value) == (variable, value)


def test_shell_needs_a_sandbox() -> None:
    table = ClaudeCodeAgent(tools=("Bash", "Write"))
    with pytest.raises(GitbatchError, match="Bash needs a sandbox"):
        make_claude_code_agent("a", table, services_of({"ANTHROPIC_API_KEY": "k"}))


@pytest.mark.parametrize(
    ("table", "environment", "notes"),
    [
        (ClaudeCodeAgent(), {}, ["agent a: network: all (no sandbox)"]),
        (ClaudeCodeAgent(network=True), {}, ["agent a: network: all"]),
        (ClaudeCodeAgent(network=False), {}, ["agent a: network: all (no sandbox)"]),
        (
            ClaudeCodeAgent(),
            {"HTTPS_PROXY": "http://user:word@proxy"},
            [
                "agent a: network: all (no sandbox)",
                "agent a: HTTPS_PROXY is set and not passed: add it to public-env if it is needed",
            ],
        ),
        (
            ClaudeCodeAgent(network=True, public_env=("HTTPS_PROXY",)),
            {"HTTPS_PROXY": "http://proxy"},
            ["agent a: network: all"],
        ),
    ],
)
def test_notes_for_the_header(table: ClaudeCodeAgent, environment: dict[str, str], notes: list[str]) -> None:
    agent = make_claude_code_agent("a", table, services_of({"ANTHROPIC_API_KEY": "k", **environment}))
    assert list(agent.notes) == [*notes, "agent a: key: in its environment"]


# money


@pytest.mark.parametrize(
    ("max_cost", "used", "batch", "left"),
    [
        (None, 0.3, None, None),
        (0.5, None, None, "0.500000"),
        (0.5, 0.3, None, "0.200000"),
        (0.5, 0.3, 0.1, "0.100000"),
        (None, None, 2.0, "2.000000"),
    ],
)
def test_budget_is_what_is_left(
    max_cost: float | None, used: float | None, batch: float | None, left: str | None
) -> None:
    assignment = an_assignment(used=Usage(requests=1, cost=used))
    program = a_program(ClaudeCodeAgent(max_cost=max_cost), a_state(max_cost=batch), assignment)
    arguments = program.arguments()
    assert ("--max-budget-usd" in arguments) == (left is not None)
    assert left is None or arguments[-1] == left


def test_budget_leaves_what_other_items_have_reserved() -> None:
    state = a_state(max_cost=2.0)
    budget = state.services.budget
    assert budget.reserve_cost(ItemKey("1-t1"), 0.5)
    assert budget.reserve_cost(ItemKey("1-t2"), 0.75)
    assert a_program(state=state).arguments()[-1] == "1.250000"


@pytest.mark.parametrize(
    ("table", "batch", "cause", "reason"),
    [
        (ClaudeCodeAgent(max_cost=0.5), None, Cause.LIMIT, "its limit of $0.50 (max-cost) is reached"),
        (ClaudeCodeAgent(max_tokens=9), None, Cause.LIMIT, "its limit of 9 tokens (max-tokens) is reached"),
        (ClaudeCodeAgent(), 0.0, Cause.BUDGET, "the budget of the batch is reached"),
    ],
)
def test_nothing_is_started_without_money(
    table: ClaudeCodeAgent, batch: float | None, cause: Cause, reason: str
) -> None:
    assignment = replace(an_assignment(), used=Usage(input=9, requests=1, cost=0.5))
    place = AgentFolders(Path("/w"), Path("/scratch"))
    failure = make_program(table, KEY, a_state(max_cost=batch), assignment, place, FILES)
    assert isinstance(failure, Failure)
    assert (failure.cause, failure.reason) == (cause, reason)
