"""The condensed forms of documents (rule C4): where they are looked for, and which documents are read in theirs.

A pattern is a path relative to the document's folder, or from the top folder if it begins with a slash. `{name}` is the
document's name without its ending, `{folder}` its folder. A form that two documents of one item would share stands for
neither, as it can be that of one only.
"""

import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field

from gitbatch.project.snapshot import Snapshot


class CondensedForm(Struct, frozen=True):
    """The condensed form of a document."""

    path: str
    blob: str
    pattern: str
    """The pattern of the configuration by which it was found."""


class ChosenForm(Struct, frozen=True):
    """The file that is read for a document."""

    path: str
    blob: str
    pattern: str = ""
    """The pattern by which the condensed form was found; empty: the document itself is read."""
    not_taken: str = ""
    """A condensed form that is not read, as it could be that of several documents."""


def find_condensed(path: str, patterns: Iterable[str], snapshot: Snapshot) -> CondensedForm | None:
    """Returns the condensed form of a document by the first pattern that finds one."""
    for form, pattern in list_condensed(path, patterns):
        blob = snapshot.blob(form)
        if blob:
            return CondensedForm(form, blob, pattern)
    return None


def list_condensed(path: str, patterns: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yields the paths that a document's condensed form may have, each with its pattern."""
    folder, base = posixpath.split(path)
    for pattern in patterns:
        named = pattern.replace("{name}", posixpath.splitext(base)[0]).replace("{folder}", folder)
        joined = named.lstrip("/") if named.startswith("/") else posixpath.join(folder, named)
        form = posixpath.normpath(joined)
        if form != path and form.partition("/")[0] not in {".", ".."}:
            yield form, pattern


class FormFinder(Struct, frozen=True):
    """Finds the forms in which documents of one commit are read. Each document is looked for once."""

    patterns: tuple[str, ...]
    snapshot: Snapshot
    _found: dict[str, tuple[CondensedForm | None, str | None]] = field(default_factory=dict)
    """By document: its condensed form, and its own blob."""

    def choose_forms(self, paths: Iterable[str]) -> Mapping[str, ChosenForm]:
        """Returns the form in which each of an item's documents is read; none for a document without any."""
        found = {path: self._find_both(path) for path in dict.fromkeys(paths)}
        uses = Counter(form.path for form, _ in found.values() if form)
        chosen: dict[str, ChosenForm] = {}
        for path, (form, raw) in found.items():
            if form and not (uses[form.path] > 1 and raw):
                chosen[path] = ChosenForm(form.path, form.blob, form.pattern)
            elif raw:
                chosen[path] = ChosenForm(path, raw, not_taken=form.path if form else "")
        return chosen

    def has_condensed(self, path: str) -> bool:
        """Whether a document has a condensed form."""
        return self._find_both(path)[0] is not None

    def _find_both(self, path: str) -> tuple[CondensedForm | None, str | None]:
        if path not in self._found:
            form = find_condensed(path, self.patterns, self.snapshot)
            self._found[path] = (form, self.snapshot.blob(path))
        return self._found[path]
