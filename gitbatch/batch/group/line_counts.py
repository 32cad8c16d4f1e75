"""The lines that each item of a checkpoint added and removed. git counts them: no output is read here (rule O1)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.line_count import LineCount
from gitbatch.batch.model import Checkpoint
from gitbatch.repo.private_dir import private_git
from gitbatch.repo.repository import Repository

if TYPE_CHECKING:
    import subprocess

_COUNT = ("diff-tree", "--stdin", "--numstat", "-r", "-z", "--no-renames", "--no-ext-diff", "--no-textconv")


class LineCounter(Struct, frozen=True):
    """A git process that counts the lines of commits once."""

    process: "subprocess.Popen[bytes]"

    def count_lines(self, commits: Sequence[str]) -> Mapping[str, LineCount]:
        """Returns the lines that commits changed, by their ids. What git cannot count is left out."""
        stdout, _ = self.process.communicate("".join(f"{oid}\n" for oid in commits).encode())
        return {} if self.process.returncode else _parse_counts(stdout.decode(errors="replace").split("\0"))


@contextmanager
def start_counting(repo: Repository) -> Iterator[LineCounter]:
    """Starts git's process: until it is asked, it starts while this process does something else."""
    with private_git(repo) as git, git.start(*_COUNT) as process:
        yield LineCounter(process)


def count_lines(repo: Repository, commits: Sequence[str]) -> Mapping[str, LineCount]:
    """Returns what a counter does, by a process for this alone."""
    if not commits:
        return {}
    with start_counting(repo) as counter:
        return counter.count_lines(commits)


def add_line_counts(checkpoint: Checkpoint, counter: LineCounter) -> Checkpoint:
    """Returns a checkpoint with the lines that its items changed. What git cannot count stays unknown."""
    commits = [str(outcome.commit) for outcome in checkpoint.outcomes if outcome.succeeded and outcome.commit]
    if not commits:
        return checkpoint
    counts = counter.count_lines(commits)
    outcomes = tuple(
        replace(outcome, lines=counts.get(str(outcome.commit))) if outcome.succeeded else outcome
        for outcome in checkpoint.outcomes
    )
    return replace(checkpoint, outcomes=outcomes)


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
