"""The project as the disk has it: for a look at a plan before it is committed, never for running it."""

from msgspec.structs import replace

from gitbatch.batch.planning.project_state import ProjectView
from gitbatch.batch.planning.risks import find_risks
from gitbatch.batch.planning.surroundings import DiskSurroundings
from gitbatch.plan.parse import read_plan
from gitbatch.project.config import CONFIG_FILE, parse_config
from gitbatch.project.control import PlanChoice, find_project, plan_options
from gitbatch.repo.repository import Repository


def read_disk_view(repo: Repository, choice: PlanChoice) -> ProjectView:
    """Returns the project and the plan of the checkout, with the diagnostics of the plan alone.

    Raises:
        PlanError: the configuration is wrong, or the project has no plan.
    """
    return _read_view(DiskSurroundings.of_checkout(repo), choice)


def read_working_tree(repo: Repository, choice: PlanChoice) -> ProjectView:
    """Returns the project and the plan of the checkout, with the diagnostics that a commit of it would have.

    Raises:
        PlanError: the configuration is wrong, or the project has no plan.
    """
    around = DiskSurroundings.of_checkout(repo)
    view = _read_view(around, choice)
    risks = () if view.plan.errors else find_risks(view.plan, view.source, view.project, around)
    return replace(view, plan=replace(view.plan, diagnostics=(*view.plan.diagnostics, *risks)))


def _read_view(around: DiskSurroundings, choice: PlanChoice) -> ProjectView:
    files = around.snapshot
    project = find_project(files, parse_config(files.read(CONFIG_FILE)), choice)
    source = files.read(project.plan_path) or b""
    return ProjectView(
        "", files, project, read_plan(source, project.plan_path, plan_options(project)), source
    )
