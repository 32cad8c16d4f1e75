"""gitbatch.toml: what a project may set, read from a commit. An unknown or wrong value is an error that names it."""

import re
import tomllib
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, field

from gitbatch.errors import PlanError
from gitbatch.paths import path_key
from gitbatch.plan.model import OUTPUT_TEMPLATE, TITLES_DOD, TITLES_SCOPE, TITLES_WORK, PlanOptions
from gitbatch.plan.outputs import CONTROL_NAMES, path_problem, template_problem
from gitbatch.project.agent_kinds import find_kind, kind_names
from gitbatch.project.agent_table import AgentTable, Amount, ConfigTable, Positive, duration_problem

_T = TypeVar("_T")

CONFIG_FILE = "gitbatch.toml"

FIXED = ("agents", "batch.worktrees")
"""The tables and keys that name a program, a host, a key or a path outside the repository, by the file's own names.

A batch runs by what they said when it started (`fixed.py`). A setting of that kind that is added is added here.
"""


class BatchTable(ConfigTable, frozen=True):
    """The settings of a batch; options of the command line override them."""

    jobs: Positive = 4
    """Items that run at the same time."""
    agent: str | None = None
    """The agent for items that name none; needed when there is more than one."""
    retries: Annotated[int, Meta(ge=0)] = 2
    """How often a failed item is tried again."""
    retry_pause: str = "1s"
    """Before an item is tried again that failed for no known reason: doubled each time, up to a minute; `0s`: none."""
    max_cost: Amount | None = None
    """US dollars that a batch may cost, over interruptions; `--max-cost` overrides it."""
    max_tokens: Positive | None = None
    """Tokens that a batch may use, over interruptions; `--max-tokens` overrides it."""
    checkout: Literal["full", "context"] = "full"
    """`full`: a worktree has every file; `context`: the item's context and its output's folder."""
    fetch: bool = True
    """In a partial clone, fetch what the batch needs and what is missing; `--no-fetch` overrides it."""
    sign_timeout: str = "2m"
    """How long a program that signs a commit is waited for: people type passphrases and touch keys."""
    output: str = OUTPUT_TEMPLATE
    """The output of items that name none."""
    tick_dod: bool = True
    """Tick a Definition-of-Done entry when all items that name it are done."""
    max_output_bytes: Positive = 10 * 1024 * 1024
    worktrees: str | None = None
    """Where worktrees are made; the user's cache folder if not set."""


class ProjectTable(ConfigTable, frozen=True):
    """The paths of a project's files."""

    phase_folder: str = "docs/phases/{phase}"
    shared: tuple[str, ...] = ()
    """Shared artifacts of a phase: agents contribute lines, only the orchestrator writes."""
    context_documents: tuple[str, ...] = ("discovery-waves.md",)
    """Documents that name, under a heading equal to a group's title, what the group's items need to read."""
    condensed: tuple[str, ...] = ("{name}.condensed.md", "condensed/{name}.md")
    """The paths of the condensed form of NAME.md, relative to its folder."""


class TitlesTable(ConfigTable, frozen=True):
    """Further titles, besides the built-in ones, for the sections that gitbatch reads."""

    work: tuple[str, ...] = ()
    dod: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()


class Config(ConfigTable, frozen=True):
    """The whole file."""

    batch: BatchTable = BatchTable()
    project: ProjectTable = ProjectTable()
    titles: TitlesTable = TitlesTable()
    agents: dict[str, AgentTable] = field(default_factory=dict)

    @property
    def scope_titles(self) -> tuple[str, ...]:
        """Returns the titles of the section of CLAUDE.md that names the phase."""
        return TITLES_SCOPE + self.titles.scope

    def plan_options(
        self, phase: str = "", folder: str = "", protected: frozenset[str] = frozenset()
    ) -> PlanOptions:
        """Returns the options for reading the plan of a phase."""
        return PlanOptions(
            work_titles=TITLES_WORK + self.titles.work,
            dod_titles=TITLES_DOD + self.titles.dod,
            output_template=self.batch.output,
            phase=phase,
            folder=folder,
            protected=protected,
        )

    def agent_name(self, wanted: str | None) -> str:
        """Returns the name of the agent to use: the wanted one, else the configured one, else the only one.

        Raises:
            PlanError: no agent has that name, or several could be meant.
        """
        name = wanted or self.batch.agent or (next(iter(self.agents)) if len(self.agents) == 1 else None)
        if name in self.agents:
            return name
        known = ", ".join(sorted(self.agents)) or "none"
        if not self.agents:
            raise PlanError(
                "no agent is configured", f"add one to {CONFIG_FILE} and commit it:\n{EXAMPLE_AGENT}"
            )
        if name is None:
            raise PlanError(
                "it is not clear which agent to use",
                f"name one with --agent, or as agent under [batch]: {known}",
            )
        raise PlanError(f"agent {name!r} is not configured", f"use one of {CONFIG_FILE}: {known}")


