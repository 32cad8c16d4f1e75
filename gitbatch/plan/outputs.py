"""Output paths: which are safe, what the template makes of an item, which of them collide.

A path that passes here is a plain file name on every file system that git serves; git itself accepts far more.
That no parent is a symlink or a submodule can only be seen in a repository and is checked there.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from msgspec import Struct

from gitbatch.paths import ancestors, path_key
from gitbatch.patterns import compile_later

CONTROL_NAMES = ("task.md", "status.md", "decisions-log.md")
"""Shared files that every phase has."""
INCLUDE_FILE = ".worktreeinclude"
"""Names ignored files that worktrees get: what an agent may not decide."""
CONFIG_NAME = "gitbatch.toml"
FIXED_FILES = frozenset({CONFIG_NAME, INCLUDE_FILE})
"""Files at the top that decide how agents run: no item may write them, in any project."""
INVENTORIES = "*-inventory.md"
"""The names of shared artifacts next to a plan. In a set of paths, `FOLDER/*-inventory.md` means all of a folder's."""
PLACEHOLDERS = ("phase", "folder", "group", "group-slug", "id", "slug", "id-or-slug")
"""What an output template may name, in braces."""
MAX_PATH = 1024
"""Bytes in a path."""
MAX_COMPONENT = 255
"""Bytes in one component of a path."""

_START, _END = r"(?:^|(?<=/))", r"(?=/|$)"
_DEVICES = r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])"
_PATTERNS = (
    (r"^[/~]", "is not relative to the repository"),
    (rf"{_START}{_END}", "has an empty part"),
    (rf"{_START}\.\.?{_END}", "has the part “.” or “..”"),
    (r"[\\:]", "holds a backslash or a colon"),
    (rf"{_START} |[. ]{_END}", "has a part with a dot or space at its edge"),
    (rf"{_START}\.git(?:modules|attributes)?{_END}", "has a part that only git may write"),
    (rf"{_START}{_DEVICES} *(?:\.[^/]*)?{_END}", "has a part that Windows keeps for a device"),
    (r"~[0-9]", "holds “~” and a digit, a Windows short name"),
    (rf"[^/]{{{MAX_COMPONENT + 1}}}", f"has a part longer than {MAX_COMPONENT} bytes"),
)
_ANY_RULE = compile_later("|".join(f"(?:{pattern})" for pattern, _ in _PATTERNS), re.IGNORECASE)
"""What no good path matches: one search instead of nine."""
_PLACEHOLDER = compile_later(r"\{([^{}/]*)\}")


def control_paths(folder: str = "") -> frozenset[str]:
    """Where the shared files of a phase may be: in its folder, in `docs/` and at the root."""
    folders = {"", "docs", folder.strip("/")}
    return frozenset(f"{above}/{name}".lstrip("/") for above in folders for name in CONTROL_NAMES)


def path_problem(path: str, protected: Iterable[str] = ()) -> str | None:
    """Returns why a repository path cannot be an output, as the end of a sentence that begins with the path; `None`: it can."""
    if not path:
        return "is empty"
    if not path.isprintable():
        return "holds a control or invisible character"
    if unicodedata.normalize("NFC", path) != path:
        return "is not in Unicode's composed form (NFC)"
    if len(path.encode()) > MAX_PATH:
        return f"is longer than {MAX_PATH:,} bytes"
    if _ANY_RULE.search(path):
        return next(problem for rule, problem in _PATTERNS if re.search(rule, path, re.IGNORECASE))
    return _shared_problem(path_key(path), _shared(frozenset(protected)))


class _Shared(Struct, frozen=True):
    """Shared files and the folders that they are in, as keys."""

    files: frozenset[str]
    folders: frozenset[str]
    inventories: tuple[str, ...]
    """The folders whose inventories are shared; each ends in a slash or is empty."""

    def has_file(self, key: str) -> bool:
        """Whether a path, by its key, is a shared file."""
        if key in self.files:
            return True
        is_named_so = key.endswith(INVENTORIES[1:])  # most paths are not: asked first
        return is_named_so and any(is_inventory(key, folder) for folder in self.inventories)


