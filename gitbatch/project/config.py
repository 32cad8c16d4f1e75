"""gitbatch.toml: what a project may set, read from a commit. An unknown or wrong value is an error that names it."""

import re
import tomllib
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from gitbatch.errors import PlanError
from gitbatch.paths import path_key
from gitbatch.plan.duration import EXAMPLES, parse_duration
from gitbatch.plan.model import OUTPUT_TEMPLATE, TITLES_DOD, TITLES_SCOPE, TITLES_WORK, PlanOptions
from gitbatch.plan.outputs import CONTROL_NAMES, path_problem, template_problem

CONFIG_FILE = "gitbatch.toml"

FIXED = ("agents", "batch.worktrees")
"""The tables and keys that name a program, a host, a key or a path outside the repository, by the file's own names.

A batch runs by what they said when it started (`fixed.py`). A setting of that kind that is added is added here.
"""

Positive = Annotated[int, Meta(ge=1)]
Amount = Annotated[float, Meta(gt=0)]
BusyPattern = Annotated[str, Meta(pattern=r"[^\s_-]", max_length=200)]
BUSY_WORDS = ("rate limit", "429", "overloaded", "try again later")


class _ConfigTable(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A table of the file."""


class BatchTable(_ConfigTable, frozen=True):
    """How a batch runs, where the command line does not say otherwise."""

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
    """Where items write that name no output."""
    tick_dod: bool = True
    """Tick a Definition-of-Done entry when all items that name it are done."""
    max_output_bytes: Positive = 10 * 1024 * 1024
    worktrees: str | None = None
    """Where worktrees are made; the user's cache folder if not set."""


class ProjectTable(_ConfigTable, frozen=True):
    """Where a project keeps things."""

    phase_folder: str = "docs/phases/{phase}"
    shared: tuple[str, ...] = ()
    """Shared artifacts of a phase: agents contribute lines, only the orchestrator writes."""
    context_documents: tuple[str, ...] = ("discovery-waves.md",)
    """Documents that name, under a heading equal to a group's title, what the group's items need to read."""
    condensed: tuple[str, ...] = ("{name}.condensed.md", "condensed/{name}.md")
    """Where the condensed form of NAME.md is, beside it."""


class TitlesTable(_ConfigTable, frozen=True):
    """Further titles, beside the built-in ones, for the sections that gitbatch reads."""

    work: tuple[str, ...] = ()
    dod: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()


class CommandAgent(_ConfigTable, frozen=True, tag_field="kind", tag="command"):
    """An agent that is a program: it is started once for each item, in the item's worktree."""

    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    timeout: str = "30m"
    pass_env: tuple[str, ...] = ()
    """Names of environment variables that the program gets beside the usual ones; their values are secret."""
    public_env: tuple[str, ...] = ()
    """As `pass_env`, for values that are not secret: a model's name, a server's address."""
    sandbox: Literal["auto", "bubblewrap", "landlock", "none"] = "auto"
    """`auto`: the best that works here, and an error where none does; `none` must be asked for by name."""
    network: bool = False
    reports_usage: bool = False
    """The program says in its reply what it used and what that cost; without that, no limit can be kept."""
    strict: bool = False
    """The output is the only file of the worktree that it may write; many programs need more."""
    needs: tuple[str, ...] = ()
    """Paths that it may read beside the system's, the repository's and its tools'; `~` is the home folder."""
    writable: tuple[str, ...] = ()
    """Paths that it may write beside its worktree."""
    busy_patterns: bool | tuple[BusyPattern, ...] = True
    """What a server that is busy makes a failed program say in its last lines: `true` is `BUSY_WORDS`, `false` nothing."""
    max_file_bytes: Positive = 1024 * 1024 * 1024
    max_scratch_bytes: Positive = 4 * 1024 * 1024 * 1024

    @property
    def busy_words(self) -> tuple[str, ...]:
        """The patterns that hold."""
        if isinstance(self.busy_patterns, bool):
            return BUSY_WORDS if self.busy_patterns else ()
        return self.busy_patterns


class Price(_ConfigTable, frozen=True):
    """US dollars for a million tokens."""

    input: Annotated[float, Meta(ge=0)]
    output: Annotated[float, Meta(ge=0)]
    cache_read: Annotated[float, Meta(ge=0)] | None = None
    """As `input` if not set."""
    cache_write: Annotated[float, Meta(ge=0)] | None = None
    """As `input` if not set."""
    as_of: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$")] | None = None
    """When they were looked up, as 2026-11 or 2026-11-20; shown with them."""


class AnthropicAgent(_ConfigTable, frozen=True, tag_field="kind", tag="anthropic"):
    """Claude, by the Messages API of Anthropic or of any server that speaks it; it needs no process and no sandbox."""

    model: str = "claude-sonnet-5-5"
    fallback_model: str | None = None
    """Used where the context is too large for `model`: one with a larger window."""
    context_window: Positive | None = None
    """Tokens that `model` can read; what is known of the model if not set."""
    max_turns: Positive = 50
    """Answers of the model for one attempt."""
    max_output_tokens: Positive = 32_000
    """Of one answer."""
    timeout: str = "30m"
    """Of one attempt; waiting for a busy server does not count."""
    base_url: str | None = None
    """Where the server is; ANTHROPIC_BASE_URL, else Anthropic's, if not set."""
    api_key_env: str = "ANTHROPIC_API_KEY"
    """The environment variable that has the key."""
    max_cost: Annotated[float, Meta(gt=0)] | None = None
    """US dollars for one item, all attempts together."""
    max_tokens: Positive | None = None
    """For one item, all attempts together; those of the cache count too."""
    price: Price | None = None
    """Of `model`, where the prices that come with gitbatch are not yours."""


AgentTable = CommandAgent | AnthropicAgent
"""One of the kinds of agent, told apart by `kind`."""


class Config(_ConfigTable, frozen=True):
    """The whole file."""

    batch: BatchTable = BatchTable()
    project: ProjectTable = ProjectTable()
    titles: TitlesTable = TitlesTable()
    agents: dict[str, AgentTable] = {}

    @property
    def scope_titles(self) -> tuple[str, ...]:
        """Titles of the section of CLAUDE.md that names the phase."""
        return TITLES_SCOPE + self.titles.scope

    def plan_options(
        self, phase: str = "", folder: str = "", protected: frozenset[str] = frozenset()
    ) -> PlanOptions:
        """How to read the plan of a phase."""
        return PlanOptions(
            work_titles=TITLES_WORK + self.titles.work,
            dod_titles=TITLES_DOD + self.titles.dod,
            output_template=self.batch.output,
            phase=phase,
            folder=folder,
            protected=protected,
        )

    def agent_name(self, wanted: str | None) -> str:
        """The agent to use: the wanted one, else the configured one, else the only one.

        Raises:
            PlanError: there is none of that name, or it is not clear which.
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
        raise PlanError(f"there is no agent {name!r}", f"{CONFIG_FILE} has: {known}")


_ADVICE = "see every setting: gitbatch help configuration"
EXAMPLE_AGENT = '[agents.writer]\nkind = "command"\ncommand = ["my-agent", "--write", "{output}"]'


def parse_config(source: bytes | None) -> Config:
    """The configuration that the text of gitbatch.toml says; without one, the defaults.

    Raises:
        PlanError: it is no TOML, or something in it is unknown or of the wrong kind.
    """
    try:
        raw = tomllib.loads((source or b"").decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise PlanError(f"{CONFIG_FILE} is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
    except (ValueError, RecursionError) as error:  # tomllib lets those of int() and of deep nesting through
        raise PlanError(f"{CONFIG_FILE} is not valid TOML: {error}", "mend the line that it names") from error
    try:
        parsed = msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise PlanError(f"{CONFIG_FILE}: {_with_agent_name(str(error), raw)}", _ADVICE) from error
    _require_sense(parsed)
    return parsed


def _with_agent_name(message: str, raw: dict[str, Any]) -> str:
    """What msgspec says, with the name of the agent: it leaves out which one it was."""
    if "$.agents[...]" not in message:
        return message
    name = next(name for name, table in raw["agents"].items() if not _is_agent(table))
    return message.replace("$.agents[...]", f"$.agents.{name}")


def _is_agent(table: object) -> bool:
    try:
        msgspec.convert(table, AgentTable)
    except msgspec.ValidationError:
        return False
    return True


def _require_sense(config: Config) -> None:
    """Refuse values that are of the right type and still can't be meant."""
    project = config.project
    problems = [("batch.output", _template_problem(config.batch.output))]
    problems += [("batch.sign-timeout", _time_problem(config.batch.sign_timeout))]
    problems += [("batch.retry-pause", _pause_problem(config.batch.retry_pause))]
    problems += [("project.phase-folder", _braces_problem(project.phase_folder, "{phase}"))]
    problems += [("project.condensed", _braces_problem(path, "{name}")) for path in project.condensed]
    problems += [("project.shared", _shared_problem(path)) for path in project.shared]
    for name, agent in config.agents.items():
        problems.append((f"agents.{name}.timeout", _time_problem(agent.timeout)))
        if isinstance(agent, CommandAgent):
            problems.append((f"agents.{name}.command", _command_problem(agent.command)))
            problems += [(f"agents.{name}.needs", _place_problem(path)) for path in agent.needs]
            problems += [(f"agents.{name}.writable", _place_problem(path)) for path in agent.writable]
    for setting, problem in problems:
        if problem:
            raise PlanError(f"{CONFIG_FILE}: {problem} - at `$.{setting}`", _ADVICE)


def _template_problem(template: str) -> str | None:
    problem = template_problem(template)
    return f"{template!r} can't name outputs: {problem}" if problem else None


def _braces_problem(pattern: str, placeholder: str) -> str | None:
    rest = pattern.replace(placeholder, "")
    return f"{pattern!r} has braces that are not {placeholder}" if "{" in rest or "}" in rest else None


def _shared_problem(path: str) -> str | None:
    is_control = PurePosixPath(path_key(path)).name in {*CONTROL_NAMES, CONFIG_FILE}
    problem = "is a control file" if is_control else path_problem(path)
    return f"{path!r} {problem}" if problem else None


def _command_problem(command: tuple[str, ...]) -> str | None:
    return "an argument holds a NUL character" if "\0" in "".join(command) else None


def _place_problem(path: str) -> str | None:
    is_place = (path == "~" or path.startswith(("/", "~/"))) and "\0" not in path
    return None if is_place else f"{path!r} is neither an absolute path nor one below ~"


def _pause_problem(duration: str) -> str | None:
    return None if re.fullmatch(r"\s*0+\s*s?\s*", duration) else _time_problem(duration)


def _time_problem(duration: str) -> str | None:
    return None if parse_duration(duration) else f"invalid duration {duration!r} (write it like {EXAMPLES})"
