"""The trailers of our commits: their names, how they are written, and the only parser that reads them.

Trailers are the last paragraph of a message, one a line, spelled exactly as here; others, such as a sign-off, may be
among them. Anything else that looks like a trailer of ours, in another spelling or place, makes the commit invalid and a
finding of `gitbatch verify`: two readers must never disagree on what a commit states.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import cached_property

from msgspec import Struct

from gitbatch.batch.history.decisions import (
    ChosenAgent,
    ItemDecision,
    parse_chosen_agent,
    parse_decision,
)
from gitbatch.batch.history.trailer_lines import OURS, PREFIX, find_misplaced, split_paragraphs
from gitbatch.batch.history.trailer_values import (
    FAILED_FORM,
    FORMS,
    MISSING_FORM,
    PATH_TRAILERS,
    is_well_formed,
)
from gitbatch.batch.model import ItemStatus
from gitbatch.batch.verdicts import GateState, GateVerdict
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.paths import quote_for_message, unquote_path
from gitbatch.project.context import InputProblem, MissingInput
from gitbatch.text import clean_text, neutralise_forge_commands

FORMAT = 3
"""The version of the grammar of our commits, in `Gitbatch-Format`. All commits of a batch state the same one;
from the start on that lets items start early, they state 3.

2 adds trailers that stand for long lists: `Context-Outputs` in an item's commit. A batch of a plan that cannot
have such lists states 1, which older versions read. 3 adds `Plan-Item`, in the commit of an item that started before its
group; only a batch in which items may do so states it.

