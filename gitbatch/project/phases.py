"""The phases of a project: the folders that fit the configured pattern, and the ones that a text or a link names.

A phase is named by its name or its path, in any case, as a word of its own. Longer names go first, so that `one-b` does
not name `one` as well.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from msgspec import Struct

from gitbatch.paths import ancestors, path_key
from gitbatch.patterns import compile_later
from gitbatch.project.config import Config
from gitbatch.project.snapshot import Snapshot

PLACEHOLDER = "{phase}"

_BEFORE = r"(?<![\w/.@-])"
_BEHIND = r"(?![\w-]|\.\w)"
_REMARK = compile_later(r"\s*[,;(]|\s[-\u2013\u2014]\s")
"""What follows a name: `one, since May`."""
_SCHEME = compile_later(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)


class Phase(Struct, frozen=True):
    """The part of a project that a batch works on. A project of a single phase has an empty name and folder."""

    name: str
    folder: str
    """Repository path without a slash at its end."""


class Phases:
    """The phases of one commit."""

    def __init__(self, snapshot: Snapshot, config: Config) -> None:
        self._snapshot = snapshot
        self._pattern = posixpath.normpath(config.project.phase_folder)
        self.known = tuple(_find_folders(snapshot, self._pattern))
        self._by_path = {_key(phase.folder): phase for phase in self.known}
        self._by_name = {_key(phase.name): phase for phase in self.known}

    def exists(self, phase: Phase) -> bool:
        """Whether a phase has a folder below the top folder."""
        return self._has_folder(phase.folder)

    def find_paths(self, text: str) -> Iterator[Phase]:
        """Yields the existing phases that a text names by their paths."""
        for found in self._find(text):
            if found["path"]:
                yield from self._all_like(self._by_path[_key(found["path"])])

    def find_names(self, text: str) -> Iterator[Phase]:
        """Yields the existing phases that a text names by their names."""
        for found in self._find(text):
            if found["name"]:
                yield from self._all_like(self._by_name[_key(found["name"])])

    def _find(self, text: str) -> Iterator[re.Match[str]]:
        return self._names.finditer(path_key(text)) if self.known else iter(())

    def _all_like(self, phase: Phase) -> Iterator[Phase]:
        """Yields a phase, and those whose folders differ only in case: no text names one of them."""
        return (other for other in self.known if _key(other.folder) == _key(phase.folder))

    def find_stated(self, text: str) -> tuple[Phase, ...]:
        """Returns the phase that stands behind `Phase:`, whether it exists or not; several that differ only in case."""
        words = text.rstrip(". ").split() if re.match(r"\s*[\w./]", text) else []
        for count in range(len(words), 0, -1):
            written = " ".join(words[:count]).rstrip(",;:. ")
            path = written.removeprefix("./").strip("/")
            known = self._by_name.get(_key(written)) or self._by_path.get(_key(path))
            if known:
                alike = tuple(self._all_like(known))
                return tuple(p for p in alike if written == p.name or path == p.folder) or alike
        name = " ".join(_REMARK.split(text.rstrip(". "))[0].split()) if words else ""
        folder = posixpath.normpath(self._pattern.replace(PLACEHOLDER, name))
        return (Phase(name, folder),) if name else ()

    def find_linked(self, target: str) -> Phase | None:
        """Returns the phase that a link points into, whether it exists or not; None: it points elsewhere."""
        path = self._local_path(target)
        if path is None:
            return None
        exact = {phase.folder: phase for phase in self.known}
        above = tuple(_upwards(path))
        near = (self._by_path[_key(up)] for up in above if _key(up) in self._by_path)
        known = next((exact[up] for up in above if up in exact), None) or next(near, None)
        if known:
            return known
        if posixpath.basename(path).casefold() == "task.md":
            path = posixpath.dirname(path)
        if self._snapshot.blob(f"{path}/task.md") and self._has_folder(path):
            return Phase(posixpath.basename(path), path)
        name = _name_in(self._pattern, path)
        return Phase(name, path) if name else None

    def find_other_folder(self, target: str) -> Phase | None:
        """Returns a folder that a link points to and that does not look like a phase's."""
        path = self._local_path(target)
        return Phase(posixpath.basename(path), path) if path and self._has_folder(path) else None

    @cached_property
    def _names(self) -> re.Pattern[str]:
        """The pattern of every name and path of a phase, in keys."""
        path = rf"(?:\.?/)?(?P<path>{_alternatives(self._by_path)}){_BEHIND}"
        name = rf"(?P<name>{_alternatives(self._by_name)}){_BEHIND}(?!/\w)"
        return re.compile(f"{_BEFORE}(?:{path}|{name})")

    def _local_path(self, target: str) -> str | None:
        if _SCHEME.match(target) or target.startswith(("//", "#")):
            return None
        path = posixpath.normpath(target.removeprefix("/"))
        return None if path.partition("/")[0] in {"", ".", ".."} else path

    def _has_folder(self, path: str) -> bool:
        return path.partition("/")[0] not in {"", ".", ".."} and bool(self._snapshot.files(path))


def _key(text: str) -> str:
    """Returns a name or a path as it is compared: in any case, with any white space."""
    return " ".join(path_key(text).split())


def _upwards(path: str) -> Iterator[str]:
    yield path
    yield from reversed(ancestors(path))


def _alternatives(keys: Iterable[str]) -> str:
    ordered = sorted(keys, key=lambda key: (-len(key), key))
    return "|".join(r"\s+".join(map(re.escape, key.split())) for key in ordered)


def _find_folders(snapshot: Snapshot, pattern: str) -> Iterator[Phase]:
    """Yields the phases whose folders fit a pattern."""
    parts = pattern.split("/")
    at = next((index for index, part in enumerate(parts) if PLACEHOLDER in part), None)
    if at is None:
        return
    above = "/".join(parts[:at])
    for folder in snapshot.list_folder(above).folders:
        name = _name_in(parts[at], folder)
        path = pattern.replace(PLACEHOLDER, name) if name else ""
        if name and snapshot.files(path):
            yield Phase(name, path)


def _name_in(pattern: str, path: str) -> str | None:
    """Returns the phase's name in a path that fits a pattern; else None."""
    before, placeholder, behind = pattern.partition(PLACEHOLDER)
    form = f"{re.escape(before)}(?P<name>[^/]+){re.escape(behind)}" if placeholder else r"(?!)"
    found = re.fullmatch(form.replace(re.escape(PLACEHOLDER), "(?P=name)"), path)
    return found["name"] if found else None
