"""Searches a stored file for texts without reading it: git reports only whether it has found one (rule O1)."""

from collections.abc import Iterable

from gitbatch.errors import GitError
from gitbatch.repo.process import Git

_FOUND, _NOT_FOUND = 0, 1
_GREP = ("grep", "--quiet", "--text", "--fixed-strings", "--threads=1", "--no-textconv", "-f", "-")
"""The texts are passed on standard input: every process of the machine can read a command line."""


def holds_any(git: Git, blob: str, texts: Iterable[str]) -> bool:
    """Returns whether a line of a blob contains one of the texts, byte for byte.

    Args:
        git: of the repository.
        blob: its object id.
        texts: none is empty or has a line break.

    Raises:
        GitError: the blob is missing.
    """
    wanted = "".join(f"{text}\n" for text in texts).encode(errors="surrogateescape")
    found = git.run(*_GREP, blob, input=wanted, check=False)
    if found.status not in {_FOUND, _NOT_FOUND}:
        raise GitError(("grep", blob), found.status, found.stderr)
    return found.status == _FOUND
