"""The manifests of the items of a plan in one commit (rules C1 to C4): what the items of a group share is found once.

An item that declares nothing reads the outputs of all earlier groups. In a plan of thousands of items these are too many to
look for, list and describe for each item: the items of a group share one list, and with it what is derived from it.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from dataclasses import field as field_of
from functools import cached_property
from typing import Self

from msgspec import Struct

from gitbatch.paths import quote_path
from gitbatch.plan.model import Group, ItemReference, Plan, WorkItem
from gitbatch.project.condensed import FormFinder
from gitbatch.project.context import ContextFile, ContextReason, find_files, phase_context
from gitbatch.project.control import Project
from gitbatch.project.snapshot import Snapshot
from gitbatch.text import format_count

LISTED = 50
"""The most outputs of earlier groups that a prompt, an event or a view lists; more are counted by their folders or groups."""
_FOLDERS = 20
"""The most folders by which they are counted."""
_Wanted = tuple[str, ContextReason]


class OutlineEntry(Struct, frozen=True):
    """A line about what an agent reads: a file, or the files of a folder that are too many to name."""

    path: str
    """A folder ends in a slash; the top folder is empty."""
    reason: ContextReason
    note: str = ""
    """A remark on how the content is stored."""
    files: int | None = None
    """The number of files; None: it is one file."""

    def __str__(self) -> str:
        if self.files is None:
            return quote_path(self.path)
        return f"{quote_path(self.path or './')}: {format_count(self.files, 'file')}"


def outline_files(files: tuple[ContextFile, ...]) -> tuple[OutlineEntry, ...]:
    """Returns what an agent reads, in order: outputs of earlier groups by folders, if they are more than `LISTED`."""
    return files.outline if isinstance(files, Manifest) else _make_outline(files)


def _make_outline(files: tuple[ContextFile, ...]) -> tuple[OutlineEntry, ...]:
    earlier = [file for file in files if file.reason is ContextReason.EARLIER]
    if len(earlier) <= LISTED:
        return tuple(OutlineEntry(file.path, file.reason, file.note) for file in files)
    found = {file.path: OutlineEntry(file.path, file.reason, file.note) for file in files}
    first = earlier[0].path
    parts = {
        note: [f.path for f in earlier if f.note == note] for note in dict.fromkeys(f.note for f in earlier)
    }
    folders = [
        OutlineEntry(folder, ContextReason.EARLIER, note, count)
        for note, paths in parts.items()
        for folder, count in count_by_folder(paths, _FOLDERS).items()
    ]
    lines: list[OutlineEntry] = []
    for path, entry in found.items():
        if entry.reason is not ContextReason.EARLIER:
            lines.append(entry)
        elif path == first:
            lines += folders
    return tuple(lines)


def count_by_folder(paths: Iterable[str], most: int) -> dict[str, int]:
    """Returns the number of paths in each folder; where there are too many folders, the deepest count for those above."""
    counted = Counter(path[: path.rfind("/") + 1] for path in paths)
    while len(counted) > most:
        deepest = max(folder.count("/") for folder in counted)
        above: Counter[str] = Counter()
        for folder, count in counted.items():
            is_deep = folder.count("/") == deepest
            above[folder[: folder.rfind("/", 0, -1) + 1] if is_deep else folder] += count
        counted = above
    return dict(counted)


def list_paths(files: tuple[ContextFile, ...]) -> str:
    """Returns the paths of all files that an agent reads, quoted, a line for each."""
    return files.listing if isinstance(files, Manifest) else _list_paths(files)


def _list_paths(files: tuple[ContextFile, ...]) -> str:
    return "".join(f"{quote_path(file.path)}\n" for file in files)


class EarlierOutputs(Struct, frozen=True, dict=True):
    """The outputs of all groups before a group, in the form in which they are read."""

    files: tuple[ContextFile, ...] = ()

    @cached_property
    def paths(self) -> frozenset[str]:
        """Returns their paths."""
        return frozenset(file.path for file in self.files)

    @cached_property
    def blobs(self) -> dict[str, str]:
        """Returns their blobs, by path."""
        return {file.path: file.blob for file in self.files}

    @cached_property
    def digest(self) -> str:
        """Returns the SHA-256 of the list, a line `path@blob` for each file; `verify` computes it again."""
        listed = "".join(f"{file.path}@{file.blob}\n" for file in self.files)
        return hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()


NO_OUTPUTS = EarlierOutputs()


class Manifest(tuple[ContextFile, ...]):  # noqa: SLOT001 - what is derived from it is kept in its dictionary
    """The files that an agent reads, in order.

    `own`: those that it reads besides the outputs of earlier groups. `earlier`: the list of these that its group shares, of
    which it reads all but its own output and what `own` has; empty if it reads none, or if its list is not the group's.
    """

    own: tuple[ContextFile, ...]
    earlier: EarlierOutputs

    def __new__(
        cls,
        before: Iterable[ContextFile],
        earlier: EarlierOutputs | None = None,
        after: Iterable[ContextFile] = (),
        left_out: frozenset[str] = frozenset(),
    ) -> Self:
        """Builds the manifest of the files before the outputs of earlier groups, these without some, and those after them."""
        before, after = tuple(before), tuple(after)
        shared = earlier or NO_OUTPUTS
        read = tuple(f for f in shared.files if f.path not in left_out) if left_out else shared.files
        made = super().__new__(cls, (*before, *read, *after))
        made.own, made.earlier = (*before, *after), shared
        return made

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Returns the paths of the files."""
        return tuple(file.path for file in self)

    @cached_property
    def outline(self) -> tuple[OutlineEntry, ...]:
        """Returns the files, or their folders; see `outline_files`."""
        return _make_outline(self)

    @cached_property
    def listing(self) -> str:
        """Returns the paths as text; see `list_paths`."""
        return _list_paths(self)