Raised when a reader that does not know a change would misread a commit. Commits of gitbatch 0.1 have no such trailer:
they are read as before, and `verify` does not judge them.
"""

EARLY_FORMAT = 3
"""The first format in which items may start before their group."""


class Kind(StrEnum):
    """The kinds of our commits."""

    ITEM = "item"
    MERGE = "merge"
    CHECKPOINT = "checkpoint"
    REVIEW = "review"
    RESCUE = "rescue"
    """It keeps the output of a failed attempt (`rescue.py`), and is never merged."""


class _Shape(Struct, frozen=True):
    """The trailers of a kind of commit: those that occur exactly once, at most once, and any number of times."""

    once: frozenset[str]
    optional: frozenset[str]
    several: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        return self.once | self.optional | self.several


_OPTIONAL = frozenset({"Format"})
_SPENT = _OPTIONAL | {"Tokens", "Usage", "Cost", "Cost-Unknown"}
_ATTEMPT = _SPENT | {"Model", "Waited", "Host", "DoD", "Context-Outputs", "Plan-Item"}
_REPLY = frozenset({"Earlier", "Context", "Missing", "Decision", "Contribution", "Flag"})
_SHAPES = {
    Kind.ITEM: _Shape(
        frozenset({"Batch", "Group", "Item", "Agent", "Attempt", "Seconds"}), _ATTEMPT, _REPLY | {"Check"}
    ),
    Kind.MERGE: _Shape(frozenset({"Batch", "Group"}), _OPTIONAL),
    Kind.CHECKPOINT: _Shape(
        frozenset({"Batch", "Group", "Checkpoint"}),
        _SPENT | {"Plan", "Revision"},
        frozenset({"Gate", "Succeeded", "Failed"}),
    ),
    Kind.REVIEW: _Shape(
        frozenset({"Batch", "Group", "Reviewed", "Plan"}), _OPTIONAL, frozenset({"Review", "Review-Agent"})
    ),
    Kind.RESCUE: _Shape(
        frozenset({"Batch", "Group", "Rescued", "Cause", "Agent", "Attempt", "Seconds"}), _ATTEMPT, _REPLY
    ),
}
_NAMES = frozenset[str]().union(*(shape.names for shape in _SHAPES.values()))


class Failed(Struct, frozen=True):
    """An item that did not succeed, according to a checkpoint."""

    output: str
    status: ItemStatus
    reason: str


class Trailers(Struct, frozen=True, dict=True):
    """The trailers of one of our commits, in order; names without their prefix."""

    pairs: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    """Why gitbatch cannot have written these trailers; empty if it can."""

    def first_value(self, name: str) -> str:
        """Returns the first value of a trailer; empty if it does not occur."""
        return next(iter(self.values_of(name)), "")

    def values_of(self, name: str) -> tuple[str, ...]:
        """Returns all values of a trailer."""
        return self._by_name.get(name, ())

    @cached_property
    def _by_name(self) -> dict[str, tuple[str, ...]]:
        """Returns the values of each trailer: a checkpoint may have thousands, and is asked for each item."""
        found: dict[str, list[str]] = {}
        for name, value in self.pairs:
            found.setdefault(name, []).append(value)
        return {name: tuple(values) for name, values in found.items()}

    @property
    def are_ours(self) -> bool:
        """Returns true if there is any trailer of ours, in any spelling."""
        return bool(self.pairs or self.problem)

    @cached_property
    def kind(self) -> Kind | None:
        """Returns the kind of the commit; None if it is not ours."""
        return None if self.problem or not self.pairs else _kind_of(self)

    @property
    def batch(self) -> str:
        """Returns the batch of a commit; empty if the commit is not ours."""
        return self.first_value("Batch") if self.kind else ""

    @property
    def format(self) -> int:
        """Returns the format of a commit; 0 if it states none, as in gitbatch 0.1."""
        return int(self.first_value("Format") or 0) if self.kind else 0

    @property
    def plan(self) -> str | None:
        """Returns the path of the plan that a checkpoint or review belongs to; None if it states none."""
        has_plan = self.kind in {Kind.CHECKPOINT, Kind.REVIEW}
        return unquote_path(self.first_value("Plan")) or None if has_plan else None

    @property
    def group(self) -> int:
        """Returns the number of the group in the plan."""
        return int(self.first_value("Group").partition(" ")[0])

    @property
    def position(self) -> tuple[int, int]:
        """Returns the number of a checkpoint, or of the last one that a review covers, and the number of all."""
        number, _, of = (self.first_value("Checkpoint") or self.first_value("Reviewed")).partition("/")
        return int(number), int(of)

    @property
    def revision(self) -> int:
        """Returns the number of a checkpoint among the revisions of its group; 0: it is the group's own."""
        return int(self.first_value("Revision") or 0)

    @property
    def decisions(self) -> tuple[ItemDecision, ...]:
        """Returns the decisions of a review, without their comments."""
        return tuple(filter(None, map(parse_decision, self.values_of("Review"))))

    @property
    def chosen_agents(self) -> tuple[ChosenAgent, ...]:
        """Returns the agents that a review chose for items that run again."""
        return tuple(filter(None, map(parse_chosen_agent, self.values_of("Review-Agent"))))

    @property
    def output(self) -> str:
        """Returns the path of an item's output; empty if the commit is not an item's."""
        return unquote_path(self.first_value("Item")) if self.kind is Kind.ITEM else ""

    @property
    def rescued(self) -> str:
        """Returns the path of a failed attempt's output; empty if the commit does not keep one."""
        return (
            unquote_path(self.first_value("Rescued").partition(": ")[0]) if self.kind is Kind.RESCUE else ""
        )

    @cached_property
    def succeeded(self) -> tuple[str, ...]:
        """Returns the outputs of the items that succeeded, according to a checkpoint."""
        return tuple(map(unquote_path, self.values_of("Succeeded")))

    @cached_property
    def failed(self) -> tuple[Failed, ...]:
        """Returns the items that did not succeed, according to a checkpoint."""
        found = filter(None, map(FAILED_FORM.fullmatch, self.values_of("Failed")))
        return tuple(Failed(unquote_path(f[1]), ItemStatus(f[2]), f[3] or "") for f in found)

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """Returns the results of the checks that an item's output has passed or that skipped it."""
        found = filter(None, (re.fullmatch(FORMS["Check"], value) for value in self.values_of("Check")))
        return tuple(
            CheckResult(f[1], CheckVerdict(f[2]), float(f[3]), host=clean_text(f[4] or "")) for f in found
        )

    @property
    def gates(self) -> tuple[GateVerdict, ...]:
        """Returns the verdicts of the gates, according to a checkpoint."""
        found = filter(None, (re.fullmatch(FORMS["Gate"], value) for value in self.values_of("Gate")))
        return tuple(GateVerdict(f[1], GateState(f[2]), f[3], host=clean_text(f[4] or "")) for f in found)

    @property
    def context(self) -> tuple[tuple[str, str], ...]:
        """Returns path and blob of each file in the context of an item's agent, without what `context_outputs` counts."""
        parts = (value.rpartition("@")[::2] for value in self.values_of("Context"))
        return tuple((unquote_path(path), blob) for path, blob in parts)

    @property
    def context_outputs(self) -> tuple[int, str] | None:
        """Returns the number and the digest of the outputs of earlier groups that an item read besides; None: it states none."""
        found = re.fullmatch(FORMS["Context-Outputs"], self.first_value("Context-Outputs"))
        return (int(found[1]), found[2]) if found else None

    @property
    def plan_item(self) -> str:
        """Returns the digest of what the plan said about an item that started before its group; empty: it did not."""
        return self.first_value("Plan-Item") if self.kind is Kind.ITEM else ""

    @property
    def missing(self) -> tuple[MissingInput, ...]:
        """Returns the files that an item was to read and did not get."""
        found = filter(None, map(MISSING_FORM.fullmatch, self.values_of("Missing")))
        return tuple(
            MissingInput(unquote_path(f[1]), InputProblem(f[2]), clean_text(f[3] or "")) for f in found
        )


