"""Reads a Seatbelt profile as the kernel does, as far as ours go: rules that allow, with filters for paths.

It is written from the language, not from the generator: a profile with a construct that it does not know is an error.
"""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

Form: TypeAlias = "str | list[Form]"
_TOKEN = re.compile(r'\s*(?:([()])|"((?:[^"\\]|\\.)*)"|([^\s()"]+))', re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_READS = ("file-read-data", "file-map-executable", "process-exec")
_WRITES = ("file-write-data", "file-write-create", "file-write-unlink", "file-write-mode")


class Profile:
    """The rules of a profile."""

    def __init__(self, text: str) -> None:
        version, default, *rules = _parse(text)
        assert (version, default) == (["version", "1"], ["deny", "default"])
        assert {str(rule[0]) for rule in rules} == {"allow"}, "the order of rules would matter"
        self.rules = [_split(rule[1:]) for rule in rules]

    def filters(self, operation: str) -> list[list[Form]]:
        """Returns the filters of each rule that allows an operation."""
        return [
            filters for names, filters in self.rules if any(fnmatchcase(operation, name) for name in names)
        ]

    def allows(self, operation: str, path: str) -> bool:
        """Whether an operation on a path is allowed."""
        return any(
            not filters or any(_matches(form, path) for form in filters)
            for filters in self.filters(operation)
        )

    def access(self, path: str) -> str:
        """Returns `write`, `read` or nothing; half an access is an error."""
        writes = {self.allows(operation, path) for operation in _WRITES}
        reads = {self.allows(operation, path) for operation in _READS}
        assert len(reads) == len(writes) == 1, (path, reads, writes)
        return "write" if writes == {True} and reads == {True} else "read" if reads == {True} else ""

    def strings(self, operation: str, kind: str) -> set[str]:
        """Returns the strings in the filters of one kind of an operation."""
        return {str(form[1]) for filters in self.filters(operation) for form in filters if form[0] == kind}


def _split(forms: "list[Form]") -> "tuple[list[str], list[Form]]":
    return [form for form in forms if isinstance(form, str)], [
        form for form in forms if not isinstance(form, str)
    ]


def _matches(form: "Form", path: str) -> bool:
    assert not isinstance(form, str)
    kind, *rest = form
    match kind:
        case "require-all":
            return all(_matches(part, path) for part in rest)
        case "require-not":
            return not _matches(rest[0], path)
        case "literal":
            return path == rest[0]
        case "subpath":
            return Path(path).is_relative_to(str(rest[0]))
        case _:
            return False


def _parse(text: str) -> "list[list[Form]]":
    stack: list[list[Form]] = [[]]
    position = 0
    while text[position:].strip():
        token = _TOKEN.match(text, position)
        assert token, text[position : position + 40]
        position = token.end()
        mark, string, word = token.groups()
        if mark == "(":
            stack.append([])
        elif mark == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(_unescape(string) if string is not None else word)
    (forms,) = stack
    return [form for form in forms if not isinstance(form, str)]


def _unescape(string: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), string, flags=re.DOTALL)
