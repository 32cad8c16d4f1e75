"""The lines that each item of a checkpoint added and removed. git counts them: no output is read here (rule O1)."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.line_count import LineCount
from gitbatch.batch.model import Checkpoint, Outcome
from gitbatch.repo.pipe import AT_ONCE
from gitbatch.repo.private_dir import private_git
from gitbatch.repo.repository import Repository

if TYPE_CHECKING:
    import subprocess

_COUNT = ("diff-tree", "--stdin", "--numstat", "-r", "-z", "--no-renames", "--no-ext-diff", "--no-textconv")


class LineCounter(Struct):
    """A git process that counts the lines of commits once."""

    process: "subprocess.Popen[bytes]"
    _asked: frozenset[str] = frozenset()

    def begin(self, outcomes: Iterable[Outcome]) -> None:
        """Lets git count commits that may be asked for later: as many as fit into a pipe whether it reads them or not."""
        some = _list_commits(outcomes)[:AT_ONCE]
        self._send(some)
        self._asked = frozenset(some)

    def count_lines(self, commits: Sequence[str]) -> Mapping[str, LineCount]:
        """Returns the lines that commits changed, by their ids. What git cannot count is left out."""
        rest = (oid for oid in commits if oid not in self._asked)
        stdout, _ = self.process.communicate(_render_ids(rest))
        return {} if self.process.returncode else _parse_counts(stdout.decode(errors="replace").split("\0"))

    def _send(self, commits: Sequence[str]) -> None:
        assert self.process.stdin is not None  # noqa: S101 - it was started with a pipe
        with suppress(BrokenPipeError):  # git has failed, which its exit code says
            os.write(self.process.stdin.fileno(), _render_ids(commits))


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
    commits = _list_commits(checkpoint.outcomes)
    if not commits:
        return checkpoint
    counts = counter.count_lines(commits)
    outcomes = tuple(
        replace(outcome, lines=counts.get(str(outcome.commit))) if outcome.succeeded else outcome
        for outcome in checkpoint.outcomes
    )
    return replace(checkpoint, outcomes=outcomes)


def _list_commits(outcomes: Iterable[Outcome]) -> list[str]:
    return [str(outcome.commit) for outcome in outcomes if outcome.succeeded and outcome.commit]


def _render_ids(commits: Iterable[str]) -> bytes:
    return "".join(f"{oid}\n" for oid in commits).encode()


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
