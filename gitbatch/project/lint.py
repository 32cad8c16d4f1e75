"""Reading a plan from the disk, before it is committed, with the options that its project has."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.errors import PlanError, UsageError
from gitbatch.plan.model import Plan, PlanOptions
from gitbatch.plan.parse import parse_plan
from gitbatch.project.config import CONFIG_FILE, Config, parse_config
from gitbatch.project.control import Project, find_project
from gitbatch.project.disk import DiskSnapshot
from gitbatch.project.snapshot import Snapshot

ReadFiles = Callable[[Path], Snapshot]


class Checked(Struct, frozen=True):
    """A plan file, its content and the plan in it."""

    path: str
    source: bytes
    plan: Plan


def check_plan(path: Path, read_files: ReadFiles = DiskSnapshot) -> Checked:
    """Reads a plan file.

    Args:
        path: the file, which a sparse checkout may leave out.
        read_files: returns the files below the top folder of a project.

    Raises:
        UsageError: the file cannot be read.
    """
    here = path.resolve()
    root = find_project_root(here.parent)
    files = read_files(root)
    try:
        source = path.read_bytes()
    except OSError as error:
        left_out = (
            files.read(here.relative_to(root).as_posix()) if isinstance(error, FileNotFoundError) else None
        )
        if left_out is None:
            raise UsageError(
                f"cannot read {path}: {error.strerror}", "name a plan, such as task.md"
            ) from error
        source = left_out
    return Checked(str(path), source, parse_plan(source, str(path), _read_options(files)))


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
    found = root / find_project(files, _read_config(files)).task
    return found.relative_to(directory.resolve()) if found.is_relative_to(directory.resolve()) else found


def find_project_root(directory: Path) -> Path:
    """Returns the nearest folder, upwards, that is a repository or has a configuration; else the directory itself."""
    upwards = (directory, *directory.parents)
    return next((d for d in upwards if (d / ".git").exists() or (d / CONFIG_FILE).exists()), directory)


def read_project_on_disk(files: Snapshot, path: str) -> Project | None:
    """Returns the project on the disk, with the plan at a repository path; None if the project is not valid."""
    try:
        return replace(find_project(files, _read_config(files)), task=path)
    except PlanError:
        return None


def _read_config(files: Snapshot) -> Config:
    return parse_config(files.read(CONFIG_FILE))


def _read_options(files: Snapshot) -> PlanOptions:
    """Returns the options of the project; those of its configuration alone if the project is not valid."""
    config = _read_config(files)
    try:
        project = find_project(files, config)
    except PlanError:
        return config.plan_options()
    return config.plan_options(project.phase.name, project.phase.folder, project.protected)
