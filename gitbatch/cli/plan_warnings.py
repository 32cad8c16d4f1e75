"""The warnings of a plan that can run, on standard error."""

import typer

from gitbatch.batch.planning.project_state import ProjectView, render_diagnostics


def tell_warnings(state: ProjectView) -> None:
    """Shows the plan's warnings, if it has any."""
    if state.plan.diagnostics:
        typer.echo(render_diagnostics(state) + "\n", err=True)
