"""The wall: taking the one output file out of a worktree, and nothing else (rules O1, S1, S2).

The file is opened without following any link, must be a regular file with one name, and its descriptor is
handed to git, which stores the blob. We never read its bytes, never run git in the worktree, never commit
what an agent committed. The item's commit is then built from its base's tree and that one blob: whatever else
the agent did, there is no way for it into the commit.

An agent that says that it is done and has changed nothing fails at once: another attempt would be paid for the same.
What counts as nothing, where an earlier attempt's output was in place when it started (see `rescue.py`):

| in place when it started | the earlier attempt failed | what it leaves | |
|---|---|---|---|
| the base's version, or none | | the base's version | nothing changed: fails at once |
| an earlier attempt's output | (whatever for) | the base's version | nothing changed: fails at once |
| an earlier attempt's output | for another cause: its time, an exit code, a busy server, a limit, another file | that output | it is the output |
| an earlier attempt's output | for the output itself: declined, not usable, unchanged | that output | nothing changed: fails at once |
| (whatever) | | anything else | it is the output |

Which causes blame the output, the table of `limits/causes.py` says (`Treatment.blames_output`).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from gitbatch.agents.protocol import EarlierOutput, Failure
from gitbatch.agents.secrets import Secrets
from gitbatch.fs.disk import is_of_disk, raising_only_of_disk
from gitbatch.fs.nofollow import read_small, regular_file
from gitbatch.limits.causes import Cause
from gitbatch.paths import path_key
from gitbatch.repo.attributes import FilteredPathError, store
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.repository import Repository
from gitbatch.repo.search import holds_any
from gitbatch.repo.worktrees.worktree import Worktree
from gitbatch.text import CleanText, clean_text

_NAMED_STRAYS = 20


class Harvest(Struct, frozen=True):
    """The output as git has it now."""

    blob: str
    size: int


def harvest(  # each is one thing that it needs
    repo: Repository, worktree: Path, output: str, limit: int, tree: str, secrets: Secrets
) -> Harvest | Failure:
    """Take the output file. A failure of the cause `LEAK` means that it may not be kept anywhere, for rescue neither.

    Args:
        repo: where the blob is stored.
        worktree: the agent's folder.
        output: the output's path below it.
        limit: the most bytes it may have.
        tree: of the base: it says how line ends are stored, and what would be unchanged.
        secrets: values that it may not hold.
    """
    try:
        with regular_file(worktree, output) as (descriptor, status):
            problem = _size_problem(status.st_size, limit)
            blob = "" if problem else store(repo, descriptor, tree, output)
            size = repo.objects.read_size(blob) if blob else 0
            if size is None:  # pruned already
                raise MissingObjectError(blob)
    except FileNotFoundError:
        return _unusable("no output file was written")
    except (FilteredPathError, OSError) as error:
        if isinstance(error, OSError) and is_of_disk(error):  # ours, and not what the agent has put there
            raise
        return _unusable(f"the output can't be taken: {getattr(error, 'strerror', None) or error}")
    if problem:
        return problem
    before = repo.objects.find_entry(tree, output)
    if before and blob == before.oid:
        return _unchanged(f"{output} is as it was")
    # A process that is still alive may have written while git read: what counts is what was stored.
    return _size_problem(size, limit) or _secret_problem(repo, blob, secrets) or Harvest(blob, size)


def judge_change(taken: Harvest | Failure, output: str, earlier: EarlierOutput | None) -> Harvest | Failure:
    """Judges what was taken against what an earlier attempt had written, where that was there at the start."""
    if isinstance(taken, Failure) or earlier is None or earlier.may_stay or taken.blob != earlier.blob:
        return taken
    return _unchanged(f"{output} is as the last attempt left it, and that was not enough")


def _size_problem(size: int, limit: int) -> Failure | None:
    if size == 0:
        return _unusable("the output file is empty")
    if size > limit:
        return _unusable(f"the output file has {size} bytes, more than the limit of {limit}")
    return None


def _secret_problem(repo: Repository, blob: str, secrets: Secrets) -> Failure | None:
    """Returns why an output is refused that holds a secret; git looks into it, we do not (rule O1)."""
    names = secrets.found_by(lambda forms: holds_any(repo.git, blob, forms))
    if not names:
        return None
    reason = f"the output holds the value of {', '.join(names)}"
    advice = "if it is not secret, name it under public-env instead of pass-env"
    return Failure(clean_text(reason), (clean_text(advice),), Cause.LEAK)


def _unchanged(how: str) -> Failure:
    return Failure(clean_text(f"the agent changed nothing: {how}"), cause=Cause.UNCHANGED)


def _unusable(reason: str) -> Failure:
    return Failure(clean_text(reason), cause=Cause.NO_OUTPUT)


class Strays(Struct, frozen=True):
    """What else an agent changed in its worktree. Paths as harmless lines."""

    forbidden: tuple[CleanText, ...] = ()
    """Shared files and outputs of other items."""
    others: tuple[CleanText, ...] = ()


def find_strays(worktree: Worktree, output: str, forbidden: frozenset[str]) -> Strays:
    """Walk a worktree for what changed since it was made, without git and without following links.

    Args:
        worktree: the worktree.
        output: the item's own output.
        forbidden: paths, by `path_key`, of shared files and of all items' outputs.
    """
    changed = tuple(_changed(worktree))
    bad = {path for path in changed if path != output and path_key(path) in forbidden}
    bad |= {path for path in worktree.guarded if not os.path.lexists(worktree.path / path)}
    others = [path for path in changed if path not in bad and path != output]
    named = [clean_text(path) for path in others[:_NAMED_STRAYS]]
    more = [clean_text(f"and {len(others) - _NAMED_STRAYS} more")] if len(others) > _NAMED_STRAYS else []
    return Strays(tuple(sorted(map(clean_text, bad))), tuple(named + more))


def _changed(worktree: Worktree) -> Iterator[str]:
    """The paths below a worktree, folders aside, whose change time is after its making."""
    folders = [""]
    while folders:
        folder = folders.pop()
        with raising_only_of_disk(), os.scandir(worktree.path / folder) as entries:
            for entry in entries:
                path = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")
                elif entry.stat(follow_symlinks=False).st_ctime_ns > worktree.made and not (
                    path == ".git" and _is_pointer(worktree)
                ):
                    yield path


def _is_pointer(worktree: Worktree) -> bool:
    """Whether the `.git` of a worktree, which is touched when it is made, says what it said then."""
    try:
        return read_small(worktree.path, ".git", len(worktree.pointer) + 1) == worktree.pointer
    except OSError:
        return False
