"""What there is on this machine to work on items: no request is sent, and no file of a login is read.

The only programs that are started are known ones outside of the repository, with `--version`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from gitbatch.agents.claude_code.key import find_key
from gitbatch.agents.claude_code.table import KEY_VARIABLES, ClaudeCodeAgent
from gitbatch.agents.pool import make_idle_pool
from gitbatch.agents.process.agent import ProcessAgent
from gitbatch.agents.process.table import ProcessTable
from gitbatch.agents.protocol import Agent
from gitbatch.agents.survey.known_programs import (
    KNOWN_PROGRAMS,
    KeyState,
    KnownProgram,
    find_key_variable,
    find_login,
    find_unused_keys,
)
from gitbatch.agents.survey.program_search import ProgramSearch, SkippedFolder
from gitbatch.agents.survey.versions import VersionReport, ask_versions
from gitbatch.errors import GitbatchError
from gitbatch.plan.help_texts import Language
from gitbatch.project.agent_scaffold import render_agent_table
from gitbatch.project.agent_table import AgentTable
from gitbatch.project.config import Config, read_config
from gitbatch.project.sent_work import is_sent
from gitbatch.sandbox.model import Network, SandboxKind
from gitbatch.sandbox.selection import select_sandbox


class InstalledProgram(Struct, frozen=True):
    """A known program, installed or not."""

    name: str
    title: str
    kind: str
    """The word for `gitbatch init --agent`."""
    path: str | None
    """Null: it is not found on PATH."""
    version: str
    """Empty: unknown."""
    key: KeyState
    variable: str
    """The variable that has its key; empty if none is set."""
    unused: tuple[str, ...]
    """Variables with keys that are set, too, and not passed: the first one counts."""
    login: str
    """The file of a login that exists, or an empty text."""
    usual_variable: str
    """The variable that users of it usually set."""
    sandbox: str
    """The sandbox that it gets as an agent; empty: none works here."""
    network: str
    """The network that it gets as an agent: `all`, `none` or `api`."""
    problem: str = ""
    advice: str = ""


class ConfiguredAgent(Struct, frozen=True):
    """An agent of gitbatch.toml."""

    name: str
    kind: str
    is_default: bool
    """Whether it works on items that name no agent."""
    sandbox: str
    """The kind of sandbox that its program runs in; empty if it has no program, or if none works."""
    network: str
    """`all`, `none` or `api`; empty if it has no program: requests are sent by gitbatch itself."""
    unset: tuple[str, ...] = ()
    """The variables that its table names for keys and that are not set, if none of them is."""
    notes: tuple[str, ...] = ()
    problem: str = ""
    """Why it cannot work here; empty if nothing is known to be missing."""
    advice: str = ""
    is_sent: bool = False
    """Whether it works on other machines only: nothing of it is looked for here."""


class AgentSurvey(Struct, frozen=True):
    """The agents of this machine and of a project."""

    programs: tuple[InstalledProgram, ...]
    agents: tuple[ConfiguredAgent, ...]
    sandbox: str
    """The sandbox that agents get if they ask for none by name; empty: none works here."""
    sandbox_problem: str
    skipped: tuple[SkippedFolder, ...]
    """Folders on PATH in which no program was looked for."""
    overlay_problem: str = ""
    """Why programs in the sandbox cannot have worktrees of layers; empty: they can."""


class SurveyedProject(Struct, frozen=True):
    """What a survey reads of a project and of its user."""

    root: Path
    config: Config
    environment: Mapping[str, str]

    def has_file(self, path: str) -> bool:
        """Whether the checkout has a file at a repository path."""
        return (self.root / path).is_file()


def survey_agents(project: SurveyedProject, cache: Path) -> AgentSurvey:
    """Returns the known programs of this machine, and the configured agents with their state.

    Args:
        project: has the agents.
        cache: gitbatch's cache folder, in which a worktree of layers is tried.
    """
    sandbox, problem = find_usual_sandbox()
    search = ProgramSearch.from_path(project.environment.get("PATH", ""), project.root)
    return AgentSurvey(
        tuple(_find_programs(search, project.environment, sandbox)),
        tuple(describe_agents(project)),
        sandbox,
        problem,
        search.skipped,
        _try_overlay(sandbox, cache) if sandbox else "",
    )


def _try_overlay(sandbox: str, cache: Path) -> str:
    """Returns why a worktree of layers does not work in a sandbox; empty if it does."""
    from gitbatch.sandbox.overlay import find_overlay_problem  # noqa: PLC0415 - no other view of agents needs it

    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return find_overlay_problem(SandboxKind(sandbox), cache, cache)


def find_usual_sandbox() -> tuple[str, str]:
    """Returns the sandbox of agents that ask for none by name; an empty text and the reason if none works."""
    try:
        return select_sandbox(SandboxKind.AUTO).kind, ""
    except GitbatchError as error:
        reasons = ", ".join(error.details.splitlines())
        return "", f"{error.message} ({reasons})" if reasons else error.message


def describe_agents(project: SurveyedProject) -> Iterator[ConfiguredAgent]:
    """Yields the configured agents. No program is started but what tries a sandbox."""
    pool, config = make_idle_pool(project.environment), project.config
    for name, table in config.agents.items():
        sandbox, notes, problem, advice = "", tuple[str, ...](), "", ""
        network = describe_network(table)
        try:
            agent = pool.require_usable(name, config, project.has_file)
            sandbox, notes, network = agent.sandbox_kind, agent.notes, network_of(agent, table)
        except GitbatchError as error:
            problem, advice = error.message, error.advice
        kind = str(table.__struct_config__.tag)
        is_elsewhere = is_sent(config, name)
        unset = () if is_elsewhere else find_unset_keys(table, project.environment)
        yield ConfiguredAgent(
            name,
            kind,
            name == config.default_agent,
            sandbox,
            network,
            unset,
            notes,
            problem,
            advice,
            is_elsewhere,
        )


def find_unset_keys(table: AgentTable, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the variables for the key of an agent, if none of them is set."""
    names = table.secret_variables
    return () if find_key_variable(names, environment) else names


