"""The table of verbs: each line leads to a command, whose summary it has."""

import inspect
from pathlib import Path
from pkgutil import resolve_name

import pytest
import typer
from rich.text import Text
from typer.testing import CliRunner

from gitbatch.cli.lazy import load_command
from gitbatch.cli.main import app
from gitbatch.cli.verbs import VERBS

FOLDER = Path(__file__).parent.parent.parent / "gitbatch" / "cli"
SHARED = {
    "questions",
    "dask_preload",
    "early_opening",
    "editor",
    "review_desk",
    "review_prompts",
    "review_screen",
    "reviewing",
    "batch",
    "batch_reading",
    "common",
    "lazy",
    "main",
    "interruption",
    "keys",
    "notifier",
    "pager",
    "unused_changes",
    "plan_warnings",
    "report_error",
    "frontend",
    "signals",
    "terminal",
    "manual",
    "verbosity",
    "completion_words",
    "completion_values",
    "verbs",
    "views",
}


@pytest.mark.parametrize(("name", "target", "summary"), VERBS)
def test_summary_is_the_first_line(name: str, target: str, summary: str) -> None:
    found = resolve_name(target)
    if isinstance(found, typer.Typer):
        assert found.info.help == summary
    else:
        assert (inspect.getdoc(found) or "").split("\n")[0] == summary
    assert target.startswith(f"gitbatch.cli.{name}:")


@pytest.mark.parametrize(("name", "target", "summary"), VERBS)
def test_help_is_shown_as_it_is_written(name: str, target: str, summary: str) -> None:
    """Nothing in it is markup, and its lines are broken by the width of the terminal alone."""
    command = load_command(name, target)
    for each in (command, *getattr(command, "commands", {}).values()):
        texts = (each.help, *(option.help for option in each.params if hasattr(option, "help")))
        assert all(Text.from_markup(text).plain == text for text in texts)
        assert all("\n" not in text.replace("\n\n", "") for text in texts)
    assert command.help.startswith(summary)


def test_every_module_is_a_verb_or_shared() -> None:
    modules = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert modules - SHARED == {name for name, _, _ in VERBS}


@pytest.mark.parametrize("name", [name for name, _, _ in VERBS])
def test_verb_has_help(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert f"{name} [OPTIONS]" in done.output


def test_group_help_lists_every_verb() -> None:
    output = CliRunner().invoke(app, ["--help"]).output
    assert all(name in output for name, _, _ in VERBS)


@pytest.mark.parametrize("arguments", [["nonsense"], ["run", "--nonsense"], ["hooks", "nonsense"]])
def test_unknown_words_are_usage_errors(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "No such" in done.output
