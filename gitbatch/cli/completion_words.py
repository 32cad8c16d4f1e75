"""The words that may follow a command line that is being typed."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from gitbatch.cli.completion_values import CompletionWord, find_values
from gitbatch.cli.lazy import load_command
from gitbatch.cli.verbs import VERBS

_PROGRAMS = ("gitbatch", "git-batch", "batch")
_FOLDER = "-C"


class _Typed(Struct, frozen=True):
    """A command line before the cursor: its whole words, and the one that is being typed."""

    words: tuple[str, ...]
    last: str


def complete_line(line: str) -> tuple[CompletionWord, ...]:
    """Returns the words that may stand where a command line ends; none where a path may stand."""
    typed = _split_line(line)
    found = _find_candidates(typed.words, typed.last)
    return tuple(candidate for candidate in found if candidate.value.startswith(typed.last))


def _split_line(line: str) -> _Typed:
    """Splits a line as a shell does; an open quotation ends with the line."""
    for closing in ("", "'", '"'):
        try:
            words = shlex.split(line + closing)
            break
        except ValueError:
            continue
    else:
        words = line.split()
    last = words.pop() if words and (line[-1:].strip() or line.endswith("\\ ")) else ""
    if words[:1] == ["git"] and words[1:2] == ["batch"]:
        return _Typed(tuple(words[2:]), last)
    is_named = bool(words) and Path(words[0]).name in _PROGRAMS
    return _Typed(tuple(words[1:] if is_named else words), last)


def _find_candidates(words: tuple[str, ...], last: str) -> Iterator[CompletionWord]:
    from typer.main import get_command

    from gitbatch.cli.main import app  # the root has options of its own

    command: Any = get_command(app)
    folder = Path()
    rest = list(words)
    path: list[str] = []
    while rest:
        word = rest.pop(0)
        option = _find_option(command, word)
        if option is not None and not option.is_flag and "=" not in word:
            if not rest:
                yield from find_values(" ".join(path), option, folder, last)
                return
            value = rest.pop(0)
            folder = folder / value if word == _FOLDER else folder
        elif not word.startswith("-") and hasattr(command, "commands"):
            command = _load_subcommand(command, word, at_root=not path)
            if command is None:
                return
            path.append(word)
    yield from _list_words(command, " ".join(path), folder, last)


def _load_subcommand(command: Any, name: str, *, at_root: bool) -> Any:  # noqa: ANN401 - typer's own click
    if not at_root:
        return command.commands.get(name)
    targets = {verb: target for verb, target, _ in VERBS}
    return load_command(name, targets[name]) if name in targets else None


def _find_option(command: Any, word: str) -> Any:  # noqa: ANN401 - as above
    """Returns the option that a word names, or None."""
    name = word.partition("=")[0]
    return next((option for option in command.params if name.startswith("-") and name in option.opts), None)


def _list_words(command: Any, path: str, folder: Path, last: str) -> Iterator[CompletionWord]:  # noqa: ANN401 - as above
    """Yields the commands, or what an argument may be; after a dash, the options."""
    if last.startswith("-"):
        for option in command.params:
            if option.opts[0].startswith("-") and not getattr(option, "hidden", False):
                yield CompletionWord(max(option.opts, key=len), option.help or "")
        yield CompletionWord("--help", "Show this message.")
        return
    if hasattr(command, "commands"):
        for name, each in command.commands.items():
            yield CompletionWord(name, each.help or "")
        return
    arguments = [each for each in command.params if not each.opts[0].startswith("-")]
    for argument in arguments[:1]:
        yield from find_values(path, argument, folder, last)
