"""The manual page, from the commands themselves: `git batch --help` opens it as `man git-batch`.

`gitbatch help --man` prints it. The file `man/git-batch.1` is that text; the wheel installs it where `man` looks for it.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from gitbatch.cli.lazy import load_command
from gitbatch.cli.main import app
from gitbatch.cli.verbs import VERBS
from gitbatch.resources import resource

_CHARACTERS = {
    "\\": "\\e",
    "-": "\\-",
    "→": "\\(->",
    "“": "\\(lq",
    "”": "\\(rq",
    "…": "...",
    "≥": "\\(>=",
    "'": "\\(aq",
    "`": "\\(ga",
}
_COMMON = frozenset({"directory", "quiet", "verbose", "json"})
"""The options of every command, which are listed once."""


def render_manual() -> str:
    """Returns the manual page in the language of man."""
    return "\n".join(_list_lines()) + "\n"


def _list_lines() -> Iterator[str]:
    root: Any = get_command(app)
    summary = inspect.cleandoc(root.help)
    yield '.TH GIT\\-BATCH 1 "" "gitbatch" "gitbatch manual"'
    yield from (".SH NAME", "git\\-batch, gitbatch \\- run a plan of agents, one commit for each group")
    yield from (".SH SYNOPSIS", ".B gitbatch", "[\\-C DIR] [\\-q | \\-v] COMMAND [OPTION]...", ".br")
    yield from (".B git batch", "COMMAND [OPTION]...")
    yield from (".SH DESCRIPTION", escape_text(summary))
    yield from (
        ".SH OPTIONS",
        "Every command has these, before its name or after it; \\-\\-json only after it.",
    )
    yield from _list_options(load_command("status", "gitbatch.cli.status:status"), _COMMON)
    yield from (".SH COMMANDS",)
    for name, target, _ in VERBS:
        command = load_command(name, target)
        inner = getattr(command, "commands", {})
        yield from _describe_command(name, command)
        for key, each in inner.items():
            yield from _describe_command(f"{name} {key}", each)
    yield ".SH EXIT STATUS"
    yield from _list_exit_codes()
    yield from (".SH SEE ALSO", "The pages of the documentation:")
    yield escape_text(
        ", ".join(f"gitbatch help {path.stem}" for path in sorted(resource("docs").glob("*.md")))
    )


def _describe_command(name: str, command: Any) -> Iterator[str]:  # noqa: ANN401 - typer's own click
    yield f".SS {escape_text(name)}"
    yield from (line for part in (command.help or "").split("\n\n") for line in (".PP", escape_text(part)))
    names = frozenset(each.name for each in command.params) - _COMMON
    yield from _list_options(command, names)


def _list_options(command: Any, names: frozenset[str]) -> Iterator[str]:  # noqa: ANN401 - as above
    """Yields the arguments and options of a command that have one of the names."""
    for each in command.params:
        if each.name in names and not each.hidden:
            yield from (".TP", f".B {escape_text(_name_option(each))}", escape_text(each.help or "") or "\\&")


def _name_option(option: Any) -> str:  # noqa: ANN401 - as above
    """Returns the forms of an option and the name of its value; of an argument, its name."""
    choices = "|".join(map(str, getattr(option.type, "choices", ())))
    value = option.metavar or choices or str(option.name).upper().replace("_", "-")
    if not option.opts[0].startswith("-"):
        return value
    forms = ", ".join(sorted(option.opts, key=len))
    return forms if option.is_flag else f"{forms} {value}"


def _list_exit_codes() -> Iterator[str]:
    page = (resource("docs") / "commands.md").read_text(encoding="utf-8")
    table = page.partition("| exit code | meaning |")[2].lstrip("\n").split("\n")
    for row in table[1:]:
        if not row.startswith("|"):
            return
        code, meaning = (cell.strip() for cell in row.strip("|").split("|"))
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", meaning).replace("`", "")
        yield from (".TP", f".B {code}", escape_text(plain))


def escape_text(text: str) -> str:
    """Returns a text as man shows it literally, on one line of the source."""
    flat = " ".join(text.split())
    escaped = "".join(_CHARACTERS.get(character, character) for character in flat)
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
