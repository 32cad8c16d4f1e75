"""gitbatch.toml: what a project may set, read from a commit. An unknown or wrong value is an error that names it."""

import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import fields

from gitbatch.errors import FilePlace, PlanError
from gitbatch.paths import path_key
from gitbatch.plan.help_texts import SAVE_AS_UTF8, Advice
from gitbatch.plan.model import OUTPUT_TEMPLATE, TITLES_DOD, TITLES_SCOPE, TITLES_WORK, PlanOptions
from gitbatch.plan.outputs import CONFIG_NAME, CONTROL_NAMES, path_problem, template_problem
from gitbatch.plan.render import render_diagnostic, summary
from gitbatch.project import help_texts
from gitbatch.project.agent_kinds import find_kind, kind_names
from gitbatch.project.agent_table import AgentTable, Amount, ConfigTable, Positive, duration_problem
from gitbatch.project.check_tables import CheckTable, GateTable, read_named_tables
from gitbatch.project.config_diagnostics import find_config_diagnostics
from gitbatch.project.config_tables import (
    ConfigProblem,
    advise_names,
    format_path,
    read_table,
    read_value,
)
from gitbatch.project.executor_table import ExecutorTable
from gitbatch.project.extras_table import ExtrasTable
from gitbatch.project.sent_work import find_unsent
from gitbatch.project.toml_places import Path

CONFIG_FILE = CONFIG_NAME

FIXED = (
    *("agents", "checks", "gates", "executor.kind", "executor.workers", "batch.worktrees"),
    *("executor.cluster", "executor.tls", "executor.secrets", "executor.checks-at"),
    *("batch.include", "batch.prepare", "batch.prepare-network", "batch.prepare-sandbox"),
)
"""The tables and keys that name a program, a host, a key or a path outside the repository, by the file's own names.

A batch runs by what they said when it started (`fixed.py`). A setting of that kind that is added is added here.
"""

_NAMED = frozenset({"agents", "checks", "gates"})
"""The settings that are tables of named tables."""


class BatchTable(ExtrasTable, frozen=True):
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
    on_missing: Literal["tell", "block"] | None = None
    """What to do about an item whose input an item of the batch did not write. `tell`: the prompt and the checkpoint
    name it; `block`: the item does not start. If not set: `block` in the mode at-end, else `tell`."""
    fetch: bool = True
    """In a partial clone, fetch what the batch needs and what is missing; `--no-fetch` overrides it."""
    sign_timeout: str = "2m"
    """How long a program that signs a commit is waited for: people type passphrases and touch keys."""
    eager: Literal["auto", "off", "on", "while-paused"] = "auto"
    """Whether items start before their group, when what they read is final; `--eager` overrides it. `on`: while an earlier
    group runs; `while-paused`: during reviews too; `auto`: on up to the next pause, unless every group is reviewed or
    a cost limit is set."""
    output: str = OUTPUT_TEMPLATE
    """The output of items that name none."""
    tick_dod: bool = True
    """Tick a Definition-of-Done entry when all items that name it are done."""
    max_output_bytes: Positive = 10 * 1024 * 1024
    worktree: Literal["auto", "overlay", "clone", "copy"] = "auto"
    """How a worktree gets its files. `overlay`: layers that all worktrees share, mounted for programs alone; `clone`:
    reflinks of a template's files; `copy`: git's checkout; `auto`: the first of these that works here, or `copy` for small contexts."""
    worktrees: str | None = None
    """Where worktrees are made; the user's cache folder if not set."""
    cache_max_bytes: Positive = 20 * 1024 * 1024 * 1024
    """The most that the layers of all repositories may take in the cache folder; those used last longest ago go first."""
    cache_max_days: Positive = 30
    """Layers in the cache folder that were not used for so long are removed."""


class ProjectTable(ConfigTable, frozen=True):
    """The paths of a project's files."""

    phase_folder: str = "docs/phases/{phase}"
    shared: tuple[str, ...] = ()
    """Shared artifacts of a phase: agents contribute lines, only the orchestrator writes."""
    context_documents: tuple[str, ...] = ("discovery-waves.md",)
    """Documents that name, under a heading equal to a group's title, what the group's items need to read."""
    condensed: tuple[str, ...] = ("{name}.condensed.md", "condensed/{name}.md")
    """The paths of the condensed form of NAME.md, relative to its folder; from the top folder behind a slash."""


class TitlesTable(ConfigTable, frozen=True):
    """Further titles, besides the built-in ones, for the sections that gitbatch reads."""

    work: tuple[str, ...] = ()
    dod: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()


