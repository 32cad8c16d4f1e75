"""How a repository path is written: as bytes for git and the disk, as one line of text in a list or a commit message.

A path may have every character but NUL. Text that can hold only some of them has the path in git's own quoted form:
in double quotes, each byte that is out of place as a backslash and three octal digits. git reads that form, and
`unquote_path` gives the path back byte for byte.
"""

import re

_FORGE = frozenset('"\\#@*[]')
"""Characters of what a forge obeys or links in a commit message: `[skip ci]`, `***NO_CI***`, `Fixes #1`, `@name`."""
_KEYWORD = re.compile(r"\b(?:clos(?:e[sd]?|ing)|(?:fix|implement|resolv)(?:e?[sd]|e|ing)?) ", re.IGNORECASE)
"""What closes an issue of GitHub, GitLab, Bitbucket or Jira, with the space before the issue (`Fixes ABC-1`)."""
_QUOTED = re.compile(rb'"((?:[^"\\]|\\[0-3][0-7]{2})+)"')
_BYTE = re.compile(rb"\\([0-7]{3})")


def encode_path(path: str) -> bytes:
    """A repository path as git has it: UTF-8, whatever the locale is."""
    return path.encode("utf-8", "surrogateescape")


def decode_path(name: bytes) -> str:
    """A repository path from the bytes that git has; bytes that are not UTF-8 become lone surrogates."""
    return name.decode("utf-8", "surrogateescape")


def quote_path(path: str) -> str:
    """A path as a line of a list or a prompt: as it is, unless it has characters that cannot be shown."""
    if path.isprintable() and not path.startswith('"'):
        return path
    return _quoted(path, {at for at, c in enumerate(path) if not c.isprintable() or c in '"\\'})


def quote_for_message(path: str) -> str:
    """A path as it stands in a commit message: no forge finds an order, an issue or a name in it."""
    unsafe = {at for at, c in enumerate(path) if not c.isprintable() or c in _FORGE}
    unsafe |= {found.end() - 1 for found in _KEYWORD.finditer(path)}
    return _quoted(path, unsafe) if unsafe else path


def unquote_path(text: str) -> str:
    """The path that `quote_path` or `quote_for_message` has written; empty if the quotes hold none."""
    if not text.startswith('"'):
        return text
    found = _QUOTED.fullmatch(encode_path(text))
    return decode_path(_BYTE.sub(lambda octal: bytes((int(octal[1], 8),)), found[1])) if found else ""


def _quoted(path: str, unsafe: set[int]) -> str:
    written = (
        "".join(f"\\{byte:03o}" for byte in encode_path(c)) if at in unsafe else c
        for at, c in enumerate(path)
    )
    return f'"{"".join(written)}"'
