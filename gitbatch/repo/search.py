"""Looking for texts in a stored file without reading it: git does, and says only whether it has found one (rule O1)."""

from collections.abc import Iterable

from gitbatch.errors import GitError
from gitbatch.repo.process import Git

_FOUND, _NOT_FOUND = 0, 1
_LOOK = ("grep", "--quiet", "--text", "--fixed-strings", "--threads=1", "--no-textconv", "-f", "-")
"""The texts come on standard input: a command line can be read by every process of the machine."""


def holds_any(git: Git, blob: str, texts: Iterable[str]) -> bool:
    """Returns whether a line of a blob has one of some texts in it, byte for byte.

    Args:
        git: of the repository.
        blob: its object id.
        texts: none is empty or has a line break.

    Raises:
        GitError: the blob is not there.
    """
    wanted = "".join(f"{text}\n" for text in texts).encode(errors="surrogateescape")
    found = git.run(*_LOOK, blob, input=wanted, check=False)
    if found.status not in {_FOUND, _NOT_FOUND}:
        raise GitError(("grep", blob), found.status, found.stderr)
    return found.status == _FOUND
