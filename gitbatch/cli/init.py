"""`gitbatch init`: writes the files of a new project."""

import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct
from msgspec.structs import replace

from gitbatch.cli.common import HERE, Directory, Json, open_repository_of, print_output
from gitbatch.cli.terminal import can_prompt
from gitbatch.cli.verbosity import show_prose, show_text
from gitbatch.errors import PlanError, UsageError
from gitbatch.plan.help_texts import Language
from gitbatch.project.agent_scaffold import AddedAgent, AgentChange, add_agent_on_disk, require_agent_word
from gitbatch.project.config import CONFIG_FILE, Config, parse_config
from gitbatch.project.control import PLAN_FILE
from gitbatch.project.disk import DiskSnapshot
from gitbatch.project.scaffold import TEMPLATE, Scaffold, append_scope, scaffold_plan, scaffold_project
from gitbatch.project.scope import find_active_phase
from gitbatch.view.outputs.init import init_output


def init(
    phase: Annotated[
        str | None, typer.Option(help="Make a phase of this name, in the folder docs/phases/NAME.")
    ] = None,
    language: Annotated[
        str, typer.Option("--lang", metavar="de|en", help="The language of what is written.")
    ] = "en",
    append: Annotated[
        bool, typer.Option("--append-scope", help="Append the section that is missing to CLAUDE.md.")
    ] = False,
    agent: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Add the table of an agent to gitbatch.toml: claude-code, codex, opencode, gemini, qwen, anthropic, "
            "command, acp or acp:PRESET.",
        ),
    ] = None,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Write a plan and a configuration, or a phase with its files. Never overwrites a file."""
    if language not in set(Language):
        raise UsageError(
            f"invalid language {language!r}: no templates exist for it", "use --lang de or --lang en"
        )
    word = require_agent_word(agent) if agent is not None else ""
    request = _InitRequest(phase, Language(language), append, word, can_ask=not json and can_prompt())
    with open_repository_of(directory) as repo:
        made = _write_files(repo.root, request)
        has_agent = bool(parse_config(DiskSnapshot(repo.root).read(CONFIG_FILE)).agents)
    if json:
        print_output(init_output(made.files, made.agent))
        return
    for line in _describe_files(made):
        show_text(line)
    for line in _describe_missing(made, has_agent=has_agent):
        show_prose(line)


class _InitRequest(Struct, frozen=True):
    """The options as they were given."""

    phase: str | None
    language: Language
    must_append: bool
    agent: str
    """The word for the agent to add, or empty."""
    can_ask: bool

    def is_for_agent_alone(self, root: Path) -> bool:
        """Whether the project has a configuration already, to which an agent is added and nothing else."""
        has_config = os.path.lexists(root / CONFIG_FILE)
        return bool(self.agent) and has_config and not self.phase and not self.must_append


class _Written(Struct, frozen=True):
    """What was written."""

    files: Scaffold
    phase: str
    agent: AddedAgent | None


def _write_files(root: Path, request: _InitRequest) -> _Written:
    """Writes the files of a project that are missing, and the agent."""
    if request.is_for_agent_alone(root):
        added = add_agent_on_disk(root, request.agent, request.language, is_new=False)
        return _Written(Scaffold((), (), ""), "", added)
    config = parse_config(DiskSnapshot(root).read(CONFIG_FILE))
    phase = request.phase or _choose_phase(root, config, can_ask=request.can_ask)
    made = _make_files(root, phase, request.language, config)
    made = _append_missing(root, made, append=request.must_append, can_ask=request.can_ask)
    if not request.agent:
        return _Written(made, phase, None)
    is_new = CONFIG_FILE in made.written
    return _Written(made, phase, add_agent_on_disk(root, request.agent, request.language, is_new=is_new))


def _choose_phase(root: Path, config: Config, *, can_ask: bool) -> str:
    """Returns the phase that CLAUDE.md names, else the user's choice; empty: a single plan without phases."""
    with suppress(PlanError):
        if active := find_active_phase(DiskSnapshot(root), config):
            return active.name
    if not can_ask:
        return ""
    from gitbatch.cli.questions import ask_phase

    return ask_phase()


def _make_files(root: Path, phase: str, language: Language, config: Config) -> Scaffold:
    return scaffold_project(root, phase, language, config) if phase else scaffold_plan(root, language)


def _append_missing(root: Path, made: Scaffold, *, append: bool, can_ask: bool) -> Scaffold:
    """Appends the scope section where it can be and the user wants it; else it stays missing."""
    if not made.can_append or not (append or (can_ask and _wants_scope(made.scope))):
        return made
    append_scope(root, made.scope)
    kept = tuple(path for path in made.kept if path != "CLAUDE.md")
    return replace(made, written=("CLAUDE.md", *made.written), kept=kept, scope="")


def _wants_scope(scope: str) -> bool:
    from gitbatch.cli.questions import ask_to_append

    typer.echo(f"your CLAUDE.md does not name the active phase yet. This section does:\n\n{scope}")
    return ask_to_append()


def _describe_files(made: _Written) -> Iterator[str]:
    """Yields the lines for people: the files, then the next commands."""
    for path in made.files.written:
        yield f"wrote  {path}"
    for path in made.files.kept:
        yield f"kept   {path}"
    if made.agent:
        yield _describe_agent(made.agent)
    all_files = (*made.files.written, *made.files.kept)
    plan = next((path for path in all_files if path.endswith(PLAN_FILE) and path != TEMPLATE), "")
    yield f"\nnext: write your plan into {plan}, then" if plan else "\nnext:"
    if made.agent and made.agent.change is not AgentChange.BY_HAND:
        yield f"  gitbatch agents try {made.agent.name}"
    yield "  gitbatch lint"
    changed = made.files.written or ((CONFIG_FILE,) if made.agent else ())
    if changed:
        added = " ".join(map(shlex.quote, dict.fromkeys((plan, *changed) if plan else changed)))
        message = f"Plan {made.phase}".strip() if plan else "Add an agent"
        yield f"  git add {added} && git commit -m {shlex.quote(message)}"
    yield "  gitbatch plan"
    yield "  gitbatch run"


def _describe_agent(added: AddedAgent) -> str:
    """Returns the line about the agent that was asked for."""
    if added.change is AgentChange.BY_HAND:
        return f"kept   {CONFIG_FILE}: it cannot be edited here"
    is_default = added.default == added.name
    use = "it works on items that name no agent" if is_default else f"batch.agent is still {added.default}"
    verb = "added " if added.change is AgentChange.ADDED else "kept  "
    return f"{verb} [agents.{added.name}] in {CONFIG_FILE}: {use}"


def _describe_missing(made: _Written, *, has_agent: bool) -> Iterator[str]:
    """Yields what the user still has to write, which is shown last."""
    if made.agent and made.agent.change is AgentChange.BY_HAND:
        yield f"\nmissing: the agent. Add it to {CONFIG_FILE}:\n\n{made.agent.table}"
    elif not has_agent:
        yield (
            f"\nmissing: an agent. gitbatch init --agent claude-code adds one to {CONFIG_FILE}; for others see\n"
            "  gitbatch help agents"
        )
    if made.files.scope:
        scope = made.files.scope
        yield f"\nmissing: CLAUDE.md does not name {made.phase} as the active phase. Write into it:\n\n{scope}"
