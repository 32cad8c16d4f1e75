"""How an agent of ACP is started: its settings, its presets, its key, its variables, and what it may spend."""

import json
from pathlib import Path

import pytest
from agents.acp_values import FILES, a_program
from agents.claude_code_values import an_assignment

from gitbatch.agents.acp.agent import make_acp_agent, make_program
from gitbatch.agents.acp.presets import PRESETS, PresetName
from gitbatch.agents.acp.table import AcpAgent
from gitbatch.agents.process.environment import passed_variables
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import AgentFolders, Failure
from gitbatch.agents.services import AgentServices
from gitbatch.errors import GitbatchError, PlanError
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.project.config import parse_config
from gitbatch.sandbox.model import SandboxKind

KEYS = {
    "ANTHROPIC_API_KEY": "k1",
    "OPENAI_API_KEY": "k2",
    "GEMINI_API_KEY": "k3",
    "OTHER": "x",
    "PATH": "/bin",
}


def parse_table(settings: str) -> AcpAgent:
    table = parse_config(f'[agents.a]\nkind = "acp"\n{settings}'.encode()).agents["a"]
    assert isinstance(table, AcpAgent)
    return table


def services_of(environment: dict[str, str], sandbox: SandboxKind = SandboxKind.NONE) -> AgentServices:
    return AgentServices(environment, sandbox, Starter())


def test_defaults() -> None:
    table = parse_table('command = ["agent"]')
    assert (table.wanted_mode, table.auth_method, table.max_turns, table.reads) == (
        "default",
        "",
        200,
        "worktree",
    )
    assert (table.max_cost, table.model, table.env, table.allow, table.sandbox) == (
        None,
        None,
        {},
        (),
        "auto",
    )
    assert (table.strict, table.writable, table.secret_variables) == (False, (), ())


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        'preset = "copilot"',
        'command = ["a\\u0000"]',
        'preset = "claude"\nenv = {"A-B" = "x"}',
        'preset = "claude"\nenv = {GITBATCH_X = "x"}',
        'preset = "claude"\nmax-turns = 0',
        'preset = "claude"\nmax-cost = 0',
        'preset = "claude"\nreads = "all"',
        'preset = "claude"\nallow = ["fetch"]',
        'preset = "claude"\nstrict = true',
        'preset = "claude"\nwritable = ["~/.claude"]',
    ],
)
def test_settings_that_are_refused(wrong: str) -> None:
    with pytest.raises(PlanError):
        parse_table(wrong)


def test_keys_in_the_configuration_are_found() -> None:
    key = "sk-abcdefghijklmnopqrstuvwx"
    table = parse_table(f'command = ["agent", "{key}"]\nenv = {{A = "{key}", B = "x"}}')
    assert set(table.find_keys()) == {("env", "A"), ("command",)}
    assert list(parse_table('preset = "claude"').find_keys()) == []


@pytest.mark.parametrize(
    ("preset", "command", "mode", "auth"),
    [
        ("claude", ["claude-agent-acp"], "default", ""),
        ("opencode", ["opencode", "acp"], "", ""),
        ("gemini", ["gemini", "--acp", "--skip-trust"], "default", "gemini-api-key"),
        ("qwen", ["qwen", "--acp", "--auth-type", "openai"], "default", ""),
        ("codex", ["codex-acp"], "agent-full-access", "api-key"),
    ],
)
def test_presets(preset: PresetName, command: list[str], mode: str, auth: str) -> None:
    table = AcpAgent(preset=preset)
    assert (a_program(table).arguments(), table.wanted_mode, table.auth_method) == (command, mode, auth)
    assert table.secret_variables == PRESETS[preset].keys
    folders = [value for value in a_program(table).environment().values() if value.startswith("/scratch/")]
    assert folders, "its own files are in the folder of the attempt"


def test_folders_of_a_preset_exist_when_it_starts(tmp_path: Path) -> None:
    """Codex ends at once if its own does not."""
    place = AgentFolders(tmp_path, tmp_path / "io")
    place.scratch.mkdir()
    make_program(AcpAgent(preset="codex"), Budget(), SandboxKind.LANDLOCK, an_assignment(), place, FILES)
    assert (place.scratch / "codex").is_dir()


def test_what_is_set_counts_more_than_the_preset() -> None:
    table = parse_table(
        'preset = "gemini"\ncommand = ["{scratch}/g", "--acp"]\nmode = "plan"\nauth = ""\nmodel = "m"\n'
        'env = {GEMINI_CLI_HOME = "{worktree}/x", NO_BROWSER = "0"}'
    )
    program = a_program(table)
    assert program.arguments() == ["/scratch/g", "--acp", "-m", "m"]
    assert (table.wanted_mode, table.auth_method) == ("plan", "")
    assert program.environment() == {"GEMINI_CLI_HOME": "/worktree/x", "NO_BROWSER": "0"}


def test_rules_of_opencode_name_the_output() -> None:
    program = a_program(AcpAgent(preset="opencode"), output='docs/"a" {item}.md')
    rules = json.loads(program.environment()["OPENCODE_PERMISSION"])
    assert rules["edit"] == {"*": "deny", 'docs/"a" {item}.md': "allow"}
    assert rules["bash"] == rules["webfetch"] == rules["external_directory"] == "deny"


