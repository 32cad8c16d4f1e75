"""`gitbatch init`: writes the files of a new project."""

import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from gitbatch.cli.common import HERE, Directory, Json, open_repository_of, print_output
from gitbatch.cli.terminal import can_prompt
from gitbatch.cli.verbosity import show_prose, show_text
from gitbatch.errors import PlanError, UsageError
from gitbatch.plan.help_texts import Language
from gitbatch.project.config import CONFIG_FILE, Config, parse_config
from gitbatch.project.control import TASK
from gitbatch.project.disk import DiskSnapshot
from gitbatch.project.scaffold import TEMPLATE, Scaffold, append_scope, scaffold_plan, scaffold_project
from gitbatch.project.scope import find_active_phase
from gitbatch.view.outputs.init import InitOutput


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
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Write a plan and a configuration, or a phase with its files. Never overwrites a file."""
    if language not in set(Language):
        raise UsageError(
            f"invalid language {language!r}: no templates exist for it", "use --lang de or --lang en"
        )
    can_ask = not json and can_prompt()
    with open_repository_of(directory) as repo:
        config = parse_config(DiskSnapshot(repo.root).read(CONFIG_FILE))
        named = phase or _choose_phase(repo.root, config, can_ask=can_ask)
        made = _make_files(repo.root, named, Language(language), config)
        made = _append_missing(repo.root, made, append=append, can_ask=can_ask)
        has_agent = bool(parse_config(DiskSnapshot(repo.root).read(CONFIG_FILE)).agents)
    if json:
        print_output(InitOutput(made.written, made.kept, made.scope))
        return
    for line in _describe_files(made, named):
        show_text(line)
    for line in _describe_missing(made, named, has_agent=has_agent):
        show_prose(line)


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


def _describe_files(made: Scaffold, phase: str) -> Iterator[str]:
    """Yields the lines for people: the files, then the next commands."""
    for path in made.written:
        yield f"wrote  {path}"
    for path in made.kept:
        yield f"kept   {path}"
    plan = next(path for path in (*made.written, *made.kept) if path.endswith(TASK) and path != TEMPLATE)
    added = " ".join(shlex.quote(path) for path in made.written)
    yield f"\nnext: write your plan into {plan}, then"
    yield "  gitbatch lint"
    if added:
        yield f"  git add {added} && git commit -m {shlex.quote(f'Plan {phase}'.strip())}"
    yield "  gitbatch plan"
    yield "  gitbatch run"


def _describe_missing(made: Scaffold, phase: str, *, has_agent: bool) -> Iterator[str]:
    """Yields what the user still has to write, which is shown last."""
    if not has_agent:
        yield f"\nmissing: an agent. Name a program, or Claude, in {CONFIG_FILE}; see\n  gitbatch help agents"
    if made.scope:
        yield f"\nmissing: CLAUDE.md does not name {phase} as the active phase. Write into it:\n\n{made.scope}"
