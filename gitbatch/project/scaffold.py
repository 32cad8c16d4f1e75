"""Creating the files of a project from templates, without overwriting any. Rule T1."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.errors import PlanError, UsageError
from gitbatch.paths import first_non_folder
from gitbatch.patterns import compile_later
from gitbatch.plan.help_texts import Language
from gitbatch.project.config import CONFIG_FILE, Config
from gitbatch.project.control import DECISIONS, PLAN_FILE, RULES, STATUS
from gitbatch.project.disk import DiskSnapshot
from gitbatch.project.scope import SCOPE_FILE, find_active_phase

TEMPLATE = "docs/templates/task.md"

_TEMPLATES = Path(__file__).parent / "templates"
# Its end is a letter or digit too: in CLAUDE.md a dot would end a sentence, an underscore an emphasis.
_PHASE = compile_later(r"[^\W_](?:[\w.-]{0,58}[^\W_])?")


class Scaffold(Struct, frozen=True):
    """The result of creating files. Paths are repository paths."""

    written: tuple[str, ...]
    kept: tuple[str, ...]
    """Files that existed and were not changed."""
    scope: str
    """The section that the user should add to CLAUDE.md; empty if CLAUDE.md names the phase already."""
    can_append: bool = False
    """Whether the section can be appended to CLAUDE.md as it is: it is a file that names no phase."""


def scaffold_plan(root: Path, language: Language) -> Scaffold:
    """Creates the missing files of a project of a single plan: the plan, and a configuration."""
    return _write_files(root, {PLAN_FILE: "simple.md", CONFIG_FILE: CONFIG_FILE}, language, {})


def scaffold_project(root: Path, phase: str, language: Language, config: Config) -> Scaffold:
    """Creates the missing files of a project with a phase.

    Raises:
        UsageError: the phase's name is not valid for a folder.
    """
    if not _PHASE.fullmatch(phase):
        raise UsageError(
            f"invalid phase name {phase!r}",
            "use letters and digits, with dots, dashes and underscores between, at most 60 characters",
        )
    folder = config.project.phase_folder.format(phase=phase).strip("/")
    files = {
        SCOPE_FILE: SCOPE_FILE,
        CONFIG_FILE: CONFIG_FILE,
        TEMPLATE: "template.md",
        **{f"{folder}/{name}": name for name in (PLAN_FILE, STATUS, DECISIONS, RULES)},
    }
    made = _write_files(root, files, language, {"{phase}": phase, "{folder}": folder})
    missing = _missing_scope(root, phase, language, config)
    return replace(made, scope=missing, can_append=bool(missing) and _names_no_phase(root, config))


def _write_files(
    root: Path, files: Mapping[str, str], language: Language, values: Mapping[str, str]
) -> Scaffold:
    """Writes the missing files: templates by path, with their placeholders filled."""
    _require_folders(root, tuple(files))
    written = []
    for path, template in files.items():
        text = (_TEMPLATES / language / template).read_text(encoding="utf-8")
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        if _write_new(root / path, text):
            written.append(path)
    return Scaffold(tuple(written), tuple(path for path in files if path not in written), "")


def append_scope(root: Path, scope: str) -> None:
    """Appends a scope section to the user's CLAUDE.md, with the line ends that the file has.

    Raises:
        OSError: it is a link, or cannot be written.
    """
    path = root / SCOPE_FILE
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "r+b") as file:
        before = file.read()
        gap = b"" if not before else b"\n" if before.endswith(b"\n") else b"\n\n"
        text = gap + scope.encode()
        file.write(text.replace(b"\n", b"\r\n") if b"\r\n" in before else text)


def _names_no_phase(root: Path, config: Config) -> bool:
    """Whether CLAUDE.md is a file, not a link, without a scope section: a second one would be an error."""
    path = root / SCOPE_FILE
    with suppress(PlanError):
        return (
            path.is_file() and not path.is_symlink() and find_active_phase(DiskSnapshot(root), config) is None
        )
    return False


def _require_folders(root: Path, paths: tuple[str, ...]) -> None:
    """Refuses, before anything is written, a file at a path that has to be a folder."""

    def is_folder(above: str) -> bool | None:
        folder = root / above
        return folder.is_dir() if os.path.lexists(folder) else None

    for path in paths:
        if above := first_non_folder(path, is_folder):
            raise UsageError(f"{above} is a file, and {path} needs a folder there", "move it out of the way")


def _write_new(path: Path, text: str) -> bool:
    """Creates a file; returns false if it exists already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8", newline="") as stream:
            stream.write(text)
    except FileExistsError:
        return False
    return True


def _missing_scope(root: Path, phase: str, language: Language, config: Config) -> str:
    """Returns the scope section, unless the user's CLAUDE.md names the phase as active already."""
    with suppress(PlanError):
        active = find_active_phase(DiskSnapshot(root), config)
        if active and active.name == phase:
            return ""
    text = (_TEMPLATES / language / SCOPE_FILE).read_text(encoding="utf-8")
    return text[text.index("## ") :].replace("{phase}", phase)
