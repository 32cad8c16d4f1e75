"""Reading a plan from the disk, before it is committed, with the options that its project has."""

import stat
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.errors import PlanError, UsageError
from gitbatch.fs.durable import write_file
from gitbatch.plan.findings import Findings
from gitbatch.plan.fixes import fix_plan
from gitbatch.plan.help_texts import Advice
from gitbatch.plan.model import Diagnostic, Hints, Plan, PlanOptions
from gitbatch.plan.parse import parse_plan
from gitbatch.plan.source import Span, read
from gitbatch.project.config import CONFIG_FILE, Config, read_config
from gitbatch.project.control import PlanChoice, Project, find_project, plan_options
from gitbatch.project.disk import DiskSnapshot
from gitbatch.project.scope import SCOPE_FILE, find_active_phase
from gitbatch.project.snapshot import Snapshot

NOT_ON_THIS_MACHINE = "GB410"
"""A program, key, sandbox or folder is missing on this machine."""

SCOPE_UNCLEAR = "GB414"
"""The scope section of CLAUDE.md does not name exactly one phase."""

ReadFiles = Callable[[Path], Snapshot]


class Checked(Struct, frozen=True):
    """A plan file, its content and the plan in it."""

    path: str
    source: bytes
    plan: Plan

    def find_failures(self, *, strict: bool) -> tuple[Diagnostic, ...]:
        """Returns the diagnostics that a check fails with: errors; if strict, warnings too, but not about the machine."""
        warnings = (d for d in self.plan.diagnostics if strict and d.code != NOT_ON_THIS_MACHINE)
        return self.plan.errors or tuple(warnings)


def check_plan(path: Path, read_files: ReadFiles = DiskSnapshot, text: bytes | None = None) -> Checked:
    """Reads a plan file.

    Args:
        path: the file, which a sparse checkout may leave out.
        read_files: returns the files below the top folder of a project.
        text: the text of the plan, instead of the file's.

    Raises:
        UsageError: the file cannot be read.
    """
    here = path.resolve()
    root = find_project_root(here.parent)
    files, name = read_files(root), here.relative_to(root).as_posix()
    source = _read_source(path, name, files) if text is None else text
    options = _read_options(files, PlanChoice(name))
    return Checked(str(path), source, parse_plan(source, name, options))


def fix_plan_on_disk(path: Path, read_files: ReadFiles = DiskSnapshot) -> tuple[Diagnostic, ...]:
    """Fixes in a plan file what is safe to fix; returns the diagnostics that are answered by it.

    Raises:
        UsageError: the file cannot be read or written.
    """
    here = path.resolve()
    root = find_project_root(here.parent)
    files, name = read_files(root), here.relative_to(root).as_posix()
    fixed = fix_plan(_read_source(path, name, files), name, _read_options(files, PlanChoice(name)))
    if fixed.fixed:
        try:
            write_file(here, fixed.source, stat.S_IMODE(here.stat().st_mode))
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}", "make the file writable") from error
    return fixed.fixed


def _read_source(path: Path, name: str, files: Snapshot) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        left_out = files.read(name) if isinstance(error, FileNotFoundError) else None
        if left_out is None:
            raise UsageError(
                f"cannot read {path}: {error.strerror}", "name a plan, such as task.md"
            ) from error
        return left_out


def find_active_plan(directory: Path, read_files: ReadFiles = DiskSnapshot) -> Path:
    """Returns the plan of the active phase of the project that a directory is in, on the disk.

    Args:
        directory: in the project.
        read_files: returns the files below the top folder of a project.

    Raises:
        PlanError: the project has no plan, or more than one.
    """
    root = find_project_root(directory.resolve())
    files = read_files(root)
    choice = PlanChoice(folder="/".join(directory.resolve().relative_to(root).parts))
    found = root / find_project(files, _read_config(files), choice).plan_path
    return found.relative_to(directory.resolve()) if found.is_relative_to(directory.resolve()) else found


def find_project_root(directory: Path) -> Path:
    """Returns the nearest folder, upwards, that is a repository or has a configuration; else the directory itself."""
    upwards = (directory, *directory.parents)
    return next((d for d in upwards if (d / ".git").exists() or (d / CONFIG_FILE).exists()), directory)


def read_project_on_disk(files: Snapshot, path: str) -> Project | None:
    """Returns the project on the disk, with the plan at a repository path; None if the project is not valid."""
    try:
        project = _find_project_of(files, _read_config(files), PlanChoice(path))
    except PlanError:
        return None
    return replace(project, plan_path=path)


def check_scope(files: Snapshot, shown: str = SCOPE_FILE) -> Checked | None:
    """Returns CLAUDE.md with what is wrong with its scope section (rule O2); None if nothing is. `shown`: its path."""
    try:
        find_active_phase(files, _read_config(files))
    except PlanError as error:
        source = files.read(SCOPE_FILE) or b""
        findings = Findings(read(source)[0])
        line = max(1, error.place.line if error.place else 1) - 1
        span = Span(findings.source.starts[line], findings.source.ends[line])
        findings.error(SCOPE_UNCLEAR, span, error.message, Advice.in_english(error.advice))
        return Checked(shown, source, Plan(shown, (), (), Hints(), findings.in_order()))
    return None


def _read_config(files: Snapshot) -> Config:
    """Returns what is valid of the configuration: its problems are diagnostics of their own."""
    return read_config(files.read(CONFIG_FILE)).config


def _find_project_of(files: Snapshot, config: Config, choice: PlanChoice) -> Project:
    """Returns the project of a plan; for the plan of another phase, the active phase's."""
    try:
        return find_project(files, config, choice)
    except PlanError:
        return find_project(files, config)


def _read_options(files: Snapshot, choice: PlanChoice) -> PlanOptions:
    """Returns the options of the project; those of its configuration alone if the project is not valid."""
    config = _read_config(files)
    try:
        return plan_options(_find_project_of(files, config, choice))
    except PlanError:
        return config.plan_options()
