"""The lines that each item of a checkpoint added and removed. git counts them: no output is read here (rule O1)."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from msgspec.structs import replace

from gitbatch.batch.line_count import LineCount
from gitbatch.batch.model import Checkpoint
from gitbatch.errors import GitError
from gitbatch.repo.private_dir import private_git
from gitbatch.repo.repository import Repository

_COUNT = ("diff-tree", "--stdin", "--numstat", "-r", "-z", "--no-renames", "--no-ext-diff", "--no-textconv")


def add_line_counts(repo: Repository, checkpoint: Checkpoint) -> Checkpoint:
    """Returns a checkpoint with the lines that its items changed. What git cannot count stays unknown."""
    commits = [str(outcome.commit) for outcome in checkpoint.outcomes if outcome.succeeded and outcome.commit]
    if not commits:
        return checkpoint
    counts = count_lines(repo, commits)
    outcomes = tuple(
        replace(outcome, lines=counts.get(str(outcome.commit))) if outcome.succeeded else outcome
        for outcome in checkpoint.outcomes
    )
    return replace(checkpoint, outcomes=outcomes)


def count_lines(repo: Repository, commits: Sequence[str]) -> Mapping[str, LineCount]:
    """Returns the lines that commits changed, by their ids. What git cannot count is left out."""
    with suppress(GitError), private_git(repo) as git:
        stdout = git.run(*_COUNT, input="".join(f"{oid}\n" for oid in commits).encode()).stdout
        return _parse_counts(stdout.decode(errors="replace").split("\0"))
    return {}


def _parse_counts(tokens: Iterable[str]) -> dict[str, LineCount]:
    """Returns the counts by commit: git names a commit, then `added TAB removed TAB path` for each of its paths."""
    found: dict[str, LineCount] = {}
    commit = ""
    for token in tokens:
        added, tab, rest = token.partition("\t")
        if not tab:
            commit = token
        elif added.isdecimal():  # a binary file has "-"
            found[commit] = LineCount(int(added), int(rest.partition("\t")[0]))
    return found