class ReviewTable(ConfigTable, frozen=True):
    """Reviews of a person."""

    require_approval: bool = False
    """Whether a batch continues and ends only when a decision stands about every item that succeeded."""


class Config(ConfigTable, frozen=True):
    """The whole file."""

    batch: BatchTable = BatchTable()
    project: ProjectTable = ProjectTable()
    titles: TitlesTable = TitlesTable()
    review: ReviewTable = ReviewTable()
    executor: ExecutorTable = ExecutorTable()
    agents: dict[str, AgentTable] = field(default_factory=dict)
    checks: dict[str, CheckTable] = field(default_factory=dict)
    gates: dict[str, GateTable] = field(default_factory=dict)

    @property
    def default_agent(self) -> str | None:
        """Returns the agent of items that name none: the configured one, else the only one that does not only review."""
        if self.batch.agent:
            return self.batch.agent
        reviewers = {check.agent for check in self.checks.values()}
        authors = [name for name in self.agents if name not in reviewers] or list(self.agents)
        return authors[0] if len(authors) == 1 else None

    @property
    def scope_titles(self) -> tuple[str, ...]:
        """Returns the titles of the section of CLAUDE.md that names the phase."""
        return TITLES_SCOPE + self.titles.scope

    def find_keys(self) -> Iterator[tuple[str, ...]]:
        """Yields the path of each value that looks like a key."""
        for name, agent in self.agents.items():
            yield from (("agents", name, *path) for path in agent.find_keys())
        for kind, tables in (("checks", self.checks), ("gates", self.gates)):
            for name, table in tables.items():
                yield from ((kind, name, *path) for path in table.find_keys())

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
        """Returns the name of the agent to use: the wanted one, else the default one.

        Raises:
            PlanError: no agent has that name, or several could be meant.
        """
        name = self.default_agent if wanted is None else wanted
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


EXAMPLE_AGENT = '[agents.writer]\nkind = "command"\ncommand = ["my-agent", "--write", "{output}"]'


class ConfigReading(Struct, frozen=True):
    """The text of gitbatch.toml, as far as it is valid."""

    config: Config
    """Without the settings that have a problem; the defaults if the text is not TOML."""
    problems: tuple[ConfigProblem, ...]


@lru_cache(maxsize=4)
def parse_config(source: bytes | None) -> Config:
    """Returns the configuration in the text of gitbatch.toml; the defaults if the file is missing. Remembered, as plans are.

    Raises:
        PlanError: it is not valid TOML, or a setting in it is unknown or invalid; its details have all problems.
    """
    reading = read_config(source)
    if not reading.problems:
        return reading.config
    first, *others = reading.problems
    found = find_config_diagnostics(source or b"", reading.problems)
    place = FilePlace(CONFIG_FILE, found[0].line, found[0].column)
    details = "\n\n".join(render_diagnostic(each, source or b"", CONFIG_FILE) for each in found)
    if others:
        raise PlanError(
            f"cannot use {CONFIG_FILE}: {summary(found)}", help_texts.SEE_SETTINGS.english, details, place
        )
    prefix = f"{CONFIG_FILE}: " if first.path else ""
    raise PlanError(f"{prefix}{first.text}", first.advice.english, details, place)


