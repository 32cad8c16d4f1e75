"""The warnings of a plan that can run, on standard error."""

from gitbatch.batch.planning.project_state import ProjectView, render_diagnostics
from gitbatch.cli.verbosity import show_note


def tell_warnings(state: ProjectView) -> None:
    """Shows the plan's warnings, if it has any."""
    if state.plan.diagnostics:
        show_note(render_diagnostics(state) + "\n")