@pytest.mark.parametrize(
    ("preset", "passed"),
    [
        ("claude", {"ANTHROPIC_API_KEY"}),
        ("opencode", {"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"}),
        ("gemini", {"GEMINI_API_KEY"}),
        ("qwen", {"OPENAI_API_KEY"}),
    ],
)
def test_keys_of_a_preset_are_passed_and_no_others(preset: PresetName, passed: set[str]) -> None:
    agent = make_acp_agent("a", AcpAgent(preset=preset), services_of(KEYS))
    assert set(passed_variables(agent.table, KEYS)) & set(KEYS) == {*passed, "PATH"}
    assert passed <= set(agent.table.secret_variables)


def test_no_key() -> None:
    with pytest.raises(GitbatchError) as raised:
        make_acp_agent("a", AcpAgent(preset="claude"), services_of({"ANTHROPIC_API_KEY": " "}))
    assert "agent a needs a key, and none of ANTHROPIC_API_KEY, CLAUDE_CODE" in raised.value.message
    assert "export ANTHROPIC_API_KEY=" in raised.value.advice
    with pytest.raises(GitbatchError, match="GEMINI_API_KEY is not set"):
        make_acp_agent("a", AcpAgent(preset="gemini"), services_of({}))
    assert (
        make_acp_agent("a", AcpAgent(preset="gemini", pass_env=("GOOGLE_API_KEY",)), services_of({})).name
        == "a"
    )
    assert make_acp_agent("a", AcpAgent(command=("agent",)), services_of({})).command == ("agent",)


@pytest.mark.parametrize("table", [AcpAgent(preset="codex"), AcpAgent(preset="claude", allow=("execute",))])
def test_agent_that_needs_a_sandbox(table: AcpAgent) -> None:
    with pytest.raises(GitbatchError, match="needs a sandbox"):
        make_acp_agent("a", table, services_of(KEYS))


def test_commands_are_allowed_in_a_sandbox_only() -> None:
    table = AcpAgent(preset="claude", allow=("execute",))
    assert a_program(table).turn.rule.may_execute
    assert not a_program(table, sandbox=SandboxKind.NONE).turn.rule.may_execute
    assert not a_program().turn.rule.may_execute


def test_limit_that_cannot_be_kept() -> None:
    with pytest.raises(GitbatchError, match="does not report its cost"):
        make_acp_agent("a", AcpAgent(preset="gemini", max_cost=1.0), services_of(KEYS))
    table = AcpAgent(preset="gemini", max_cost=1.0, reports_usage=True)
    agent = make_acp_agent("a", table, services_of(KEYS))
    assert (agent.knows_cost, agent.knows_usage, agent.cost_limit) == (True, True, 1.0)
    with pytest.raises(GitbatchError, match="does not report its tokens"):
        make_acp_agent("a", AcpAgent(preset="qwen", max_tokens=9), services_of(KEYS))
    agent = make_acp_agent("a", AcpAgent(preset="gemini", max_tokens=9), services_of(KEYS))
    assert agent.token_limit == 9


@pytest.mark.parametrize(
    ("preset", "cost", "usage"),
    [("claude", True, True), ("opencode", True, False), ("gemini", False, True), ("qwen", False, False)],
)
def test_what_presets_report(preset: PresetName, cost: bool, usage: bool) -> None:  # noqa: FBT001 - rows of a table
    agent = make_acp_agent("a", AcpAgent(preset=preset), services_of(KEYS))
    assert (agent.knows_cost, agent.knows_usage) == (cost, usage)


@pytest.mark.parametrize(
    ("budget", "used", "cause"),
    [
        (Budget(), Usage(cost=0.5), Cause.LIMIT),
        (Budget(), Usage(input=9), Cause.LIMIT),
        (Budget(0.0), Usage(cost=0.1), Cause.BUDGET),
    ],
)
def test_nothing_is_started_without_money(budget: Budget, used: Usage, cause: Cause) -> None:
    table = AcpAgent(preset="claude", max_cost=0.5, max_tokens=9)
    assignment = an_assignment(used=used)
    place = AgentFolders(Path("/worktree"), Path("/scratch"))
    made = make_program(table, budget, SandboxKind.NONE, assignment, place, FILES)
    assert isinstance(made, Failure)
    assert (made.cause, made.usage.cost) == (cause, 0.0)


def test_notes_for_the_header() -> None:
    agent = make_acp_agent("a", AcpAgent(preset="claude"), services_of(KEYS))
    assert agent.notes == ("agent a: network: all (no sandbox)", "agent a: key: in its environment")
    table = AcpAgent(preset="codex", allow=("execute",), network=False)
    services = services_of(KEYS, SandboxKind.LANDLOCK)
    notes = make_acp_agent("a", table, services).notes
    services.starter.close()
    assert "agent a: it may run commands in its sandbox" in notes
    assert any("mode agent-full-access: it asks for no permission" in note for note in notes)


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        ("anthropic/claude-sonnet-4-5", {"ANTHROPIC_API_KEY"}),
        ("google/gemini-2.5-pro", {"GEMINI_API_KEY"}),
        ("my-provider/m", {"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"}),
    ],
)
def test_opencode_gets_the_key_of_the_provider_of_its_model(model: str, keys: set[str]) -> None:
    """The key of one provider only can be kept out."""
    agent = make_acp_agent("a", AcpAgent(preset="opencode", model=model), services_of(KEYS))
    passed = passed_variables(agent.table, KEYS)
    assert {name for name in passed if name.endswith("_KEY")} == keys
    unset = {"PATH": "/bin", "OPENAI_API_KEY": "k"}
    if len(keys) == 1:
        with pytest.raises(GitbatchError, match=f"needs a key, and {next(iter(keys))} is not set"):
            make_acp_agent("a", AcpAgent(preset="opencode", model=model), services_of(unset))
