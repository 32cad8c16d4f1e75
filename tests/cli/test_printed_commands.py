"""Commands that messages name: each of them is accepted as it is printed, and those of a review are run."""

import ast
import re
import shlex
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import Here, Workspace
from sessions import run_here

from gitbatch.batch.model import CheckpointMode
from gitbatch.cli.main import app
from gitbatch.cli.report_error import USAGE_ERROR

PACKAGE = Path(__file__).parents[2] / "gitbatch"
GROUP: Any = typer.main.get_command(app)  # typer decides which click it brings
NAMED = re.compile(r"\bgitbatch (?=[a-z-])")
_ENDS = re.compile(r"[\n;()`“”|]|, |: |\. |\.$|  ")
"""What ends a command in a text."""
NO_MESSAGES = frozenset({"completion.py", "manual.py", "schemas.py"})
"""Modules that print programs of shells, a page of roff, and descriptions of outputs."""
FILLED = {"USD": "1", "N": "1"}
"""What stands for a number."""


def list_texts(tree: ast.AST) -> Iterator[str]:
    """The texts of a module without its docstrings; what is filled in is X, and an empty option right after a word."""
    inside = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    docs = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = ""
            for part in node.values:
                filled = "X" if text.endswith((" ", "=")) else ""
                text += str(part.value) if isinstance(part, ast.Constant) else filled
            yield text
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {node} & (inside | docs):
            yield node.value


def list_printed() -> dict[str, str]:
    """The texts behind the name of the program in messages, as far as they may be a command, each with a module."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.name in NO_MESSAGES or not NAMED.search(source):
            continue
        for text in list_texts(ast.parse(source)):
            for named in NAMED.finditer(text):
                printed = _ENDS.split(text[named.end() :], maxsplit=1)[0].strip()
                found[printed] = str(path.relative_to(PACKAGE))
    return found


def take_command(text: str) -> list[str]:
    """The words of a text that are the command: its verb, its options with their values, and names in capitals."""
    words = shlex.split(text)
    command, context = GROUP, GROUP.make_context("gitbatch", [], resilient_parsing=True)
    taken: list[str] = []
    while words and (found := getattr(command, "get_command", lambda *_: None)(context, words[0])):
        context = found.make_context(words[0], [], parent=context, resilient_parsing=True)
        command = context.command
        taken.append(words.pop(0))
    values = {
        name for option in command.params if not getattr(option, "is_flag", True) for name in option.opts
    }
    for word in words:
        is_value = bool(taken) and taken[-1] in values
        if not (is_value or word.startswith("-") or re.fullmatch(r"[A-Z]+|X\S*|T[0-9]+", word)):
            break
        taken.append(FILLED.get(word, word))
    return taken


def parse_command(words: list[str]) -> None:
    """Reads a command line as gitbatch does; starts nothing."""
    command, context = GROUP, GROUP.make_context("gitbatch", words)
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)


def is_misspelled(text: str) -> bool:
    """Whether a text begins with what is nearly a verb, and not a word of a sentence about the program."""
    verbs, word = [*GROUP.commands], text.partition(" ")[0]
    is_sentence = word in verbs or word.endswith("s") or word == "agent"  # the author of an item's commit
    return not is_sentence and bool(get_close_matches(word, verbs, cutoff=0.75))


def test_every_command_that_a_message_names_is_accepted() -> None:
    """Its verb exists, its options are those of the verb, and they have their values."""
    printed = [(where, text, take_command(text)) for text, where in list_printed().items()]
    assert [(where, text) for where, text, words in printed if not words and is_misspelled(text)] == []
    commands = [words for _, _, words in printed if words and "--help" not in words]
    assert len(commands) > 40
    assert {words[0] for words in commands} >= {"review", "retry", "run", "abort", "rescue"}
    refused = []
    for words in commands:
        try:
            parse_command(words)
        except USAGE_ERROR as error:
            refused.append((shlex.join(words), str(error)))
    assert refused == [], "write messages whose commands can be run as they stand"


def follow_printed(here: Here, workspace: Workspace, text: str, done: set[str]) -> None:
    """Runs the commands that a text names, each once, as they stand there."""
    for named in NAMED.finditer(text):
        words = take_command(_ENDS.split(text[named.end() :], maxsplit=1)[0])
        if not words or shlex.join(words) in done or words == ["abort"]:  # that would end the batch
            continue
        done.add(shlex.join(words))
        asked = ("--checkpoint", "at-end") if words[:2] == ["run", "--items"] else ()  # in a terminal (O7)
        code, said, error = here(*words, *asked)
        assert code in {0, 1, 3}, (words, said, error)
    for command in re.findall(r"\bgit ((?:show|stash|reset|reflog) [^\n;()]+)", text):
        workspace.git(*shlex.split(command))
        done.add(f"git {command.split()[0]}")


@pytest.mark.rule("F7")
def test_commands_that_a_review_names_are_run(
    three: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each as it is printed, at once: by refusals and by what has been decided, while the batch runs and after its end."""
    three.edit("task.md", "Write b", "Write b do: fail")
    three.edit("tools/agent.sh", "fail) echo", 'fail) page >"$output"; echo')
    three.commit()
    run_here(three, monkeypatch, items="group:1,T301", checkpoint=CheckpointMode.parse("after-each"))
    three.environment["GIT_EDITOR"] = "sed -i '1i More.'"
    done: set[str] = set()
    three.write("out/letters/d.md", "mine\n")
    for arguments in (
        ("show", "T101"),
        ("rescue",),
        ("review", "T999", "--approve"),
        ("review", "T101@abcdef0", "--approve"),
        ("review", "T101@", "--approve"),
        ("undo", "T104"),
        ("status",),
        ("review", "T103", "--reject"),
        ("run",),
        ("status", "--stale"),
        ("undo", "T101"),
        ("run",),
        ("status",),
    ):
        code, said, error = here(*arguments)
        assert code != 4, error
        follow_printed(here, three, said + error, done)
    assert done >= {"run", "review --list", "review --list --json", "git stash", "retry --stale"}
