"""`gitbatch run`: starts a batch, or resumes the unfinished one."""

from typing import Annotated

import typer

from gitbatch.batch.planning.early.eagerness import EagerMode
from gitbatch.cli.common import HERE, Directory, Json, PlanPath
from gitbatch.cli.early_opening import EarlyOpening
from gitbatch.cli.views import Progress, ProgressKind
from gitbatch.sandbox.model import SandboxKind

Items = Annotated[
    str | None,
    typer.Option(
        help="The items to run, with commas between: all (open), failed, group:1-2, group:TITLE, ids, paths, 'T1*'."
    ),
]
CheckpointOption = Annotated[
    str | None, typer.Option(help="When to pause: after-each, after-batch:N or at-end.")
]
AgentName = Annotated[str | None, typer.Option(help="The agent for items that name none.")]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Items that run at the same time.")]
Branch = Annotated[
    str | None, typer.Option(help="Run on this branch (made at HEAD if new) and leave the checkout alone.")
]
Continue = Annotated[
    bool,
    typer.Option(
        "--continue", help="Resume the unfinished batch; --checkpoint and --agent change the rest of it."
    ),
]
Sandbox = Annotated[
    SandboxKind | None, typer.Option(help="The sandbox of all agents, whatever the configuration says.")
]
MaxCost = Annotated[
    float | None,
    typer.Option(min=0.0, metavar="USD", help="The most that the batch may cost, over interruptions."),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="The most tokens that the batch may use, over interruptions."),
]
Eager = Annotated[
    EagerMode | None,
    typer.Option(
        help="Start items before their group; if what they read changes, they run and are paid again."
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Let the workers of a Dask cluster run the agents, such as tls://head:8786; not recorded in the batch.",
    ),
]
Wait = Annotated[
    bool, typer.Option("--wait", help="When a server says to come back later, wait as long as it says.")
]
NoFetch = Annotated[
    bool, typer.Option("--no-fetch", help="In a partial clone, fetch nothing; a missing object is an error.")
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", "-n", help="Only show what would run, after all checks of a run; start nothing."
    ),
]
AcceptConfig = Annotated[
    bool,
    typer.Option(
        "--accept-config",
        help="Run with the present gitbatch.toml, even if it names other programs, hosts, keys or paths.",
    ),
]
NoInput = Annotated[bool, typer.Option("--no-input", help="Never ask; a missing option is an error.")]


def run(
    task_md: PlanPath = None,
    items: Items = None,
    checkpoint: CheckpointOption = None,
    agent: AgentName = None,
    jobs: Jobs = None,
    branch: Branch = None,
    continues: Continue = False,
    sandbox: Sandbox = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    eager: Eager = None,
    cluster: Cluster = None,
    wait: Wait = False,
    no_fetch: NoFetch = False,
    accept_config: AcceptConfig = False,
    no_input: NoInput = False,
    dry_run: DryRun = False,
    progress: Progress = ProgressKind.AUTO,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Run the plan: one subagent for each item, one reviewed commit for each group.

    An unfinished batch is resumed by the same command, or without options. Options that say something else start nothing.
    """
    wants_bubblewrap = sandbox in {None, SandboxKind.AUTO, SandboxKind.BUBBLEWRAP}
    with EarlyOpening(directory, has_sandbox=wants_bubblewrap, has_launcher=not dry_run) as opening:
        from gitbatch.batch.history.ledger import SpendingLimits
        from gitbatch.cli.batch import RunOptions, preview_command, run_command

        options = RunOptions(
            task_md=task_md,
            items=items,
            checkpoint=checkpoint,
            agent=agent,
            jobs=jobs,
            branch=branch,
            continues=continues,
            sandbox=sandbox,
            limits=SpendingLimits(max_cost, max_tokens),
            eager=eager,
            cluster=cluster,
            wait=wait,
            no_fetch=no_fetch,
            accept_config=accept_config,
            no_input=no_input,
            dry_run=dry_run,
            progress=progress,
            json=json,
            directory=directory,
        )
        if dry_run:
            raise typer.Exit(preview_command(options, opening.wait_for_repository()))
        raise typer.Exit(run_command(options, opening=opening))
