"""The commits of a batch on its branch, by first parents: merges, checkpoints, reviews, and the user's own in between."""

import re
from collections.abc import Iterator

from msgspec import Struct

from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.trailers import Trailers, parse_trailers
from gitbatch.batch.report.model import ReportCommit
from gitbatch.repo.objects.codec import Commit
from gitbatch.repo.refs.names import end_ref
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text

_LATER = 100
"""The most commits after the end of a batch in which its reviews are looked for."""


class BranchCommit(Struct, frozen=True):
    """A commit of the branch, with its trailers."""

    shown: ReportCommit
    message: str
    trailers: Trailers
    """Empty if it is not of the batch."""


def read_branch_line(repo: Repository, batch: Batch) -> tuple[BranchCommit, ...]:
    """Returns the commits of a batch's branch since its base, the oldest first.

    Of a batch that has ended, up to its end, and then as long as the commits decide about its items.
    """
    end = (repo.refs.read(end_ref(batch.id)) or batch.last) if batch.ended else None
    tip = repo.refs.read(batch.record.target)
    listed = _list_commits(repo, batch.base, tip)
    if end and end not in listed:  # the branch was moved, or is gone
        return _read_all(repo, batch, _list_commits(repo, batch.base, end))
    at = listed.index(end) + 1 if end else len(listed)
    later = _take_own(batch, _read_all(repo, batch, listed[at : at + _LATER]))
    return (*_read_all(repo, batch, listed[:at]), *later)


def show_commit(commit: Commit, trailers: Trailers) -> ReportCommit:
    """Returns a commit as a report shows it."""
    name, _, rest = commit.committer.partition(" <")
    at = re.search(r"> ([0-9]{1,12}) ", rest)  # other programs have written commits without a time
    subject = clean_text(commit.message.partition("\n")[0])
    return ReportCommit(commit.oid, trailers.kind, subject, float(at[1]) if at else 0.0, clean_text(name))


def _list_commits(repo: Repository, base: str, tip: str | None) -> list[str]:
    if tip is None or tip == base:
        return []
    return repo.git.read_output("rev-list", "--first-parent", "--reverse", f"^{base}", tip).split()


def _read_all(repo: Repository, batch: Batch, oids: list[str]) -> tuple[BranchCommit, ...]:
    return tuple(_read_commit(repo, batch, oid) for oid in oids)


def _read_commit(repo: Repository, batch: Batch, oid: str) -> BranchCommit:
    commit = repo.objects.read_commit(oid)
    trailers = parse_trailers(commit.message)
    own = trailers if trailers.batch == batch.id else Trailers()
    return BranchCommit(show_commit(commit, own), commit.message, own)


def _take_own(batch: Batch, later: tuple[BranchCommit, ...]) -> Iterator[BranchCommit]:
    """Yields the commits after a batch's end up to its last own one."""
    own = [at for at, commit in enumerate(later, 1) if commit.trailers.batch == batch.id]
    yield from later[: max(own, default=0)]
