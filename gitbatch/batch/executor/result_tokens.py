"""The tokens by which results of workers are asked for, and which of them no run asks for any more.

A token says of which batch and item it is, to those who know these: so of a result that a killed run has left in a spool,
git alone says whether it is wanted.
"""

import hashlib
from collections.abc import Iterable

from msgspec import Struct

from gitbatch.agents.protocol import Assignment
from gitbatch.batch.workplace.protocol import WorkplaceSetup

_BATCH, _ITEM, _LENGTH = 8, 20, 32
"""The digits of a token that say its batch; its batch and item; all."""


class OldResults(Struct, frozen=True):
    """Results that are in git, or that nothing is left of to do: a worker may remove them."""

    batches: frozenset[str] = frozenset()
    """The beginnings of the tokens of batches that have ended."""
    items: frozenset[str] = frozenset()
    """The same of items of an unfinished batch that are done."""

    def has_token(self, token: str) -> bool:
        """Whether a result is one of them."""
        return token[:_BATCH] in self.batches or token[:_ITEM] in self.items


def find_old_results(ended: Iterable[str], batch: str, done: Iterable[str]) -> OldResults:
    """Returns the results that no run asks for any more.

    Args:
        ended: the batches that have ended.
        batch: the one that runs.
        done: the slugs of its items that are done.
    """
    others = frozenset(_hash_texts(each)[:_BATCH] for each in ended if each != batch)
    return OldResults(others, frozenset(_begin_token(batch, slug) for slug in done))


def make_token(batch: str, slug: str, setup: WorkplaceSetup, assignment: Assignment, table: bytes) -> str:
    """Returns what an attempt is known by: a resume that asks for the same thing gets the result that is there."""
    asked = (batch, slug, setup.tree, setup.output, str(assignment.attempt), assignment.prompt)
    return (_begin_token(batch, slug) + _hash_texts(*asked, more=table))[:_LENGTH]


def _begin_token(batch: str, slug: str) -> str:
    return (_hash_texts(batch)[:_BATCH] + _hash_texts(batch, slug))[:_ITEM]


def _hash_texts(*texts: str, more: bytes = b"") -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="surrogateescape") + b"\0" + more).hexdigest()
