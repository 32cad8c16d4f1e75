"""The values of a review: what is asked, and the verdict of the reviewer.

There are three results: `accept`, `revise`, and an `InvalidReview`, which never passes anything.
"""

from enum import StrEnum

from msgspec import Struct

from gitbatch.text import CleanText


class ReviewDecision(StrEnum):
    """The verdict of a reviewer; the values are those that it writes."""

    ACCEPT = "accept"
    REVISE = "revise"


class ReviewFinding(Struct, frozen=True):
    """One thing that a reviewer found. It names a line of the output, or a criterion of the item."""

    text: CleanText
    line: int | None = None
    """From 1."""
    criterion: int | None = None
    """The number of an entry of the Definition of Done."""


class Review(Struct, frozen=True):
    """A verdict. `revise` has a finding at least."""

    decision: ReviewDecision
    findings: tuple[ReviewFinding, ...] = ()
    more: int = 0
    """Findings beyond those that are kept."""


class InvalidReview(Struct, frozen=True):
    """An answer of a reviewer that is not a verdict, and why."""

    reason: CleanText


class ReviewRequest(Struct, frozen=True):
    """What makes an assignment a review: its agent judges the output, and writes nothing."""

    nonce: str
    """Is part of the marks around the output, and of a verdict that is found in a text: the output cannot know it."""
    lines: int
    """The number of lines of the output."""
    criteria: tuple[int, ...] = ()
    """The numbers of the criteria that a finding may name."""
    open_lines: tuple[int, ...] | None = None
    """The lines that a finding may name in a further review of the same item; None: all."""