def describe_network(table: AgentTable) -> str:
    """Returns which network an agent's program asks for: `all`, `none` or `api`; empty if it has no program."""
    return Network.of_setting(table.wanted_network) if isinstance(table, ProcessTable) else ""


def network_of(agent: Agent, table: AgentTable) -> str:
    """Returns which network an agent's program gets here: without a network namespace, that is not what it asks for."""
    return agent.network.kind if isinstance(agent, ProcessAgent) else describe_network(table)


def _find_programs(
    search: ProgramSearch, environment: Mapping[str, str], sandbox: str
) -> Iterator[InstalledProgram]:
    """Yields the known programs, each with its version and its key."""
    found = {known.name: search.find_program(known.name) for known in KNOWN_PROGRAMS.values()}
    asked = {p: KNOWN_PROGRAMS[name] for name, p in found.items() if p and KNOWN_PROGRAMS[name].says_version}
    reports = ask_versions(asked, search.path)
    for name, known in KNOWN_PROGRAMS.items():
        path = found[name]
        report = reports.get(path, VersionReport("")) if path else VersionReport("")
        yield describe_program(known, path, report, environment, sandbox)


def describe_program(
    known: KnownProgram,
    path: Path | None,
    report: VersionReport,
    environment: Mapping[str, str],
    sandbox: str,
) -> InstalledProgram:
    """Returns what is known of a program.

    Args:
        known: the program.
        path: its file; None: it is not installed.
        report: what it said of its version.
        environment: the user's.
        sandbox: the sandbox of agents that ask for none by name.
    """
    variable = find_key_variable(known.keys, environment)
    login = find_login(known, Path(environment.get("HOME", "/nonexistent")))
    problem, advice = report.problem, ""
    if problem:
        advice = f"install {known.title} again, or see what {path} is"
    elif path and known.keys == KEY_VARIABLES and variable:
        problem, advice = _find_key_problem(environment)
    return InstalledProgram(
        known.name,
        known.title,
        known.kind,
        str(path) if path else None,
        report.version,
        KeyState.KEY if variable else KeyState.LOGIN if login else KeyState.MISSING,
        variable,
        find_unused_keys(known.keys, environment),
        login,
        known.keys[0],
        sandbox,
        _usual_network(known.kind),
        problem,
        advice,
    )


def _usual_network(word: str) -> str:
    """Returns the network of the settings that `gitbatch init --agent` writes."""
    table = read_config(render_agent_table(word, "a", Language.EN).encode()).config.agents.get("a")
    return describe_network(table) if table else ""


def _find_key_problem(environment: Mapping[str, str]) -> tuple[str, str]:
    """Returns why the key that Claude Code would use cannot be one, and what to do."""
    try:
        find_key("claude", ClaudeCodeAgent(), environment)
    except GitbatchError as error:
        return error.message.removeprefix("agent claude: "), error.advice
    return "", ""
