"""What a batch tried and did not get, in git: for each item with failed attempts a blob that a ref of the batch points to.

An item's commit says what the item took in the end; here is what would be lost otherwise: attempts that failed (and
were paid for all the same), and the limits that the user gave. It is written when it happens: a kill loses at most the
attempts that were running.
"""

from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.history.record import Batch
from gitbatch.batch.model import FailedAttempt
from gitbatch.errors import GitbatchError
from gitbatch.limits.usage import Spent
from gitbatch.repo.refs.names import ledger_refs, limits_ref
from gitbatch.repo.repository import Repository

_T = TypeVar("_T")


class SpendingLimits(Struct, frozen=True):
    """What a batch may spend; None: no limit."""

    max_cost: float | None = None
    """US dollars."""
    max_tokens: int | None = None

    def or_else(self, other: "SpendingLimits") -> "SpendingLimits":
        """These, and of the other those that are missing."""
        return SpendingLimits(
            other.max_cost if self.max_cost is None else self.max_cost,
            other.max_tokens if self.max_tokens is None else self.max_tokens,
        )


class LedgerEntries(Struct, frozen=True):
    """All that a ledger says."""

    attempts: tuple[FailedAttempt, ...] = ()
    """Those of one item in the order in which they ended."""
    limits: SpendingLimits = SpendingLimits()
    """As the user gave them last on the command line."""

    def of_item(self, item: str) -> tuple[FailedAttempt, ...]:
        """The attempts at an item, by its key."""
        return tuple(attempt for attempt in self.attempts if attempt.item == item)

    def spent_on(self, item: str) -> Spent:
        """What those attempts used."""
        return sum((Spent.of_attempt(attempt.usage) for attempt in self.of_item(item)), Spent())

    @property
    def items(self) -> tuple[str, ...]:
        """The keys of the items that are in it."""
        return tuple(dict.fromkeys(attempt.item for attempt in self.attempts))


@dataclass(slots=True)
class Ledger:
    """The ledger of a batch that runs. Used from the one thread that does git."""

    repo: Repository
    batch: Batch
    entries: LedgerEntries = field(default_factory=LedgerEntries)

    @classmethod
    def open(cls, repo: Repository, batch: Batch) -> "Ledger":
        """The ledger of a batch, from git."""
        return cls(repo, batch, read_ledger(repo, batch.id))

    def add_attempt(self, attempt: FailedAttempt) -> None:
        """Write an attempt down."""
        entries = replace(self.entries, attempts=(*self.entries.attempts, attempt))
        slug = next(item.slug for item in self.batch.record.items if item.key == attempt.item)
        self._write_value(f"{ledger_refs(self.batch.id)}{slug}", entries.of_item(attempt.item))
        self.entries = entries

    def set_limits(self, given: SpendingLimits) -> None:
        """Write down the limits that were given; None: as they were."""
        limits = given.or_else(self.entries.limits)
        if limits != self.entries.limits:
            self._write_value(limits_ref(self.batch.id), limits)
            self.entries = replace(self.entries, limits=limits)

    def _write_value(self, ref: str, value: tuple[FailedAttempt, ...] | SpendingLimits) -> None:
        self.repo.publish_blob(ref, msgspec.json.encode(value))


def read_ledger(repo: Repository, batch: str) -> LedgerEntries:
    """What the ledger of a batch says; nothing where there is none.

    Raises:
        GitbatchError: it can't be read.
    """
    items = repo.refs.below(ledger_refs(batch))
    attempts = (_read_value(repo, ref, oid, tuple[FailedAttempt, ...]) for ref, oid in sorted(items.items()))
    limits = repo.refs.read(limits_ref(batch))
    return LedgerEntries(
        tuple(attempt for several in attempts for attempt in several),
        _read_value(repo, limits_ref(batch), limits, SpendingLimits) if limits else SpendingLimits(),
    )


def _read_value(repo: Repository, ref: str, blob: str, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(repo.objects.read_blob(blob), type=kind)
    except msgspec.DecodeError as error:
        raise GitbatchError(
            f"{ref} can't be read: {error}",
            f"without it only failed attempts and limits are forgotten: git update-ref -d {ref}",
        ) from error
