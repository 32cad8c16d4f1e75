"""Repository paths: comparing them, walking up to the root, and writing them as bytes or as one line of text.

A path may have every character but NUL. Text that can hold only some of them has the path in git's own quoted form:
in double quotes, each byte that is out of place as a backslash and three octal digits. git reads that form, and
`unquote_path` gives the path back byte for byte.
"""

import re
import unicodedata
from collections.abc import Callable
from itertools import accumulate

from gitbatch.patterns import compile_later

_FORGE = frozenset('"\\#@*[]')
"""Characters of the texts that a forge obeys or links in a commit message: `[skip ci]`, `***NO_CI***`, `Fixes #1`, `@name`."""
_KEYWORD = compile_later(
    r"\b(?:clos(?:e[sd]?|ing)|(?:fix|implement|resolv)(?:e?[sd]|e|ing)?) ", re.IGNORECASE
)
"""Keywords that close an issue of GitHub, GitLab, Bitbucket or Jira, with the space before the issue (`Fixes ABC-1`)."""
_QUOTED = compile_later(rb'"((?:[^"\\]|\\[0-3][0-7]{2})+)"')
_BYTE = compile_later(rb"\\([0-7]{3})")


def path_key(path: str) -> str:
    """Returns the form by which paths are compared: equal for two that are the same file on some file system.

    Composed (NFC), casefolded, and composed again, as casefolding can decompose a letter.
    """
    if path.isascii():  # most are, and a large plan asks often
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def ancestors(path: str) -> list[str]:
    """Returns the folders that a path is in, the outermost first, without the root."""
    return list(accumulate(path.split("/")[:-1], "{}/{}".format))


def first_non_folder(path: str, is_folder: Callable[[str], bool | None]) -> str | None:
    """Returns the outermost ancestor of a path that exists and is not a folder; None: the path can be created.

    Args:
        path: a repository path.
        is_folder: asked for each ancestor; None: nothing is there, and so nothing is below it.
    """
    for above in ancestors(path):
        answer = is_folder(above)
        if not answer:
            return above if answer is False else None
    return None


def encode_path(path: str) -> bytes:
    """Returns a repository path as git stores it: in UTF-8, whatever the locale is."""
    return path.encode("utf-8", "surrogateescape")


def decode_path(name: bytes) -> str:
    """Returns a repository path from git's bytes; bytes that are not UTF-8 become lone surrogates."""
    return name.decode("utf-8", "surrogateescape")


def quote_path(path: str) -> str:
    """Returns a path for a line of a list or a prompt: unchanged, unless it has characters that cannot be shown."""
    if path.isprintable() and not path.startswith('"'):
        return path
    return _quoted(path, {at for at, c in enumerate(path) if not c.isprintable() or c in '"\\'})


def quote_for_message(path: str) -> str:
    """Returns a path for a commit message, in which no forge finds a command, an issue or a name."""
    unsafe = {at for at, c in enumerate(path) if not c.isprintable() or c in _FORGE}
    if " " in path:  # as few have
        unsafe |= {found.end() - 1 for found in _KEYWORD.finditer(path)}
    return _quoted(path, unsafe) if unsafe else path


def unquote_path(text: str) -> str:
    """Returns the path that `quote_path` or `quote_for_message` has written; empty if the quotes hold none."""
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