@lru_cache(maxsize=8)
def _shared(protected: frozenset[str]) -> _Shared:
    files = frozenset(map(path_key, protected))
    inventories = tuple(
        file.removesuffix(INVENTORIES) for file in sorted(files) if file.rpartition("/")[2] == INVENTORIES
    )
    return _Shared(files, frozenset(parent for file in files for parent in ancestors(file)), inventories)


def is_inventory(path: str, folder: str) -> bool:
    """Whether a path is an inventory directly in a folder, which ends in a slash or is empty; in any case."""
    key, above = path_key(path), path_key(folder)
    name = key.removeprefix(above)
    return key.startswith(above) and "/" not in name and name.endswith(INVENTORIES[1:])


def is_shared(path: str, shared: frozenset[str]) -> bool:
    """Whether a path is one of a set of shared files."""
    return _shared(shared).has_file(path_key(path))


def _shared_problem(key: str, shared: _Shared) -> str | None:
    if key == "claude.md" or key.endswith("/claude.md"):
        return "is CLAUDE.md, which is read-only"
    if key in FIXED_FILES and key in shared.files:
        return "decides how agents run, and only you write it"
    if shared.has_file(key):
        return "is a shared file, which only the orchestrator writes"
    if key in shared.folders or any(map(shared.has_file, ancestors(key))):
        return "collides with the folder or name of a shared file"
    return None


def template_problem(template: str) -> str | None:
    """Returns why a text cannot be an output template; `None`: it can."""
    unknown = next((name for name in _PLACEHOLDER.findall(template) if name not in PLACEHOLDERS), None)
    if unknown is not None:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        return f"{{{unknown}}} is unknown; there are {known}"
    if not _PLACEHOLDER.search(template):
        return "it names the same file for every item"
    return path_problem(_PLACEHOLDER.sub("x", template))


def expand(template: str, values: Mapping[str, str]) -> str:
    """The template with its placeholders filled; a part of the path that ends up empty is dropped."""
    parts: list[str] = []
    for part in template.split("/"):
        filled = _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), part)
        if filled.strip() or filled == part:
            parts.append(filled)
    return unicodedata.normalize("NFC", "/".join(parts))


class Outputs:
    """Paths of which no two collide, and the folders that they need."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._files: dict[str, int] = {}
        self._folders: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        """The last number of each path that was wanted again: a thousand equal titles are not counted each time."""
        self._count = 0
        for path in paths:
            self.add(path)

    def add(self, path: str) -> int | None:
        """Adds a path; returns the number (from 0) of an earlier one that it collides with, if any."""
        key = path_key(path)
        parents = ancestors(key)
        other = self._other(key, parents)
        self._files.setdefault(key, self._count)
        for parent in parents:
            self._folders.setdefault(parent, self._count)
        self._count += 1
        return other

    def add_free(self, path: str) -> str:
        """Adds a path, with a number in its name where it would collide; returns it as it was added."""
        stem, dot, ending = path.rpartition(".")
        if not stem or "/" in ending:
            stem, dot, ending = path, "", ""
        free, number = path, self._numbers.get(path, 1)
        while self._other(path_key(free), ancestors(path_key(free))) is not None:
            number += 1
            free = f"{stem}-{number}{dot}{ending}"
        self._numbers[path] = number
        self.add(free)
        return free

    def _other(self, key: str, parents: list[str]) -> int | None:
        found = (self._files.get(key), self._folders.get(key), *map(self._files.get, parents))
        return next((number for number in found if number is not None), None)


def collisions(outputs: Iterable[tuple[int, str]]) -> Iterator[tuple[int, int]]:
    """Pairs of indexes of outputs that collide: later and earlier, at most one pair for each output.

    Two outputs of one group are two files. An output of a later group may be a file that is written before, spelled the same.

    Args:
        outputs: the group and the path of each item, in the order of the plan.
    """
    seen, indexes = Outputs(), list[int]()
    places: dict[tuple[int, str], int] = {}
    spelled: set[str] = set()
    for index, place in enumerate(outputs):
        path, same = place[1], places.setdefault(place, index)
        if same != index:
            yield index, same
        elif path not in spelled:
            spelled.add(path)
            other = seen.add(path)
            indexes.append(index)
            if other is not None:
                yield index, indexes[other]
