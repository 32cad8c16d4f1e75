"""The active phase: the one that CLAUDE.md names (rule O2). Exactly one, or an error; never a guess."""

import posixpath
import re

from msgspec import Struct

from gitbatch.errors import PlanError
from gitbatch.plan.inline import Inline, SpanKind, one_line
from gitbatch.plan.outline import outline
from gitbatch.plan.titles import matches
from gitbatch.project.config import Config
from gitbatch.project.sections import decode_link, read_section, require_text
from gitbatch.project.snapshot import Snapshot

SCOPE_FILE = "CLAUDE.md"

_EXAMPLE = "write in CLAUDE.md:\n\n## Aktiver Scope\n\nPhase: NAME"
_PHASE = re.compile(r"^(?:aktive\s+|active\s+)?phase\s*:\s*(.+)$", re.IGNORECASE)
_EMPHASIS = re.compile(r"\*+|(?<![\w`\\])_+|_+(?![\w`])")
_SYNTAX = re.compile(r"`|\\(?=_)")


class Phase(Struct, frozen=True):
    """The scope of a batch. A project of a single phase has an empty name and folder."""

    name: str
    folder: str
    """Repository path without a slash at its end."""


def find_active_phase(snapshot: Snapshot, config: Config) -> Phase | None:
    """Returns the phase that CLAUDE.md names; None without a CLAUDE.md or without a scope section in it.

    Raises:
        PlanError: CLAUDE.md is not readable text; the section does not name exactly one phase with a folder.
    """
    source = snapshot.read(SCOPE_FILE) or b""
    require_text(SCOPE_FILE, source)
    sections = [h for h in outline(source) if matches(h.title, config.scope_titles)]
    if not sections:
        return None
    if len(sections) > 1:
        raise PlanError("CLAUDE.md has more than one scope section", "keep one of them, naming one phase")
    lines = read_section(source, sections[0])
    named = {phase.folder: phase for line in lines for phase in _named_phases(line, snapshot, config)}
    if not named:
        raise PlanError("the scope section of CLAUDE.md names no phase", _EXAMPLE)
    if len(named) > 1:
        names = ", ".join(sorted(phase.name for phase in named.values()))
        raise PlanError(
            f"the scope section of CLAUDE.md names more than one phase: {names}", "keep the active one"
        )
    (phase,) = named.values()
    if not _has_folder(phase.folder, snapshot):
        raise PlanError(
            f"phase {phase.name} has no folder {phase.folder}",
            "create and commit the folder with its task.md, or correct the scope section of CLAUDE.md",
        )
    return phase


def _named_phases(line: Inline, snapshot: Snapshot, config: Config) -> tuple[Phase, ...]:
    """Returns the phases that a line names: links to a folder, else `Phase: NAME`."""
    links = [piece for piece in line.pieces if piece.kind is SpanKind.LINK]
    folders = (_linked_folder(decode_link(link), snapshot) for link in links)
    linked = tuple(Phase(posixpath.basename(folder), folder) for folder in folders if folder)
    bare = one_line(line.text, [(link.start, link.end) for link in links])
    stated = _PHASE.match(_SYNTAX.sub("", _EMPHASIS.sub("", bare)).lstrip("-+ "))
    if linked or not stated:
        return linked
    name = stated[1].rstrip(". ")
    folder = config.project.phase_folder.replace("{phase}", name)
    return (Phase(name, posixpath.normpath(folder)),) if name else ()


def _linked_folder(target: str, snapshot: Snapshot) -> str | None:
    """Returns the folder that a link names: its target, or the folder of a linked task.md; else None."""
    path = posixpath.normpath(target.removeprefix("/"))
    if posixpath.basename(path).casefold() == "task.md":
        path = posixpath.dirname(path)
    return path if _has_folder(path, snapshot) else None


def _has_folder(path: str, snapshot: Snapshot) -> bool:
    """Whether a folder exists below the top folder."""
    return path.partition("/")[0] not in {"", ".", ".."} and bool(snapshot.files(path))
