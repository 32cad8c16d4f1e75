"""`gitbatch run`: start a batch, or go on with the unfinished one."""

from pathlib import Path
from typing import Annotated

import typer

from gitbatch.cli.common import HERE, Directory, Json
from gitbatch.sandbox.model import SandboxKind


def run(  # typer shows the options' own help
    task_md: Annotated[
        Path | None, typer.Argument(metavar="[TASK_MD]", help="The plan; the active phase's if not given.")
    ] = None,
    items: Annotated[
        str | None,
        typer.Option(help="Which items: all, group:1-2, or ids and output paths with commas between."),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="When to pause: after-each, after-batch:N or at-end.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="The agent for items that name none.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Items that run at the same time.")] = None,
    branch: Annotated[
        str | None,
        typer.Option(help="Run on this branch (made at HEAD if new) and leave the checkout alone."),
    ] = None,
    sandbox: Annotated[
        SandboxKind | None, typer.Option(help="What agents run in, whatever the configuration says.")
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="USD", help="What the batch may cost, over interruptions."),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Tokens the batch may use, over interruptions.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="When a server says to come back later, wait as long as it says.")
    ] = False,
    no_fetch: Annotated[
        bool,
        typer.Option("--no-fetch", help="In a partial clone, fetch nothing; what is missing is an error."),
    ] = False,
    accept_config: Annotated[
        bool,
        typer.Option(
            "--accept-config",
            help="Run by what gitbatch.toml says now, also where it names other programs, hosts, keys or paths.",
        ),
    ] = False,
    no_input: Annotated[
        bool, typer.Option("--no-input", help="Never ask; a missing option is an error.")
    ] = False,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Run the plan: one subagent for each item, one reviewed commit for each group.

    With an unfinished batch, goes on with it and with what it was started with.
    """
    from gitbatch.batch.history.ledger import SpendingLimits
    from gitbatch.cli.batch import RunOptions, run_command

    options = RunOptions(
        task_md,
        items,
        checkpoint,
        agent,
        jobs,
        branch,
        no_input,
        json,
        directory,
        sandbox,
        SpendingLimits(max_cost, max_tokens),
        wait,
        no_fetch,
        accept_config,
    )
    raise typer.Exit(run_command(options))
