"""`gitbatch schema`: the JSON Schemas of what is printed, and of gitbatch.toml."""

from typing import Annotated

import msgspec
import typer

from gitbatch.cli.common import Json, print_output, use_utf_8
from gitbatch.view.schemas import describe_schema, make_schema, schema_names

Name = Annotated[
    str | None,
    typer.Argument(metavar="[NAME]", help="A schema; without it, the schemas are listed."),
]


def schema(name: Name = None, json: Json = False) -> None:
    """Show a JSON Schema: of gitbatch.toml (config), or of what a verb prints with --json."""
    if name is not None:
        use_utf_8()
        typer.echo(msgspec.json.format(msgspec.json.encode(make_schema(name)), indent=2).decode())
        return
    names = schema_names()
    if json:
        from gitbatch.view.outputs.help import HelpOutput, HelpTopic

        print_output(HelpOutput(tuple(HelpTopic(one, describe_schema(one)) for one in names)))
        return
    for one in names:
        typer.echo(f"{one:{max(map(len, names))}}  {describe_schema(one)}")
