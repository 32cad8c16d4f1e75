"""The active phase: the one that CLAUDE.md names (rule O2). Exactly one, or an error; never a guess."""

import posixpath
import re
from dataclasses import dataclass

from gitbatch.errors import PlanError
from gitbatch.plan.outline import outline
from gitbatch.plan.titles import matches
from gitbatch.project.config import Config
from gitbatch.project.snapshot import Snapshot

SCOPE_FILE = "CLAUDE.md"

_EXAMPLE = "write in CLAUDE.md:\n\n## Aktiver Scope\n\nPhase: NAME"
_LINK = re.compile(r"\[[^\]\n]*\]\(\s*<?([^)>\s]+)>?[^)\n]*\)")
_PHASE = re.compile(r"^(?:aktive\s+|active\s+)?phase\s*:\s*(.+)$", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Phase:
    """The scope of a batch. A project of a single phase has an empty name and folder."""

    name: str
    folder: str
    """Repository path without a slash at its end."""


def active_phase(snapshot: Snapshot, config: Config) -> Phase | None:
    """The phase that CLAUDE.md names; None where there is no CLAUDE.md, or none with a scope section.

    Raises:
        PlanError: the section names no phase, more than one, or one whose folder does not exist.
    """
    source = snapshot.read(SCOPE_FILE)
    sections = [h for h in outline(source or b"") if matches(h.title, config.scope_titles)]
    if source is None or not sections:
        return None
    if len(sections) > 1:
        raise PlanError("CLAUDE.md has more than one scope section", "keep one of them, naming one phase")
    text = source[sections[0].body : sections[0].end].decode(errors="replace")
    named = {
        phase.folder: phase
        for line in _COMMENT.sub("", text).splitlines()
        for phase in _named(line, snapshot, config)
    }
    if not named:
        raise PlanError("the scope section of CLAUDE.md names no phase", _EXAMPLE)
    if len(named) > 1:
        names = ", ".join(sorted(phase.name for phase in named.values()))
        raise PlanError(
            f"the scope section of CLAUDE.md names more than one phase: {names}", "keep the active one"
        )
    (phase,) = named.values()
    if not snapshot.files(phase.folder):
        raise PlanError(
            f"phase {phase.name} has no folder {phase.folder} in this commit",
            "make and commit the folder with its task.md, or correct the scope section of CLAUDE.md",
        )
    return phase


def _named(line: str, snapshot: Snapshot, config: Config) -> tuple[Phase, ...]:
    """The phases that a line names: links to a folder, else `Phase: NAME`."""
    folders = (_folder(target, snapshot) for target in _LINK.findall(line))
    linked = tuple(Phase(posixpath.basename(folder), folder) for folder in folders if folder)
    stated = _PHASE.match(re.sub(r"[*_`]", "", line).strip().lstrip("-+ ").strip())
    if linked or not stated:
        return linked
    name = _LINK.sub("", stated[1]).strip().rstrip(".").strip()
    folder = config.project.phase_folder.format(phase=name)
    return (Phase(name, posixpath.normpath(folder)),) if name else ()


def _folder(target: str, snapshot: Snapshot) -> str | None:
    """The folder that a link names: itself, or the one that a linked task.md is in."""
    path = posixpath.normpath(target.removeprefix("/"))
    if posixpath.basename(path).casefold() == "task.md":
        path = posixpath.dirname(path)
    return path if path and snapshot.files(path) else None
