"""The output of `gitbatch show --json`."""

from gitbatch.batch.history.item_details import ItemDetails
from gitbatch.batch.history.item_log import LogLine
from gitbatch.batch.history.kept_prompts import KeptPrompt
from gitbatch.view.batch_state import ItemState
from gitbatch.view.envelope import Envelope

LINES = 1000
"""The most lines of the log."""


class ShowOutput(Envelope, frozen=True):
    """An item in full."""

    batch: str
    item: ItemState
    details: ItemDetails
    prompt: KeptPrompt | None
    """Of the last attempt; null if the plan no longer has the item."""
    log: tuple[LogLine, ...]
    """The last 1,000 lines of its log, of all attempts; empty if the log is gone."""
