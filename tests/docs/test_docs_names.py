"""What the documents name exists: paths of this repository, settings and options; and they leave none out."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from gitbatch.agents.acp.table import AcpAgent
from gitbatch.agents.anthropic.table import AnthropicAgent
from gitbatch.agents.claude_code.table import ClaudeCodeAgent
from gitbatch.agents.command.table import CommandAgent
from gitbatch.cli.lazy import load_command
from gitbatch.cli.verbs import VERBS
from gitbatch.project.config import BatchTable, ProjectTable, ReviewTable, TitlesTable, parse_config
from gitbatch.project.executor_table import ExecutorTable

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PATH = re.compile(r"(?<![\w/.])(tests(?:/[\w.*-]+)*/[\w*-][\w.*-]*|(?:[\w-]+/)+[\w-]+\.py)")
PLACEHOLDERS = {"tests/FOLDER", "src/login.py", "src/search.py"}
TABLES: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "batch": (BatchTable,),
    "project": (ProjectTable,),
    "titles": (TitlesTable,),
    "review": (ReviewTable,),
    "executor": (ExecutorTable,),
    "agents.NAME": (CommandAgent, AnthropicAgent, ClaudeCodeAgent, AcpAgent),
}


def named_paths() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        found = {path.rstrip(".") for path in PATH.findall(page.read_text(encoding="utf-8"))}
        yield from ((page, path) for path in sorted(found - PLACEHOLDERS))


def agent_tables() -> Iterator[tuple[Path, str]]:
    """The blocks of the pages of agents that are whole configurations."""
    for page in sorted((ROOT / "docs/agents").glob("*.md")):
        found = re.findall(r"(?ms)^```toml\n(.*?)^```", page.read_text(encoding="utf-8"))
        yield from ((page, block) for block in found if "\nkind = " in block)


@pytest.mark.parametrize(("page", "block"), tuple(agent_tables()), ids=lambda value: str(value)[-30:])
def test_agent_tables_are_valid(page: Path, block: str) -> None:
    assert parse_config(block.encode()).agents, page


def test_paths() -> None:
    places = (ROOT, ROOT / "gitbatch")
    gone = [(page.name, path) for page, path in named_paths() if not any(any(at.glob(path)) for at in places)]
    assert gone == []


def settings_of_tables() -> set[str]:
    return {"agents.NAME.kind"} | {
        f"{section}.{field.encode_name}"
        for section, tables in TABLES.items()
        for table in tables
        for field in msgspec.structs.fields(table)
    }


def settings_of_page() -> set[str]:
    """The first column of the tables; `.name` after a setting is in the same section."""
    found, section = set(), ""
    for line in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").splitlines():
        cell = line.split(" | ")[0]
        for name in re.findall(r"`([\w.-]+)`", cell) if cell.startswith("| `") else []:
            section = section if name.startswith(".") else name.rpartition(".")[0]
            found.add(f"{section}.{name.rpartition('.')[2]}")
    return found


def test_settings() -> None:
    wanted = settings_of_tables() | {"agents.NAME.timeout"}
    assert settings_of_page() == wanted


def commands_of(name: str, target: str) -> Iterator[tuple[str, Any]]:
    """Yields a verb with its name, or the commands that it has."""
    command = load_command(name, target)
    inner = getattr(command, "commands", None)
    yield from ((f"{name} {key}", each) for key, each in inner.items()) if inner else ((name, command),)


def options_of(command: Any) -> set[str]:  # noqa: ANN401 - typer decides which click it brings
    context = typer.Context(command)
    options = {
        max(each.opts, key=len)
        for each in command.get_params(context)
        if each.opts[0].startswith("-") and not getattr(each, "hidden", False)
    }
    return options - {"--help"}


@pytest.mark.parametrize(("name", "target"), [verb[:2] for verb in VERBS])
def test_options(name: str, target: str) -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"(?m)^\| `gitbatch {name}\b.*$", page)
    everywhere = set(re.findall(r"-[\w-]+", page.partition("Every command has these options")[2]))
    named = set(re.findall(r"(?<=[` ])--?[A-Za-z][\w-]*", row))
    known = set().union(*(options_of(command) for _, command in commands_of(name, target)))
    short = {
        form for _, command in commands_of(name, target) for each in command.params for form in each.opts
    }
    assert named - known - short == set()
    assert known - named - everywhere == set()
