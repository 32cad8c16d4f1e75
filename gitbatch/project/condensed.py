"""The condensed forms of documents (rule C4): where they are looked for, and which documents are read in theirs.

A pattern is a path relative to the document's folder, or from the top folder if it begins with a slash. `{name}` is the
document's name without its ending, `{folder}` its folder. A form that two documents of one item would share stands for
neither, as it can be that of one only.
"""

import posixpath
from collections.abc import Iterable, Mapping

from msgspec import Struct

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
    folder, base = posixpath.split(path)
    for pattern in patterns:
        named = pattern.replace("{name}", posixpath.splitext(base)[0]).replace("{folder}", folder)
        place = named.lstrip("/") if named.startswith("/") else posixpath.join(folder, named)
        form = posixpath.normpath(place)
        if form == path or form.partition("/")[0] in {".", ".."}:
            continue
        blob = snapshot.blob(form)
        if blob:
            return CondensedForm(form, blob, pattern)
    return None


def choose_forms(
    paths: Iterable[str], patterns: tuple[str, ...], snapshot: Snapshot
) -> Mapping[str, ChosenForm]:
    """Returns the form in which each of an item's documents is read; none for a document without any."""
    forms = {path: find_condensed(path, patterns, snapshot) for path in dict.fromkeys(paths)}
    taken = [form.path for form in forms.values() if form]
    chosen: dict[str, ChosenForm] = {}
    for path, form in forms.items():
        raw = snapshot.blob(path)
        is_shared = form is not None and taken.count(form.path) > 1
        if form and not (is_shared and raw):
            chosen[path] = ChosenForm(form.path, form.blob, form.pattern)
        elif raw:
            chosen[path] = ChosenForm(path, raw, not_taken=form.path if form else "")
    return chosen