_ADVICE = "see every setting: gitbatch help configuration"
EXAMPLE_AGENT = '[agents.writer]\nkind = "command"\ncommand = ["my-agent", "--write", "{output}"]'


def parse_config(source: bytes | None) -> Config:
    """Returns the configuration in the text of gitbatch.toml; the defaults if the file is missing.

    Raises:
        PlanError: it is not valid TOML, or a setting in it is unknown or of the wrong type.
    """
    try:
        raw = tomllib.loads((source or b"").decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise PlanError(f"{CONFIG_FILE} is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
    except (ValueError, RecursionError) as error:  # tomllib lets those of int() and of deep nesting through
        raise PlanError(f"{CONFIG_FILE} is not valid TOML: {error}", "fix the line that it names") from error
    agents = raw.pop("agents", {})
    parsed = msgspec.structs.replace(_converted(raw, Config, ""), agents=_parse_agents(agents))
    _require_sense(parsed)
    return parsed


def _parse_agents(raw: object) -> dict[str, AgentTable]:
    tables = _converted(raw, dict[str, Any], "agents")
    return {name: _parse_agent(table, f"agents.{name}") for name, table in tables.items()}


def _parse_agent(raw: object, at: str) -> AgentTable:
    """Converts the table of an agent to the type that its kind has."""
    kind = _converted(raw, dict[str, Any], at).get("kind")
    found = find_kind(kind) if isinstance(kind, str) else None
    if found:
        return _converted(raw, found.table, at)
    problem = "missing `kind`" if kind is None else f"invalid kind {kind!r}"
    known = ", ".join(kind_names())
    raise PlanError(f"{CONFIG_FILE}: {problem} - at `$.{at}.kind`", f"use one of the kinds of agent: {known}")


def _converted(raw: object, wanted: type[_T], at: str) -> _T:
    """Converts a part of the file to a type.

    Raises:
        PlanError: something in it is unknown or of the wrong type; the message has its path.
    """
    try:
        return msgspec.convert(raw, wanted)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$")
        whole = f"$.{at}{path.rstrip('`')}" if at else f"${path.rstrip('`')}"
        where = f" - at `{whole}`" if whole != "$" else ""
        raise PlanError(f"{CONFIG_FILE}: {said}{where}", _ADVICE) from error


def _require_sense(config: Config) -> None:
    """Refuses values that have the right type but no meaning."""
    project = config.project
    problems = [("batch.output", _template_problem(config.batch.output))]
    problems += [("batch.sign-timeout", duration_problem(config.batch.sign_timeout))]
    problems += [("batch.retry-pause", _pause_problem(config.batch.retry_pause))]
    problems += [("project.phase-folder", _braces_problem(project.phase_folder, "{phase}"))]
    problems += [("project.condensed", _braces_problem(path, "{name}")) for path in project.condensed]
    problems += [("project.shared", _shared_problem(path)) for path in project.shared]
    for name, agent in config.agents.items():
        problems += [(f"agents.{name}.{setting}", problem) for setting, problem in agent.find_problems()]
    for setting, problem in problems:
        if problem:
            raise PlanError(f"{CONFIG_FILE}: {problem} - at `$.{setting}`", _ADVICE)


def _template_problem(template: str) -> str | None:
    problem = template_problem(template)
    return f"invalid output template {template!r}: {problem}" if problem else None


def _braces_problem(pattern: str, placeholder: str) -> str | None:
    rest = pattern.replace(placeholder, "")
    return f"{pattern!r} has braces that are not {placeholder}" if "{" in rest or "}" in rest else None


def _shared_problem(path: str) -> str | None:
    is_control = PurePosixPath(path_key(path)).name in {*CONTROL_NAMES, CONFIG_FILE}
    problem = "is a control file" if is_control else path_problem(path)
    return f"{path!r} {problem}" if problem else None


def _pause_problem(duration: str) -> str | None:
    return None if re.fullmatch(r"\s*0+\s*s?\s*", duration) else duration_problem(duration)
