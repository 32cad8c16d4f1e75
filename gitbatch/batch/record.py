"""What a batch was started with, in git: a blob that a ref of the batch points to.

A batch exists if and only if its record ref does; it is over if and only if its end ref exists.
"""

import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gitbatch.batch.model import Record
from gitbatch.errors import GitbatchError
from gitbatch.repo.refs import BATCHES, base_ref, end_ref, record_ref
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees import remove_tree, remove_worktree, worktrees_named

_BATCH_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as git knows it."""

    record: Record
    base: str
    """The commit where it began."""
    ended: bool

    @property
    def id(self) -> str:
        """Its id: date, time and four random digits, so that names sort by age."""
        return self.record.batch


def new_batch_id(now: float) -> str:
    """An id that no other batch has."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(2)}"


def write_record(repo: Repository, record: Record, base: str) -> Batch:
    """Start a batch. Its base is pinned first: from the moment the record is there, all that it needs is."""
    blob = repo.objects.write_blob(msgspec.json.format(msgspec.json.encode(record), indent=1))
    repo.refs.create(base_ref(record.batch), base)
    repo.refs.create(record_ref(record.batch), blob)
    return Batch(record, base, ended=False)


def all_batches(repo: Repository) -> tuple[Batch, ...]:
    """Every batch of the repository, the oldest first; without those that are over and can't be read any more.

    Raises:
        GitbatchError: the record of an unfinished batch can't be read.
    """
    refs = repo.refs.below(BATCHES)
    ids = sorted({ref.split("/")[2] for ref in refs if ref.endswith("/record")})
    found = []
    for batch in ids:
        if not _BATCH_ID.fullmatch(batch) or base_ref(batch) not in refs:
            continue
        ended = end_ref(batch) in refs
        try:
            found.append(Batch(_read(repo, refs[record_ref(batch)], batch), refs[base_ref(batch)], ended))
        except GitbatchError:
            if not ended:
                raise
    return tuple(found)


def unfinished_batch(repo: Repository) -> Batch | None:
    """The batch that the next `run` goes on with."""
    return next((batch for batch in all_batches(repo) if not batch.ended), None)


def _read(repo: Repository, blob: str, batch: str) -> Record:
    try:
        return msgspec.json.decode(repo.objects.blob(blob), type=Record)
    except msgspec.DecodeError as error:
        raise GitbatchError(
            f"the record of batch {batch} can't be read: {error}",
            "it was written by another version of gitbatch; use that version to finish or abort the batch",
        ) from error


def end_batch(repo: Repository, batch: Batch, last: str) -> None:
    """Mark a batch as over, with the commit that it ended at."""
    repo.refs.create(end_ref(batch.id), last)


def remove_leftovers(repo: Repository, batch: Batch, workshop: Path) -> None:
    """Remove every worktree of a batch, wherever it was made, and the batch's workshop folder."""
    for path in worktrees_named(repo, f"{batch.id}-"):
        remove_worktree(repo, path)
    remove_tree(workshop)
