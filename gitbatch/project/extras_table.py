"""The settings of `[batch]` about what worktrees have besides the files of a commit: included files, prepared ones."""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from gitbatch.patterns import compile_later
from gitbatch.project.agent_table import ConfigTable, Positive, duration_problem
from gitbatch.project.path_patterns import compile_pattern, pattern_problem

_GLOB = compile_later(r"[*?\[\]!\\]")


class ExtrasTable(ConfigTable, frozen=True):
    """The settings of what worktrees have besides the files of a commit."""

    include: tuple[str, ...] = ()
    """Patterns, as in a `.gitignore`, of ignored paths of the checkout that worktrees get, besides `.worktreeinclude`."""
    include_max: Positive = 2 * 1024**3
    """Bytes that they may have together."""
    prepare: tuple[str | tuple[str, ...], ...] = ()
    """A command, or a list of commands, whose results in a worktree every worktree of the batch gets."""
    prepare_on: tuple[str, ...] = ()
    """The tracked files that they depend on; none: all of the commit that the batch starts from."""
    prepare_network: bool = False
    """Whether they may use the network."""
    prepare_timeout: str = "30m"
    """Of each command."""
    prepare_sandbox: Literal["auto", "bubblewrap", "landlock", "seatbelt", "none"] = "auto"

    @property
    def prepare_commands(self) -> tuple[tuple[str, ...], ...]:
        """Returns the commands, each as an argument list."""
        if not self.prepare:
            return ()
        lists = tuple(part for part in self.prepare if isinstance(part, tuple))
        return lists or (tuple(part for part in self.prepare if isinstance(part, str)),)

    @property
    def included_paths(self) -> frozenset[str]:
        """Returns what `include` names without a pattern: a path that may have a name that looks like a secret."""
        return frozenset(each.strip("/") for each in self.include if not _GLOB.search(each))

    def is_prepared_from(self, path: str) -> bool:
        """Whether `prepare-on` names a file: by its path from the top folder, or by a pattern."""
        names, patterns = split_names(self.prepare_on)
        return bool(self.prepare) and (path in names or any(each.fullmatch(path) for each in patterns))

    def find_extra_problems(self) -> Iterator[tuple[str, str | None]]:
        """Yields the name of each of these settings whose value needs more than its type checked, and its problem or None."""
        for pattern in self.include:
            yield "include", _include_problem(pattern)
        yield "prepare", _commands_problem(self.prepare)
        for pattern in self.prepare_on:
            yield "prepare-on", pattern_problem(pattern)
        yield "prepare-timeout", duration_problem(self.prepare_timeout)


def split_names(wanted: Iterable[str]) -> tuple[tuple[str, ...], tuple[re.Pattern[str], ...]]:
    """Returns the paths from the top folder, and the patterns, among what `prepare-on` has."""
    given = tuple(wanted)
    names = tuple(each.strip("/") for each in given if not _GLOB.search(each))
    return names, tuple(compile_pattern(each) for each in given if _GLOB.search(each))


def _include_problem(pattern: str) -> str | None:
    is_valid = pattern.strip("/ ") and not {"\n", "\0"} & set(pattern) and not pattern.startswith("#")
    return None if is_valid else f"{pattern!r} is not a pattern of ignored paths"


def _commands_problem(prepare: tuple[str | tuple[str, ...], ...]) -> str | None:
    words = [part for part in prepare if isinstance(part, str)]
    if words and len(words) < len(prepare):
        return "write one command as a list of arguments, or several as a list of such lists"
    lists = [part for part in prepare if isinstance(part, tuple)]
    if any(not command or not command[0] for command in lists) or (words and not words[0]):
        return "a command is empty"
    named = [*words, *(word for command in lists for word in command)]
    return "an argument holds a NUL character" if "\0" in "".join(named) else None
