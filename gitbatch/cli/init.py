"""`gitbatch init`: writes the files of a new project."""

from typing import Annotated

import typer

from gitbatch.cli.common import HERE, Directory, Json, open_repository_of, print_output
from gitbatch.cli.verbosity import show_text
from gitbatch.errors import UsageError
from gitbatch.plan.help_texts import Language
from gitbatch.project.config import CONFIG_FILE, parse_config
from gitbatch.project.disk import DiskSnapshot
from gitbatch.project.scaffold import scaffold_project
from gitbatch.view.outputs.init import InitOutput


def init(
    phase: Annotated[str, typer.Option(help="The phase's name; its folder is docs/phases/NAME.")] = "phase-1",
    language: Annotated[
        str, typer.Option("--lang", metavar="de|en", help="The language of what is written.")
    ] = "en",
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Write a plan template, a phase with its files, and a configuration. Never overwrites a file."""
    if language not in set(Language):
        raise UsageError(
            f"invalid language {language!r}: no templates exist for it", "use --lang de or --lang en"
        )
    with open_repository_of(directory) as repo:
        config = parse_config(DiskSnapshot(repo.root).read(CONFIG_FILE))
        made = scaffold_project(repo.root, phase, Language(language), config)
    if json:
        print_output(InitOutput(made.written, made.kept, made.scope))
        return
    for path in made.written:
        show_text(f"wrote  {path}")
    for path in made.kept:
        show_text(f"kept   {path}")
    if made.scope:
        typer.echo(
            f"\nyour CLAUDE.md does not name {phase} as the active phase; write into it:\n\n{made.scope}"
        )
    show_text(
        "\nnext: write the plan and name an agent in gitbatch.toml, then\n"
        f'  gitbatch lint && git add --all && git commit -m "Plan {phase}" && gitbatch plan'
    )
