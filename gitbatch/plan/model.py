"""The values that a plan is made of. Everything is frozen; positions are byte offsets into the file."""

from enum import StrEnum
from typing import NewType

from msgspec import Struct, field

from gitbatch.plan.help_texts import Language

TITLES_WORK = ("Arbeitspakete", "Work Packages", "Work Items")
TITLES_DOD = ("Definition of Done", "DoD")
TITLES_SCOPE = ("Aktiver Scope", "Active Scope")
OUTPUT_TEMPLATE = "{phase}/{group-slug}/{id-or-slug}.md"


ItemKey = NewType("ItemKey", str)
"""What an item is known by inside the program: its slug (group number and a short name), unique in its batch.

An output path is not a key: an item of a later group may write the same file again.
"""
ItemReference = NewType("ItemReference", str)
"""What an item is known by in a plan: `2:docs/a.md`, its group's number and its output."""


class Severity(StrEnum):
    """How bad a diagnostic is: an error keeps the plan from running."""

    ERROR = "error"
    WARNING = "warning"


class Edit(Struct, frozen=True):
    """A replacement of bytes of the plan."""

    start: int
    end: int
    text: bytes


class Diagnostic(Struct, frozen=True):
    """One thing to say about the plan, at a place. `start`/`end`: bytes; line and column: from 1, characters."""

    code: str
    severity: Severity
    message: str
    help: str
    start: int
    end: int
    line: int
    column: int
    fix: Edit | None = None
    """What would fix it, if that is clear."""


# `gc=False` on values that a large plan has thousands of: no cycle can go through them, so the collector skips them.
class BoxPosition(Struct, frozen=True, gc=False):
    """A check box: the offset of the byte between its brackets, and its raw line as the plan had it."""

    offset: int
    line: bytes


class Hints(Struct, frozen=True):
    """What HTML comments override, for one item, a group or the plan. `None` and `()`: not said."""

    sequential: bool = False
    parallel: bool = False
    max: int | None = None
    retries: int | None = None
    timeout: float | None = None
    """Seconds."""
    after: tuple[ItemReference, ...] = ()
    agent: str | None = None
    checks: tuple[str, ...] | None = None
    """The names of the checks in place of those that the patterns of the configuration give; `()`: none."""
    gates: tuple[str, ...] | None = None
    """As `checks`, for the gates of a group."""
    wait: bool = False
    """Whether an item never starts before its group."""
    barrier: bool = False
    """Whether no item of a later group starts before this group has been recorded."""


class Criterion(Struct, frozen=True):
    """One entry of the Definition of Done, numbered from 1 in document order."""

    number: int
    text: str
    done: bool
    box: BoxPosition
    line: int


class WorkItem(Struct, frozen=True, gc=False):
    """One checkbox of the work section. Its output path is unique in its group."""

    output: str
    id: str | None
    title: str
    """The raw text with its id, without clauses and hints, on one line: what a person would call the item."""
    text: str
    """The whole raw item with its sub-steps, as an agent gets it."""
    done: bool
    criteria: tuple[int, ...]
    context: tuple[str, ...]
    """The files that it declares as its input."""
    hints: Hints
    group: int
    line: int
    box: BoxPosition
    adds_context: bool = False
    """Whether it reads the declared files in addition to what it would read by default."""

    @property
    def reads_earlier(self) -> bool:
        """Whether it reads what the groups before it wrote: unless it declares all that it reads (rule C3)."""
        return self.adds_context or not self.context

    @property
    def name(self) -> str:
        """The short name: the id, or without one the output path."""
        return self.id or self.output

    @property
    def reference(self) -> ItemReference:
        """What distinguishes the item from all others of the plan."""
        return ItemReference(f"{self.group}:{self.output}")

    @property
    def unique_name(self) -> str:
        """The id, or what `--items` takes for this item alone where its path may name several."""
        return self.id or self.reference


class Group(Struct, frozen=True):
    """One heading of the work section; its items may run at the same time. Numbered from 1 in document order."""

    number: int
    title: str
    slug: str
    prose: str
    """What stands between the heading and the items, raw: part of the items' context."""
    items: tuple[WorkItem, ...]
    hints: Hints
    line: int


class PlanOptions(Struct, frozen=True):
    """What the configuration says about reading a plan."""

    work_titles: tuple[str, ...] = TITLES_WORK
    dod_titles: tuple[str, ...] = TITLES_DOD
    output_template: str = OUTPUT_TEMPLATE
    phase: str = ""
    """The phase's name, fills `{phase}` in the template; empty for a project of a single phase."""
    folder: str = ""
    """The phase's folder, fills `{folder}`."""
    protected: frozenset[str] = field(default_factory=frozenset)
    """Repository paths that no item may have as its output (compared casefolded, NFC)."""
    artifacts: frozenset[str] = field(default_factory=frozenset)
    """Those of them that are shared artifacts, to which items contribute."""
    guess_output: bool = False
    """Whether an item that declares no output may name it in its text (a single path); else the template decides."""


class Plan(Struct, frozen=True):
    """A parsed task.md. With an error among its diagnostics it must not be run."""

    path: str
    groups: tuple[Group, ...]
    criteria: tuple[Criterion, ...]
    hints: Hints
    diagnostics: tuple[Diagnostic, ...]
    language: Language = Language.EN
    """The language of its work section's title, and so of its diagnostics' help."""

    @property
    def items(self) -> tuple[WorkItem, ...]:
        """All items, in plan order."""
        return tuple(item for group in self.groups for item in group.items)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that keep the plan from running."""
        return tuple(d for d in self.diagnostics if d.severity is Severity.ERROR)

    @property
    def is_complete(self) -> bool:
        """Whether every criterion is done: then nothing runs (rule O6)."""
        return bool(self.criteria) and all(criterion.done for criterion in self.criteria)

    @property
    def cross_cutting(self) -> tuple[Criterion, ...]:
        """The criteria that no item names (rule T2)."""
        named = {number for item in self.items for number in item.criteria}
        return tuple(c for c in self.criteria if c.number not in named)
