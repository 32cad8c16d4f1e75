"""What a batch tried and did not get, in git: a blob that a ref of the batch points to, written when it happens.

An item's commit says what the item took in the end; here is what would be lost otherwise: attempts that failed (and
were paid for all the same), and the limits that the user gave. A kill loses at most the attempts that were running.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import msgspec

from gitbatch.agents.budget import Spent
from gitbatch.batch.model import Attempt
from gitbatch.errors import GitbatchError, GitError
from gitbatch.repo.refs import ledger_ref
from gitbatch.repo.repository import Repository

_TRIES = 10
"""How often it is written again when its blob was pruned before the ref had it."""


@dataclass(frozen=True, slots=True)
class Pages:
    """All that a ledger says."""

    attempts: tuple[Attempt, ...] = ()
    """In the order in which they ended."""
    max_cost: float | None = None
    """As the user gave it last on the command line."""
    max_tokens: int | None = None
    version: int = 1

    def of_item(self, item: str) -> tuple[Attempt, ...]:
        """The attempts at an item, by its key."""
        return tuple(attempt for attempt in self.attempts if attempt.item == item)

    def spent(self, item: str) -> Spent:
        """What those attempts used."""
        return sum((Spent.of(attempt.usage) for attempt in self.of_item(item)), Spent())

    @property
    def items(self) -> Iterator[str]:
        """The keys of the items that are in it."""
        return iter({attempt.item: None for attempt in self.attempts})


@dataclass(slots=True)
class Ledger:
    """The ledger of a batch that runs. Used from the one thread that does git."""

    repo: Repository
    batch: str
    pages: Pages = field(default_factory=Pages)

    @classmethod
    def open(cls, repo: Repository, batch: str) -> "Ledger":
        """The ledger of a batch, from git."""
        return cls(repo, batch, read_ledger(repo, batch))

    def add(self, attempt: Attempt) -> None:
        """Write an attempt down."""
        self._write(replace(self.pages, attempts=(*self.pages.attempts, attempt)))

    def limit(self, max_cost: float | None, max_tokens: int | None) -> None:
        """Write down the limits that were given; None: as they were."""
        pages = replace(
            self.pages,
            max_cost=self.pages.max_cost if max_cost is None else max_cost,
            max_tokens=self.pages.max_tokens if max_tokens is None else max_tokens,
        )
        if pages != self.pages:
            self._write(pages)

    def _write(self, pages: Pages) -> None:
        content = msgspec.json.encode(pages)
        for left in reversed(range(_TRIES)):
            try:
                self.repo.refs.point(ledger_ref(self.batch), self.repo.objects.write_blob(content))
            except GitError:  # as when the blob is pruned before the ref has it
                if not left:
                    raise
                continue
            break
        self.pages = pages


def read_ledger(repo: Repository, batch: str) -> Pages:
    """What the ledger of a batch says; nothing where there is none.

    Raises:
        GitbatchError: it can't be read.
    """
    blob = repo.refs.read(ledger_ref(batch))
    if blob is None:
        return Pages()
    try:
        return msgspec.json.decode(repo.objects.blob(blob), type=Pages)
    except msgspec.DecodeError as error:
        raise GitbatchError(
            f"the ledger of batch {batch} can't be read: {error}",
            f"without it only the failed attempts are forgotten: git update-ref -d {ledger_ref(batch)}",
        ) from error
