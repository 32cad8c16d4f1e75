"""The record of a batch in git: a blob with the parameters that it was started with, and a ref that points to it.

A batch exists if and only if its record ref does; it has ended if and only if its end ref exists.
"""

import time
from contextlib import suppress

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.batch.history.trailers import FORMAT
from gitbatch.batch.model import RECORD_VERSION, Record
from gitbatch.errors import GitbatchError
from gitbatch.patterns import compile_later
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.refs.names import BATCHES, HEADS, base_ref, building_ref, end_ref, record_ref
from gitbatch.repo.repository import Repository, VanishedObjectsError

BATCH_ID = compile_later(r"\d{8}-\d{6}-[0-9a-f]{4}")
"""Matches the id of a batch, and no other name that gitbatch gives."""


class Batch(Struct, frozen=True):
    """A batch as git has it."""

    record: Record
    base: str
    """The commit where it began."""
    ended: bool
    last: str = ""
    """The last commit of a batch that has no refs any more (see `rebuilt.py`); empty for every other."""

    @property
    def id(self) -> str:
        """Returns the id: date, time and a 65,536th of a second, so that names sort by age."""
        return self.record.batch


class _StatedVersion(Struct, frozen=True):
    """The versions that a record states. They are read first: another version's record may have any other fields."""

    version: int
    format: int = 0


class _StatedPlan(Struct, frozen=True):
    """The field by which batches are kept apart; a record of another version may lack it."""

    plan_path: str = field(default="", name="task")


class _StatedTarget(Struct, frozen=True):
    """The one field that `gitbatch abort` needs, so no version may rename it."""

    target: str


def new_batch_id(now: float) -> str:
    """Returns an id that no other batch of the repository has, and that sorts after theirs."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{int(now % 1 * 65536):04x}"


def write_record(repo: Repository, record: Record, base: str) -> Batch:
    """Starts a batch. Its base is pinned before the record is written, so a record always has a base.

    The record is a commit point of its own: without it, no later start would find the finished items.
    """
    _remove_orphaned_bases(repo)
    repo.refs.create(base_ref(record.batch), base)
    ref, content = record_ref(record.batch), _encode_record(record)

    def write() -> Batch:
        blob = repo.objects.write_blob(content)
        if not repo.commit_point(ref, blob, None, "gitbatch: started"):
            raise GitbatchError(
                f"batch {record.batch} exists already", "run it again: the next one has another id"
            )
        if repo.objects.find_missing((blob,)):
            repo.refs.remove(ref)
            raise VanishedObjectsError
        return Batch(record, base, ended=False)

    return repo.publish(write)


def rewrite_record(repo: Repository, batch: Batch, record: Record) -> Batch:
    """Changes the parameters of an unfinished batch for the rest of it."""
    repo.publish_blob(record_ref(batch.id), _encode_record(record))
    return replace(batch, record=record)


def _encode_record(record: Record) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=1)


def _remove_orphaned_bases(repo: Repository) -> None:
    """Removes the base refs that a start left behind when it was killed before it wrote its record."""
    refs = repo.refs.below(BATCHES)
    bases = {ref: oid for ref, oid in refs.items() if ref.endswith("/base")}
    repo.refs.delete({r: oid for r, oid in bases.items() if record_ref(r.split("/")[2]) not in refs})


def all_batches(repo: Repository) -> tuple[Batch, ...]:
    """Returns every batch of the repository, the oldest first, without ended ones whose records are unreadable.

    Raises:
        GitbatchError: the record of an unfinished batch is unreadable.
    """
    refs = repo.refs.below(BATCHES)
    ids = sorted({ref.split("/")[2] for ref in refs if ref.endswith("/record")})
    found = []
    for batch in ids:
        if not BATCH_ID.fullmatch(batch) or base_ref(batch) not in refs:
            continue
        ended = end_ref(batch) in refs
        try:
            found.append(
                Batch(_read_record(repo, refs[record_ref(batch)], batch), refs[base_ref(batch)], ended)
            )
        except GitbatchError:
            if not ended:
                raise
    return tuple(found)


def unfinished_batch(repo: Repository) -> Batch | None:
    """Returns the batch that the next `run` resumes."""
    return find_unfinished(all_batches(repo))


def find_unfinished(batches: tuple[Batch, ...]) -> Batch | None:
    """Returns the batch that the next `run` resumes, of all batches."""
    return next((batch for batch in batches if not batch.ended), None)


def find_unfinished_refs(repo: Repository) -> tuple[str, str] | None:
    """Returns id and base of the unfinished batch by its refs alone, whatever version of gitbatch wrote its record."""
    refs = repo.refs.below(BATCHES)
    ids = sorted(ref.split("/")[2] for ref in refs if ref.endswith("/record"))
    unfinished = (b for b in ids if BATCH_ID.fullmatch(b) and base_ref(b) in refs and end_ref(b) not in refs)
    return next(((batch, refs[base_ref(batch)]) for batch in unfinished), None)


def _read_record(repo: Repository, blob: str, batch: str) -> Record:
    try:
        content = repo.objects.read_blob(blob)
        stated = msgspec.json.decode(content, type=_StatedVersion)
        if stated.version != RECORD_VERSION or stated.format > FORMAT:
            raise GitbatchError(
                f"batch {batch} was started by another version of gitbatch "
                f"(record {stated.version}, format {stated.format}; this one reads {RECORD_VERSION} and {FORMAT})",
                "finish it with that version, or end it: gitbatch abort",
            )
        return _add_group_numbers(msgspec.json.decode(content, type=Record))
    except msgspec.DecodeError as error:
        raise GitbatchError(
            f"cannot read the record of batch {batch}: {error}", "end the batch: gitbatch abort"
        ) from error


def _add_group_numbers(record: Record) -> Record:
    """Returns a record whose items have the numbers of their groups, which the records of gitbatch 0.1 do not state."""
    groups = (
        replace(group, items=tuple(replace(item, group=group.number) for item in group.items))
        for group in record.groups
    )
    return replace(record, groups=tuple(groups))


def read_target(repo: Repository, batch: str) -> str | None:
    """Returns the branch that a batch runs on, from a record of any version; None if the record does not name one."""
    blob = repo.refs.read(record_ref(batch))
    with suppress(msgspec.DecodeError, MissingObjectError):
        target = msgspec.json.decode(repo.objects.read_blob(blob or ""), type=_StatedTarget).target
        return target if target.startswith(HEADS) else None
    return None


def read_plan_path(repo: Repository, batch: str) -> str:
    """Returns the plan of a batch, from a record of any version; empty if the record does not name one."""
    blob = repo.refs.read(record_ref(batch))
    with suppress(msgspec.DecodeError, MissingObjectError):
        return msgspec.json.decode(repo.objects.read_blob(blob or ""), type=_StatedPlan).plan_path
    return ""


def list_ended(repo: Repository) -> frozenset[str]:
    """Returns the ids of the batches that have ended, as far as their refs are kept."""
    refs = repo.refs.below(BATCHES)
    ids = (ref.removeprefix(BATCHES).split("/")[0] for ref in refs)
    return frozenset(batch for batch in ids if end_ref(batch) in refs)


def end_batch(repo: Repository, batch: str, last: str) -> None:
    """Marks a batch as ended, with the commit that it ended at."""
    held = repo.refs.read(building_ref(batch))
    if held:
        repo.refs.delete({building_ref(batch): held})
    repo.commit_point(end_ref(batch), last, None, "gitbatch: ended")
