"""The paths of the worktree that the command of a check or gate names: pure functions over its table."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import PurePosixPath
from posixpath import normpath

from gitbatch.patterns import compile_later
from gitbatch.project.check_tables import ProgramTable

IMPORT_PATH = "PYTHONPATH"
_SUBJECT = "{output}"
_IMPORT_PATHS = frozenset({IMPORT_PATH, "MYPYPATH", "NODE_PATH", "RUBYLIB", "PERL5LIB"})
_PARTS = compile_later(r"[=:,]")
_SHELL_WORDS = compile_later(r"[;&|(){}!\n]|[^\s;&|(){}!<>'\"`]+")
_SHELL_OPERATORS = frozenset(";&|(){}!\n")
_HERE = compile_later(r"\{worktree\}/|\$PWD/|\$\{PWD\}/|\$\(pwd\)/")
"""The worktree, in the text of a shell command."""
_BEFORE_PROGRAM = compile_later(
    r"(?:ba|da|k|z)?sh|python[0-9.]*|node|perl|ruby|env|exec|time|nice|timeout|uv|run|\.|source|command"
    r"|if|then|else|do|while|until|[0-9.]+[smh]?|\w+=.*"
)
"""Words after which a shell, or the program that it starts, takes the next one for a program."""
_RULES = compile_later(r"-c|--?[\w-]*(?:config|rule|style|settings|schema|ignore)[\w-]*")
"""Options whose value is a file with rules."""


def find_named_paths(table: ProgramTable) -> Iterator[str]:
    """Yields the paths that the command and the variables of a check may name, `{output}` excepted.

    Folders that programs import from are not among them: what is imported may be what is judged.
    """
    for text in table.command:
        yield from read_paths(text)
        yield from _find_modules(_split_text(text))
    yield from _find_modules(table.command)
    yield from find_rules(table)


def find_judges(table: ProgramTable) -> Iterator[str]:
    """Yields the paths that a command names as what judges: its program, the module that it runs, files with rules."""
    yield from _plain_paths(_find_programs(word for word in table.command if not _is_text(word)))
    for text in filter(_is_text, table.command):
        yield from read_paths(text)
        yield from _find_modules(_split_text(text))
    yield from _find_modules(table.command)
    yield from find_rules(table)


def find_rules(table: ProgramTable) -> Iterator[str]:
    """Yields the files and folders with rules that a command names by options, and what its variables name."""
    options = [part for word in table.command for part in word.split("=", 1)]
    yield from _plain_paths(value for option, value in pairwise(options) if _RULES.fullmatch(option))
    for name, text in table.env.items():
        if name not in _IMPORT_PATHS:
            yield from read_paths(text)


def read_paths(text: str) -> Iterator[str]:
    """Yields the paths that a text may name: as a whole, in its parts, or as the programs that a shell starts."""
    words = _split_text(text) if _is_text(text) else None
    yield from _plain_paths((text, *_PARTS.split(text)) if words is None else _find_programs(words))


def _is_text(word: str) -> bool:
    """Whether an argument is several words: the text of a shell command."""
    return len(word.split()) > 1


def _split_text(text: str) -> list[str]:
    return _SHELL_WORDS.findall(_HERE.sub("./", text))


def _find_programs(words: Iterable[str]) -> Iterator[str]:
    """Yields the words that stand where a program does. Other words may be what it judges."""
    is_program = True
    for word in words:
        if word in _SHELL_OPERATORS:
            is_program = True
        elif is_program and not word.startswith("-"):
            yield word
            is_program = _BEFORE_PROGRAM.fullmatch(PurePosixPath(word).name or word) is not None


def _find_modules(words: Iterable[str]) -> Iterator[str]:
    """Yields the files of a module that Python runs."""
    for flag, module in pairwise(words):
        if flag == "-m":
            path = module.replace(".", "/")
            yield from (f"{path}.py", f"{path}/__main__.py", f"{path}/__init__.py")


def _plain_paths(words: Iterable[str]) -> Iterator[str]:
    """Yields those of some words that can be paths in the worktree, in git's form."""
    for word in words:
        path = word.removeprefix("{worktree}")
        if word.startswith("/") or not path.strip("/") or _SUBJECT in path:
            continue
        if (plain := normpath(path.strip("/"))) != ".":
            yield plain
