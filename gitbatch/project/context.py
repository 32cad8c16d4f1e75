"""The context of an agent (rules C1 to C4): a manifest of paths and blobs, never the content; and what is missing."""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from msgspec import Struct

from gitbatch.paths import quote_path
from gitbatch.patterns import compile_later
from gitbatch.plan.inline import Inline, SpanKind
from gitbatch.plan.model import Group
from gitbatch.plan.outline import outline
from gitbatch.plan.titles import matches
from gitbatch.project.condensed import FormFinder
from gitbatch.project.control import Project
from gitbatch.project.sections import decode_link, read_section
from gitbatch.project.snapshot import Snapshot
from gitbatch.text import CleanText

_ENTRY = compile_later(r"\s*(?:[-*+]|[0-9]{1,9}[.)])\s+(?:\[[ xX]\]\s+)?(.+)")
_REMARK = compile_later(r"\s+[-\u2013\u2014(]|:(?=\s|$)")
"""What follows the files in an entry of a list: `docs/a.md - the notes`."""


class ContextReason(StrEnum):
    """The reason why a file is in a manifest; the order of the members is the order of the manifest."""

    RULES = "rules"
    STATUS = "status"
    PHASE = "phase"
    DECLARED = "declared"
    EARLIER = "earlier group"
    AWAITED = "waited for"
    UNFINISHED = "your file, as an earlier attempt left it"
    """Never in a manifest: the prompt of an agent without a process quotes the file."""


LFS = "lfs"
LFS_WITH_STORE = "lfs, which has files here"
"""The filter of Git LFS, where worktrees may have the content of a file."""


class ContextFile(Struct, frozen=True):
    """One file of a manifest. `condensed_from`: the document that it is the condensed form of (rule C4)."""

    path: str
    blob: str
    reason: ContextReason
    condensed_from: str | None = None
    filter: str | None = None
    """The filter (such as lfs) whose stored form it is."""
    condensed_by: str = ""
    """The pattern of the configuration by which the condensed form was found."""
    form_not_taken: str = ""
    """Its condensed form, which is not read, as it could be that of several of the item's documents."""

    @property
    def note(self) -> str:
        """Returns a remark on how the content is stored; empty if it is stored as it is used."""
        return describe_filter(self.filter) if self.filter else ""


class InputProblem(StrEnum):
    """The reason why an item does not get an input; the values are codes in JSON and in trailers."""

    NOT_WRITTEN = "not-written"
    """The item of the batch that writes the file did not succeed."""
    NOT_UPDATED = "not-updated"
    """As before, but there is an older version of the file, which is read."""
    NOT_CHOSEN = "not-chosen"
    """The item that writes the file is open and is not part of the batch."""
    NOT_FOUND = "not-found"
    """The file is not in the commit although no open item would have to write it."""


_PROBLEMS = {
    InputProblem.NOT_WRITTEN: "not written",
    InputProblem.NOT_UPDATED: "not updated",
    InputProblem.NOT_CHOSEN: "not written",
    InputProblem.NOT_FOUND: "not found",
}


class MissingInput(Struct, frozen=True):
    """A file that an item is meant to read and that is missing or out of date."""

    path: str
    problem: InputProblem
    reason: CleanText
    is_required: bool = False
    """Whether the item declares the file and does not start without it."""

    @property
    def is_failure(self) -> bool:
        """Whether an item of the batch should have written the file and did not."""
        return self.problem in {InputProblem.NOT_WRITTEN, InputProblem.NOT_UPDATED}

    def describe(self, quote: Callable[[str], str]) -> str:
        """Returns the file, quoted by a function, with its problem and the reason, in a line for people."""
        return f"{_PROBLEMS[self.problem]}: {quote(self.path)} ({self.reason})"

    def __str__(self) -> str:
        return self.describe(quote_path)


def describe_filter(name: str) -> str:
    """Returns a description of the content that a filter stores."""
    known = {
        LFS: "a Git LFS pointer, not the content",
        LFS_WITH_STORE: "stored by Git LFS: a worktree has the content if this repository has it, else a pointer",
    }
    return known.get(name, f"as its filter {name} stores it, not as it is used")


def phase_context(group: Group, project: Project, snapshot: Snapshot) -> tuple[str, ...]:
    """Returns the files that the phase's documents name under the group's title (rule C2)."""
    return tuple(find_phase_origins(group, project, snapshot))


def find_phase_origins(group: Group, project: Project, snapshot: Snapshot) -> Mapping[str, str]:
    """Returns the same files, each with the document that names it first."""
    origins: dict[str, str] = {}
    for document, name in phase_names(group, project, snapshot):
        for path in find_files(name, project, snapshot):
            origins.setdefault(path, document)
    return origins


def phase_names(group: Group, project: Project, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Yields each name under the group's title in the phase's rules and context documents, after its document."""
    for document in dict.fromkeys(filter(None, (*project.contexts, project.rules))):
        source = snapshot.read(document) or b""
        for heading in outline(source):
            if matches(heading.title, (group.title,)):
                for line in read_section(source, heading):
                    for name in _named_paths(line, project, snapshot):
                        yield document, name


def _named_paths(line: Inline, project: Project, snapshot: Snapshot) -> Iterator[str]:
    """Yields the names in a line of a context document: its code spans and links, else the entry of a list."""
    if not line.pieces:
        entry = _ENTRY.fullmatch(line.text)
        if entry:
            yield from _names_in_entry(entry[1].strip(), project, snapshot)
    for piece in line.pieces:
        name = decode_link(piece) if piece.kind is SpanKind.LINK else piece.content
        if name:
            yield name


def _names_in_entry(text: str, project: Project, snapshot: Snapshot) -> Iterator[str]:
    """Yields the name that an entry of a list is; if that is not a file, the names before a remark."""
    if find_files(text, project, snapshot):
        yield text
        return
    names = _REMARK.split(text, maxsplit=1)[0].split(",")
    yield from filter(None, map(str.strip, names))


def find_files(name: str, project: Project, snapshot: Snapshot) -> tuple[str, ...]:
    """Returns the files that a name in a plan means, relative to the top folder or the plan; for a folder, all in it."""
    for path in possible_paths(name, project):
        if snapshot.blob(path):
            return (path,)
        inside = snapshot.files(path)
        if inside:
            return inside
    return ()


def possible_paths(name: str, project: Project) -> tuple[str, ...]:
    """Returns the repository paths that a name in a plan may mean, in the order in which they are tried."""
    home = posixpath.dirname(project.plan_path)
    below = posixpath.normpath(name.lstrip("/"))
    paths = (below,) if name.startswith("/") else (below, posixpath.normpath(posixpath.join(home, name)))
    return tuple(dict.fromkeys(path for path in paths if path.partition("/")[0] not in {".", ".."}))


def has_form(path: str, project: Project, snapshot: Snapshot) -> bool:
    """Whether a file can be read, itself or in its condensed form."""
    return bool(FormFinder(project.config.project.condensed, snapshot).choose_forms((path,)))
