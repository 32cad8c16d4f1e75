"""The failed attempts of a batch and its spending limits, in git: a blob for each item, each with a ref of the batch.

An item's commit records the total usage of a finished item. The ledger records what would be lost otherwise: failed
attempts, which cost money too, and the limits that the user gave. Each entry is written when the attempt ends, so a
kill loses at most the attempts that were running.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import TypeVar

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.batch.history.earlier_ledger import decode_earlier_attempts
from gitbatch.batch.history.record import Batch
from gitbatch.batch.model import FailedAttempt, ItemStatus
from gitbatch.errors import GitbatchError
from gitbatch.limits.usage import Spent
from gitbatch.plan.model import ItemKey
from gitbatch.repo.refs.names import ledger_refs, limits_ref
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text

_T = TypeVar("_T")


class SpendingLimits(Struct, frozen=True):
    """The limits of a batch; None means no limit."""

    max_cost: float | None = None
    """US dollars."""
    max_tokens: int | None = None

    def or_else(self, other: "SpendingLimits") -> "SpendingLimits":
        """Returns these limits, with those that are not set taken from `other`."""
        return SpendingLimits(
            other.max_cost if self.max_cost is None else self.max_cost,
            other.max_tokens if self.max_tokens is None else self.max_tokens,
        )


class LedgerEntries(Struct, frozen=True):
    """The content of a ledger."""

    attempts: tuple[FailedAttempt, ...] = ()
    """The attempts at one item are in the order in which they ended."""
    limits: SpendingLimits = SpendingLimits()
    """The limits that the user gave last on the command line."""

    def of_item(self, item: ItemKey) -> tuple[FailedAttempt, ...]:
        """Returns the attempts at an item, given by its key."""
        return tuple(attempt for attempt in self.attempts if attempt.slug == item)

    def since_review(self, item: ItemKey, review: str) -> tuple[FailedAttempt, ...]:
        """Returns the attempts at an item since a review made it run again; all of them if `review` is empty."""
        attempts = self.of_item(item)
        marks = [at for at, attempt in enumerate(attempts) if _is_mark(attempt, review)]
        return (attempts[marks[-1] + 1 :] if marks else ()) if review else attempts

    def split_item(self, item: ItemKey, reviews: tuple[str, ...]) -> tuple[tuple[FailedAttempt, ...], ...]:
        """Returns the attempts at an item in parts: of its first run, and of that after each review that repeated it."""
        parts: list[list[FailedAttempt]] = [[] for _ in (None, *reviews)]
        at = 0
        for attempt in self.of_item(item):
            if attempt.number == 0 and attempt.base in reviews:
                at = reviews.index(attempt.base) + 1
            else:
                parts[at].append(attempt)
        return tuple(map(tuple, parts))

    def spent_on(self, item: ItemKey) -> Spent:
        """Returns the usage of the failed attempts at an item. The marks of reviews are no attempts: they cost nothing."""
        return _sum_attempts(attempt for attempt in self.of_item(item) if not _is_any_mark(attempt))

    def of_last_run(self, item: ItemKey) -> tuple[FailedAttempt, ...]:
        """Returns the attempts at an item since the last review that made it run again; all of them if none did."""
        attempts = self.of_item(item)
        marks = [at for at, attempt in enumerate(attempts) if _is_any_mark(attempt)]
        return attempts[marks[-1] + 1 :] if marks else attempts

    def spent_on_last_run(self, item: ItemKey) -> Spent:
        """Returns the usage of the failed attempts of an item's last run."""
        return _sum_attempts(self.of_last_run(item))

    @property
    def items(self) -> tuple[ItemKey, ...]:
        """Returns the keys of the items with failed attempts."""
        return tuple(dict.fromkeys(attempt.slug for attempt in self.attempts))


class Ledger(Struct):
    """The ledger of a running batch. Only the git thread uses it."""

    repo: Repository
    batch: Batch
    entries: LedgerEntries = field(default_factory=LedgerEntries)

    @classmethod
    def open(cls, repo: Repository, batch: Batch) -> "Ledger":
        """Returns the ledger of a batch, with the entries that git has."""
        return cls(repo, batch, read_ledger(repo, batch.id))

    def read_again(self) -> None:
        """Reads what another ledger of the batch, such as that of a review, has written."""
        self.entries = read_ledger(self.repo, self.batch.id)

    def add_attempt(self, attempt: FailedAttempt) -> None:
        """Writes a failed attempt to git."""
        entries = replace(self.entries, attempts=(*self.entries.attempts, attempt))
        self._write_value(f"{ledger_refs(self.batch.id)}{attempt.slug}", entries.of_item(attempt.slug))
        self.entries = entries

    def mark_review(self, item: ItemKey, review: str) -> None:
        """Notes that a review makes an item run again: earlier attempts do not count any more. It may be repeated."""
        if not any(_is_mark(attempt, review) for attempt in self.entries.of_item(item)):
            reason = clean_text("a review made it run again")
            self.add_attempt(FailedAttempt(item, review, 0, ItemStatus.FAILED, None, reason))

    def set_limits(self, given: SpendingLimits) -> None:
        """Writes the limits that were given to git; those that are None stay as they were."""
        limits = given.or_else(self.entries.limits)
        if limits != self.entries.limits:
            self._write_value(limits_ref(self.batch.id), limits)
            self.entries = replace(self.entries, limits=limits)

    def _write_value(self, ref: str, value: tuple[FailedAttempt, ...] | SpendingLimits) -> None:
        self.repo.publish_blob(ref, msgspec.json.encode(value))


def _sum_attempts(attempts: Iterable[FailedAttempt]) -> Spent:
    return sum((Spent.of_attempt(attempt.usage) for attempt in attempts), Spent())


def _is_any_mark(attempt: FailedAttempt) -> bool:
    return not attempt.number and bool(attempt.base)


def _is_mark(attempt: FailedAttempt, review: str) -> bool:
    return (attempt.number, attempt.base) == (0, review)


def read_ledger(repo: Repository, batch: str) -> LedgerEntries:
    """Returns the ledger of a batch; it is empty if the batch has none.

    Raises:
        GitbatchError: a blob of the ledger is invalid.
    """
    items = repo.refs.below(ledger_refs(batch))
    attempts = (_read_attempts(repo, ref, oid) for ref, oid in sorted(items.items()))
    limits = repo.refs.read(limits_ref(batch))
    return LedgerEntries(
        tuple(attempt for several in attempts for attempt in several),
        _read_value(repo, limits_ref(batch), limits, SpendingLimits) if limits else SpendingLimits(),
    )


def _read_attempts(repo: Repository, ref: str, blob: str) -> tuple[FailedAttempt, ...]:
    try:
        return _read_value(repo, ref, blob, tuple[FailedAttempt, ...])
    except GitbatchError:
        with suppress(msgspec.DecodeError):
            return decode_earlier_attempts(repo.objects.read_blob(blob), ItemKey(ref.rpartition("/")[2]))
        raise


def _read_value(repo: Repository, ref: str, blob: str, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(repo.objects.read_blob(blob), type=kind)
    except msgspec.DecodeError as error:
        raise GitbatchError(
            f"cannot read {ref}: {error}",
            f"delete it; only failed attempts and limits are lost: git update-ref -d {ref}",
        ) from error
