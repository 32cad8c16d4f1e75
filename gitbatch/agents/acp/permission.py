"""Whether a call of a tool is allowed: denied unless a row of this table allows it, and never for more than once.

| kind | allowed if |
|---|---|
| read, search | reads are configured, and each path that it names is in the worktree or the scratch folder |
| think | always |
| edit | it names a path, and each path that it names is the output; never in a review |
| execute | it is configured, and there is a sandbox; never in a review |
| any other, or none | never |

Paths are compared as texts: the links that an agent makes are not followed. A path with `..` in it names nothing, since
only the file system knows what it is once there may be links. The wall is the sandbox, and the harvest after it.
"""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from posixpath import normpath
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.acp.message import Location, PermissionOption, ToolCall

_PATH_KEYS = frozenset(
    {
        *("file_path", "filePath", "filepath", "path", "absolute_path", "absolutePath", "abs_path"),
        *("notebook_path", "target_file", "old_path", "new_path", "oldPath", "newPath"),
        *("uri", "file", "files", "paths"),
    }
)
"""The arguments of tools that are paths."""
_UNKNOWN = "\0"
"""A path that is not a text: nothing equals it."""


_DESCRIBING = frozenset({"pattern", "command", "query", "url"})
_LONGEST, _MOST_LOCATIONS = 10_000, 100


class PermissionDecision(StrEnum):
    """The kind of the option that is chosen."""

    ALLOW = "allow_once"
    REJECT = "reject_once"


class PermissionRule(Struct, frozen=True):
    """What an agent may do in one attempt."""

    worktrees: tuple[Path, ...]
    """The worktree, by each path that it has."""
    scratch: tuple[Path, ...]
    """Folders of the attempt, which it may read too."""
    output: str | None
    """The repository path that it may write; None: it reviews, and may write nothing."""
    may_read: bool = True
    may_execute: bool = False

    def judge_calls(self, calls: Iterable[ToolCall]) -> PermissionDecision:
        """Returns the decision about a call.

        Args:
            calls: the request, and what was said of the same call before it: each of them has to be allowed.
        """
        described = tuple(calls)
        kinds = {call.kind for call in described if call.kind is not None}
        paths = [path for call in described for path in named_paths(call)]
        is_allowed = len(kinds) == 1 and self._is_allowed(kinds.pop(), paths)
        return PermissionDecision.ALLOW if is_allowed else PermissionDecision.REJECT

    def _is_allowed(self, kind: str, paths: list[str]) -> bool:
        match kind:
            case "read" | "search":
                return self.may_read and all(map(self._is_inside, paths))
            case "think":
                return True
            case "edit":
                return bool(paths) and all(map(self._is_output, paths))
            case "execute":
                return self.may_execute
        return False

    def _is_output(self, path: str) -> bool:
        absolute, output = self._find_absolute(path), self.output
        return bool(absolute and output) and any(absolute == root / str(output) for root in self.worktrees)

    def _is_inside(self, path: str) -> bool:
        absolute = self._find_absolute(path)
        roots = (*self.worktrees, *self.scratch)
        return absolute is not None and any(absolute.is_relative_to(root) for root in roots)

    def _find_absolute(self, path: str) -> Path | None:
        """Returns a path as an absolute one; None if it names nothing."""
        if not path.strip() or "\0" in path or ".." in path.split("/") or path.startswith("~"):
            return None
        return Path(normpath(f"{self.worktrees[0]}/{path}" if not path.startswith("/") else path))


def named_paths(call: ToolCall) -> list[str]:
    """Returns every path that a call names: its locations, its arguments, and the files of its diffs."""
    located = [location.path for location in call.locations or ()]
    given = call.raw_input if isinstance(call.raw_input, dict) else {}
    values = [value for key, value in given.items() if key in _PATH_KEYS and value is not None]
    arguments = [
        _as_path(each) for value in values for each in (value if isinstance(value, list) else [value])
    ]
    return [*located, *arguments, *_diff_paths(call.content)]


def keep_paths(call: ToolCall) -> ToolCall:
    """Returns a call without what may be long: of its arguments, those that name paths or describe it."""
    given = call.raw_input if isinstance(call.raw_input, dict) else {}
    kept = {key: value for key, value in given.items() if key in _PATH_KEYS or key in _DESCRIBING}
    short = {key: value if len(repr(value)) <= _LONGEST else _UNKNOWN for key, value in kept.items()}
    title = call.title[:_LONGEST] if call.title else call.title
    return replace(call, title=title, content=None, raw_input=short or None, locations=_few(call.locations))


def merge_calls(known: ToolCall | None, new: ToolCall) -> ToolCall:
    """Returns a call with what is new about it."""
    if known is None:
        return new
    return ToolCall(
        new.tool_call_id,
        new.kind or known.kind,
        new.title or known.title,
        new.status or known.status,
        known.content if new.content is None else new.content,
        new.locations or known.locations,
        new.raw_input or known.raw_input,
    )


def choose_option(decision: PermissionDecision, options: Iterable[PermissionOption]) -> str | None:
    """Returns the id of the option for a decision, by its kind and never by its position; None: the call is cancelled.

    An allowed call that cannot be allowed once is rejected.
    """
    by_kind = {option.kind: option.option_id for option in reversed(tuple(options))}
    return by_kind.get(decision) or by_kind.get(PermissionDecision.REJECT)


def _few(locations: tuple[Location, ...] | None) -> tuple[Location, ...] | None:
    """Returns some locations, or instead of very many one that is never allowed."""
    return (Location(_UNKNOWN),) if locations and len(locations) > _MOST_LOCATIONS else locations


def _as_path(value: Any) -> str:  # noqa: ANN401 - an argument of any tool
    return value if isinstance(value, str) else _UNKNOWN


def _diff_paths(content: Any) -> list[str]:  # noqa: ANN401 - of any tool
    """Returns the absolute paths of the diffs that a call shows; some agents show a name alone."""
    blocks = content if isinstance(content, list) else []
    diffs = (block for block in blocks if isinstance(block, dict) and block.get("type") == "diff")
    paths = (_as_path(diff.get("path")) for diff in diffs)
    return [path for path in paths if path.startswith("/") or path == _UNKNOWN]