def read_config(source: bytes | None) -> ConfigReading:
    """Returns what the text of gitbatch.toml says, with all of its problems."""
    try:
        raw = tomllib.loads((source or b"").decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        problem = ConfigProblem((), f"{CONFIG_FILE} is not UTF-8 (byte {error.start})", SAVE_AS_UTF8)
        return ConfigReading(Config(), (problem,))
    except (ValueError, RecursionError) as error:  # tomllib lets those of int() and of deep nesting through
        message = f"{CONFIG_FILE} is not valid TOML: {error}"
        return ConfigReading(Config(), (ConfigProblem((), message, help_texts.FIX_LINE),))
    problems: list[ConfigProblem] = []
    agents = _read_agents(raw.pop("agents", {}), problems)
    checks = read_named_tables(raw.pop("checks", {}), CheckTable, "checks", problems)
    gates = read_named_tables(raw.pop("gates", {}), GateTable, "gates", problems)
    parsed = read_table(raw, Config, (), problems)
    config = msgspec.structs.replace(parsed or Config(), agents=agents, checks=checks, gates=gates)
    problems += _find_unknown_reviewers(
        config, {str(each.path[1]) for each in problems if len(each.path) > 1}
    )
    problems = [_suggest_table(problem) if problem.is_of_name else problem for problem in problems]
    return ConfigReading(config, (*problems, *_find_senseless(config)))


def _suggest_table(problem: ConfigProblem) -> ConfigProblem:
    """Returns the problem of an unknown setting, with the table that has a setting of this name."""
    tables: list[tuple[str, type[Struct]]] = [
        (field.encode_name, field.type) for field in fields(Config) if field.name not in _NAMED
    ]
    command = find_kind("command")
    tables += [("agents.NAME", command.table)] if command else []
    tables += [("checks.NAME", CheckTable), ("gates.NAME", GateTable)]
    name = str(problem.path[-1]).replace("_", "-")
    owner = next((table for table, kind in tables if name in {f.encode_name for f in fields(kind)}), None)
    is_meant = owner is not None and problem.advice == help_texts.SEE_SETTINGS
    advice = help_texts.MEANT_BELOW.fill(name=name, table=str(owner), advice=help_texts.SEE_SETTINGS)
    return msgspec.structs.replace(problem, advice=advice) if is_meant else problem


def _read_agents(raw: object, problems: list[ConfigProblem]) -> dict[str, AgentTable]:
    tables = read_value(raw, dict[str, Any], ("agents",), problems) or {}
    found = {name: _read_agent(table, ("agents", name), problems) for name, table in tables.items()}
    return {name: table for name, table in found.items() if table is not None}


def _read_agent(raw: object, path: Path, problems: list[ConfigProblem]) -> AgentTable | None:
    """Converts the table of an agent to the type that its kind has."""
    table = read_value(raw, dict[str, Any], path, problems)
    if table is None:
        return None
    kind = table.get("kind")
    try:
        found = find_kind(kind) if isinstance(kind, str) else None
    except PlanError as error:
        problems.append(ConfigProblem((*path, "kind"), error.message, Advice.in_english(error.advice)))
        return None
    if found:
        return read_table(table, found.table, path, problems)
    message = "missing `kind`" if kind is None else f"invalid kind {kind!r}"
    advice = advise_names(kind, kind_names(), help_texts.USE_KIND)
    problems.append(ConfigProblem((*path, "kind"), message, advice))
    return None


def _find_senseless(config: Config) -> Iterator[ConfigProblem]:
    """Yields the problems of values that have the right type but no meaning."""
    project, batch = config.project, config.batch
    found: list[tuple[Path, str | None]] = [
        (("batch", "output"), _template_problem(batch.output)),
        (("batch", "sign-timeout"), duration_problem(batch.sign_timeout)),
        (("batch", "retry-pause"), _pause_problem(batch.retry_pause)),
        *((("batch", setting), problem) for setting, problem in batch.find_extra_problems()),
        *((("executor", setting), problem) for setting, problem in config.executor.find_problems()),
        (("executor", "kind"), find_unsent(config)),
        (("project", "phase-folder"), _braces_problem(project.phase_folder, "{phase}")),
    ]
    for kind, tables in (("agents", config.agents), ("checks", config.checks), ("gates", config.gates)):
        for name, table in tables.items():
            found += [((kind, name, setting), problem) for setting, problem in table.find_problems()]
    yield from (ConfigProblem(path, problem) for path, problem in found if problem)
    condensed = (_braces_problem(path, "{name}", "{folder}") for path in project.condensed)
    for setting, problems in (("condensed", condensed), ("shared", map(_shared_problem, project.shared))):
        path = ("project", setting)
        for number, problem in enumerate(problems):
            if problem:
                yield ConfigProblem((*path, number), problem, shown=format_path(path))


def _find_unknown_reviewers(config: Config, invalid: set[str]) -> Iterator[ConfigProblem]:
    """Yields the agents of checks that are not configured; `invalid`: the names of tables that have other problems."""
    for name, check in config.checks.items():
        if check.agent is not None and check.agent not in {*config.agents, *invalid}:
            path, advice = ("checks", name, "agent"), advise_names(check.agent, tuple(config.agents))
            yield ConfigProblem(path, f"unknown agent {check.agent!r}", advice)


def _template_problem(template: str) -> str | None:
    problem = template_problem(template)
    return f"invalid output template {template!r}: {problem}" if problem else None


def _braces_problem(pattern: str, *placeholders: str) -> str | None:
    rest = pattern
    for placeholder in placeholders:
        rest = rest.replace(placeholder, "")
    known = " or ".join(placeholders)
    return f"{pattern!r} has braces that are not {known}" if "{" in rest or "}" in rest else None


def _shared_problem(path: str) -> str | None:
    is_control = PurePosixPath(path_key(path)).name in {*CONTROL_NAMES, CONFIG_FILE}
    problem = "is a control file" if is_control else path_problem(path)
    return f"{path!r} {problem}" if problem else None


def _pause_problem(duration: str) -> str | None:
    return None if re.fullmatch(r"\s*0+\s*s?\s*", duration) else duration_problem(duration)
