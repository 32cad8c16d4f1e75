"""The checks of the audit, each with the behaviour rule that it enforces."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Self


class Check(StrEnum):
    """A check of the grammar in `audit.py`, with the behaviour rule that it enforces."""

    rule: str

    def __new__(cls, name: str, rule: str) -> Self:
        """Builds a check from its name and its rule."""
        check = str.__new__(cls, name)
        check._value_, check.rule = name, rule
        return check

    HISTORY = "history", "O3"
    TRAILERS = "trailers", "O3"
    PROJECT = "project", "O2"
    TREE = "tree", "S1"
    ITEM_PARENT = "item-parent", "S1"
    ITEM_PLACE = "item-place", "S1"
    ITEM_BASE = "item-base", "S1"
    ITEM_PLAN = "item-plan", "P1"
    ITEM_PATH = "item-path", "S1"
    ITEM_FILE = "item-file", "S1"
    ITEM_CHANGES = "item-changes", "S1"
    ITEM_SHARED = "item-shared", "S2"
    ITEM_CONTEXT = "item-context", "C3"
    ITEM_CHECKS = "item-checks", "F6"
    ITEM_EARLY = "item-early", "F2"
    MERGE_PLACE = "merge-place", "O3"
    MERGE_PARENTS = "merge-parents", "S1"
    MERGE_REPEATED = "merge-repeated", "F4"
    MERGE_OVER = "merge-over", "E1"
    MERGE_TREE = "merge-tree", "S1"
    MERGE_SHARED = "merge-shared", "O3"
    CHECKPOINT_PARENT = "checkpoint-parent", "O3"
    CHECKPOINT_NUMBER = "checkpoint-number", "P4"
    CHECKPOINT_CHANGES = "checkpoint-changes", "O3"
    CHECKPOINT_PLAN = "checkpoint-plan", "O3"
    CHECKPOINT_ITEMS = "checkpoint-items", "E2"
    CHECKPOINT_TEXTS = "checkpoint-texts", "O3"
    CHECKPOINT_GATES = "checkpoint-gates", "F6"
    REVIEW_PLACE = "review-place", "F7"
    REVIEW_ITEMS = "review-items", "F7"
    REVIEW_CHANGES = "review-changes", "O3"
    REVIEW_PLAN = "review-plan", "F7"
    TICK = "tick", "E2"


Complaints = Iterator[tuple[Check, str]]