def render_missing_input(missing: MissingInput) -> str:
    """Returns the value of the trailer of a file that an item was to read and did not get."""
    reason = neutralise_forge_commands(clean_text(missing.reason))
    return f"{quote_for_message(missing.path)}: {missing.problem}: {reason}"


def render_trailers(pairs: Iterable[tuple[str, object]]) -> str:
    """Returns the lines of trailers, without those with an empty value. Text of agents is cleaned."""
    return "\n".join(f"{PREFIX}{name}: {_render_value(name, value)}" for name, value in pairs if value != "")


def render_failed(output: str, status: ItemStatus, reason: str) -> str:
    """Returns the value of the trailer of an item that did not succeed."""
    return f"{quote_for_message(output)}: {status}: {neutralise_forge_commands(clean_text(reason))}"


def render_rescued(output: str, reason: str) -> str:
    """Returns the value of the trailer of a rescue commit: the item, and why its attempt failed."""
    return f"{quote_for_message(output)}: {neutralise_forge_commands(clean_text(reason))}"


def parse_trailers(message: str) -> Trailers:
    """Returns the trailers of a message."""
    paragraphs = split_paragraphs(message.partition("\0")[0])
    pairs = [match.groups() for line in paragraphs[-1] if (match := OURS.fullmatch(line))]
    problem = find_misplaced(message, paragraphs, len(pairs))
    found = Trailers(tuple((name, value) for name, value in pairs), problem)
    if problem or not pairs:
        return found
    return Trailers(found.pairs, _find_format_problem(found) or _find_problem(found))


def _render_value(name: str, value: object) -> str:
    if name not in _NAMES:
        raise KeyError(name)  # add it to a shape above, or readers reject the commit
    if name in PATH_TRAILERS:
        return quote_for_message(str(value))
    return (
        str(value)
        if name in {"Failed", "Rescued", "Context", "Missing", "Review", "Review-Agent"}
        else neutralise_forge_commands(clean_text(str(value), 2000))
    )


def _kind_of(trailers: Trailers) -> Kind:
    names = {name for name, _ in trailers.pairs}
    marks = {
        "Item": Kind.ITEM,
        "Checkpoint": Kind.CHECKPOINT,
        "Reviewed": Kind.REVIEW,
        "Rescued": Kind.RESCUE,
    }
    return next((kind for name, kind in marks.items() if name in names), Kind.MERGE)


def _find_format_problem(trailers: Trailers) -> str:
    """Returns why a commit cannot be read by this version; a later format may mean something else by each trailer."""
    form = re.compile(FORMS["Format"])
    later = next((n for n in trailers.values_of("Format") if form.fullmatch(n) and int(n) > FORMAT), None)
    return f"its format {later} is unknown: this version of gitbatch reads {FORMAT}" if later else ""


def _find_problem(trailers: Trailers) -> str:
    """Returns why trailers are not those of one item, one merge or one checkpoint; empty if they are."""
    kind = _kind_of(trailers)
    shape = _SHAPES[kind]
    for name in dict.fromkeys((*sorted(shape.once), *(name for name, _ in trailers.pairs))):
        values = trailers.values_of(name)
        if name not in shape.names:
            return f"its trailers are not those of one item, one merge or one checkpoint: {PREFIX}{name} in a {kind} commit"
        if not values or (len(values) > 1 and name not in shape.several):
            return f"its trailers are not those of one item, one merge or one checkpoint: {len(values)} {PREFIX}{name}"
        if not all(is_well_formed(name, value) for value in values):
            return f"its trailer {PREFIX}{name} cannot be read"
    return ""
