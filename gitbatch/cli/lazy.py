"""Commands that are imported when they are used: start-up does not pay for what another command needs."""

from importlib import import_module
from inspect import cleandoc
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from gitbatch.cli.verbosity import make_level_options


class LazyCommand(TyperCommand):
    """A command known by its name and summary; its module is imported when the command is used."""

    def __init__(self, name: str, target: str, summary: str) -> None:
        super().__init__(name, help=summary)
        self._target = target

    def make_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - typer decides which click it brings
        """Returns the context of the imported command, which takes over from here."""
        return load_command(self.name or "", self._target).make_context(*args, **kwargs)


def load_command(name: str, target: str) -> Any:  # noqa: ANN401 - as above
    """Returns the command that `module:NAME` defines: a function, or a `typer.Typer` with commands of its own."""
    found = find_attribute(target)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(name)(found)
        found = single
    command: Any = typer.main.get_command(found)
    for each in (command, *getattr(command, "commands", {}).values()):
        each.params += make_level_options()
        each.help = join_lines(each.help or "")
    return command


def find_attribute(target: str) -> Any:  # noqa: ANN401 - whatever is there
    """Returns what `module:NAME` names: `pkgutil` would have a pattern for that, which takes longer than most modules."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def join_lines(text: str) -> str:
    """Returns a docstring with one line for each paragraph, as help is wrapped at the width of the terminal."""
    return "\n\n".join(" ".join(each.split()) for each in cleandoc(text).split("\n\n"))


class LazyGroup(TyperGroup):
    """A group of lazy commands. A subclass lists them."""

    table: tuple[tuple[str, str, str], ...] = ()
    """The name, the `module:NAME` and the summary of each command, in the order of the help."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - typer's own
        super().__init__(**attributes)
        for name, target, summary in self.table:
            self.add_command(LazyCommand(name, target, summary))