class _GroupFiles(Struct, frozen=True):
    """The files that the items of a group share."""

    first: tuple[_Wanted, ...]
    """The rules, the status and what the phase's documents name."""
    documents: tuple[_Wanted, ...]
    """The outputs of the groups before it."""
    manifest: Manifest
    """Of an item that declares nothing, waits for none and writes a file of its own."""
    outputs: frozenset[str]
    """The paths of the documents."""
    is_plain: bool
    """Whether no document has a condensed form: then one more or less in a manifest does not change the others."""
    places: dict[ItemReference, int]


@dataclass(slots=True, eq=False, repr=False)
class ManifestBuilder:
    """Lists what the items of a plan read in one commit."""

    plan: Plan
    project: Project
    snapshot: Snapshot
    mark: Callable[[tuple[ContextFile, ...]], tuple[ContextFile, ...]] = tuple
    """Completes files by what only the repository knows."""
    _groups: dict[int, _GroupFiles] = field_of(default_factory=dict)
    _forms: FormFinder = field_of(init=False)

    def __post_init__(self) -> None:
        self._forms = FormFinder(self.project.config.project.condensed, self.snapshot)

    def list_context(self, item: WorkItem, group: Group) -> Manifest:
        """Returns the files that an item's agent reads, in order, each once, condensed if a condensed form exists."""
        shared = self._find_shared(group)
        declared = tuple(self._find_declared(item))
        awaited = self._find_awaited(item, group, shared)
        if not item.reads_earlier:
            return Manifest(self._choose_files((*shared.first, *declared)))
        is_revision = item.output in shared.outputs
        if not (declared or awaited or is_revision):
            return shared.manifest
        if not shared.is_plain:
            # Its own file is what it revises, and no context.
            documents = (each for each in shared.documents if each[0] != item.output)
            return Manifest(self._choose_files((*shared.first, *declared, *documents, *awaited)))
        return self._extend_manifest(item, shared, (*shared.first, *declared, *awaited))

    def find_earlier(self, group: Group) -> EarlierOutputs:
        """Returns the list of outputs that the items of a group share."""
        return self._find_shared(group).manifest.earlier

    def _extend_manifest(self, item: WorkItem, shared: _GroupFiles, wanted: tuple[_Wanted, ...]) -> Manifest:
        """Returns the manifest of an item whose own files do not change how the outputs of earlier groups are read."""
        own = self._choose_files(wanted)
        before = tuple(file for file in own if file.reason is not ContextReason.AWAITED)
        earlier = shared.manifest.earlier
        left_out = (earlier.paths & {file.path for file in before}) | (earlier.paths & {item.output})
        is_read = earlier.paths - left_out if left_out else earlier.paths
        after = (file for file in own if file.reason is ContextReason.AWAITED and file.path not in is_read)
        return Manifest(before, earlier, after, left_out)

    def _find_shared(self, group: Group) -> _GroupFiles:
        if group.number not in self._groups:
            first = tuple(self._find_first(group))
            before = self.plan.groups[: group.number - 1]
            documents = tuple(
                (output, ContextReason.EARLIER)
                for output in dict.fromkeys(item.output for earlier in before for item in earlier.items)
            )
            listed = self._choose_files((*first, *documents))
            own = tuple(file for file in listed if file.reason is not ContextReason.EARLIER)
            earlier = EarlierOutputs(tuple(f for f in listed if f.reason is ContextReason.EARLIER))
            outputs = frozenset(path for path, _ in documents)
            is_plain = not any(map(self._forms.has_condensed, outputs))
            places = {item.reference: at for at, item in enumerate(group.items)}
            manifest = Manifest(own, earlier)
            self._groups[group.number] = _GroupFiles(first, documents, manifest, outputs, is_plain, places)
        return self._groups[group.number]

    def _find_first(self, group: Group) -> Iterator[_Wanted]:
        project = self.project
        if project.rules:
            yield project.rules, ContextReason.RULES
        yield project.status, ContextReason.STATUS
        for path in phase_context(group, project, self.snapshot):
            yield path, ContextReason.PHASE

    def _find_declared(self, item: WorkItem) -> Iterator[_Wanted]:
        for name in item.context:
            for path in find_files(name, self.project, self.snapshot):
                yield path, ContextReason.DECLARED

    @staticmethod
    def _find_awaited(item: WorkItem, group: Group, shared: _GroupFiles) -> tuple[_Wanted, ...]:
        """Returns the outputs of the items of the same group that an item names with `after`, in the order of the plan."""
        places = sorted(shared.places[other] for other in item.hints.after if other in shared.places)
        return tuple((group.items[at].output, ContextReason.AWAITED) for at in places)

    def _choose_files(self, wanted: tuple[_Wanted, ...]) -> tuple[ContextFile, ...]:
        """Returns the files that are read for wanted documents, each once."""
        forms = self._forms.choose_forms(path for path, _ in wanted)
        found: dict[str, ContextFile] = {}
        for path, reason in wanted:
            form = forms.get(path)
            if form and form.path not in found:
                raw = path if form.pattern else None
                file = ContextFile(form.path, form.blob, reason, raw, None, form.pattern, form.not_taken)
                found[form.path] = file
        return self.mark(tuple(found.values()))


def list_context(item: WorkItem, group: Group, plan: Plan, project: Project, snapshot: Snapshot) -> Manifest:
    """Returns the manifest of one item. Those of several items are cheaper by one `ManifestBuilder`."""
    return ManifestBuilder(plan, project, snapshot).list_context(item, group)
