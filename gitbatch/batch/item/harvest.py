"""The wall: storing the one output of an item as a blob, and nothing else (rules O1, S1, S2).

The source opens the file without following a link and yields a descriptor of a regular file with one name; git reads
the descriptor and stores the blob. gitbatch never reads the bytes, never runs git in the worktree, and never commits
what an agent committed. The item's commit is then built from the tree of its base and that one blob, so no other
change of the agent can get into the commit.

An agent that reports success without a change fails at once: another attempt would cost the same and find the same.
The table says which output counts as unchanged, where an earlier attempt's output was in place at the start (see
`rescue.py`):

| in place at the start | the earlier attempt failed | what the agent leaves | |
|---|---|---|---|
| the base's version, or none | | the base's version | unchanged: fails at once |
| an earlier attempt's output | for any cause | the base's version | unchanged: fails at once |
| an earlier attempt's output | for another cause: its time, an exit code, a busy server, a limit, another file | that output | it is the output |
| an earlier attempt's output | for the output itself: declined, not usable, unchanged | that output | unchanged: fails at once |
| (any) | | anything else | it is the output |

The table in `limits/causes.py` says which causes blame the output (`Treatment.blames_output`).
"""

from msgspec import Struct

from gitbatch.agents.protocol import EarlierOutput, Failure
from gitbatch.agents.secrets import Secrets
from gitbatch.batch.workplace.protocol import OutputSource
from gitbatch.fs.disk import is_of_disk
from gitbatch.fs.nofollow import describe_open_error
from gitbatch.limits.causes import Cause
from gitbatch.repo.attributes import FilteredPathError, store
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.repository import Repository
from gitbatch.repo.search import holds_any
from gitbatch.text import clean_text


class Harvest(Struct, frozen=True):
    """The output as git stores it."""

    blob: str
    size: int


def harvest_output(
    repo: Repository, source: OutputSource, output: str, limit: int, tree: str, secrets: Secrets
) -> Harvest | Failure:
    """Stores the output. A failure of the cause `LEAK` means that it may not be kept at all, not even for a retry.

    Args:
        repo: where the blob is stored.
        source: opens the bytes.
        output: the output's path in the tree.
        limit: the maximum size in bytes.
        tree: the base's: its attributes say how line ends are stored, and its version is the unchanged one.
        secrets: values that the output may not hold.
    """
    try:
        with source() as (descriptor, length):
            problem = _size_problem(length, limit)
            blob = "" if problem else store(repo, descriptor, tree, output)
            size = repo.objects.read_size(blob) if blob else 0
            if size is None:  # pruned already
                raise MissingObjectError(blob)
    except FileNotFoundError:
        return _unusable_output("no output file was written")
    except (FilteredPathError, OSError) as error:
        if isinstance(error, OSError) and is_of_disk(error):  # our disk, not what the agent has put there
            raise
        why = describe_open_error(error) if isinstance(error, OSError) else error
        return _unusable_output(f"cannot take the output: {why}")
    if problem:
        return problem
    before = repo.objects.find_entry(tree, output)
    if before and blob == before.oid:
        return _unchanged_output(f"{output} is as it was")
    # A process that is still alive may have written while git read: the stored size counts.
    return _size_problem(size, limit) or _secret_problem(repo, blob, secrets) or Harvest(blob, size)


def judge_change(taken: Harvest | Failure, output: str, earlier: EarlierOutput | None) -> Harvest | Failure:
    """Compares the stored output with an earlier attempt's, where that was in place at the start."""
    if isinstance(taken, Failure) or earlier is None or earlier.may_stay or taken.blob != earlier.blob:
        return taken
    return _unchanged_output(f"{output} is as the last attempt left it, and that was not enough")


def _size_problem(size: int, limit: int) -> Failure | None:
    if size == 0:
        return _unusable_output("the output file is empty")
    if size > limit:
        return _unusable_output(f"the output file has {size} bytes, more than the limit of {limit}")
    return None


def _secret_problem(repo: Repository, blob: str, secrets: Secrets) -> Failure | None:
    """Returns why an output that holds a secret is refused; git searches it, gitbatch does not read it (rule O1)."""
    names = secrets.found_by(lambda forms: holds_any(repo.git, blob, forms))
    if not names:
        return None
    reason = f"the output holds the value of {', '.join(names)}"
    advice = "if it is not secret, name it under public-env instead of pass-env"
    return Failure(clean_text(reason), (clean_text(advice),), Cause.LEAK)


def _unchanged_output(how: str) -> Failure:
    return Failure(clean_text(f"the agent changed nothing: {how}"), cause=Cause.UNCHANGED)


def _unusable_output(reason: str) -> Failure:
    return Failure(clean_text(reason), cause=Cause.NO_OUTPUT)
