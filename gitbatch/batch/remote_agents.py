"""The agents and the checks of a run: they work here, or on other machines, whose code is loaded then."""

from msgspec.structs import replace

from gitbatch.batch.announcing import announce_hosts
from gitbatch.batch.caller import SessionSettings
from gitbatch.batch.history.activity import find_last_hosts
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import list_ended
from gitbatch.batch.item.run import Run
from gitbatch.batch.notices import Notices
from gitbatch.batch.planning.executor_choice import choose_executor
from gitbatch.project.config import Config


def send_agents(
    run: Run, state: BatchProgress, config: Config, settings: SessionSettings, tell: Notices
) -> Run:
    """Returns the run, whose agents, and maybe checks, work on other machines if the user or the configuration says so.

    Args:
        run: whose agents work here.
        state: the progress of its batch.
        config: names the executor, unless the settings do.
        settings: the caller's choices.
        tell: shows a line.

    Raises:
        GitbatchError: they cannot be sent there.
    """
    config = choose_executor(config, settings.cluster, settings.environment)
    if not config.executor.is_remote:
        return run
    from gitbatch.batch.executor.remote_workplace import RemoteTools, open_remote  # noqa: PLC0415 - most runs are local
    from gitbatch.batch.executor.result_tokens import find_old_results  # noqa: PLC0415 - as the other one

    secrets = run.agents.find_secrets(config)

    def tell_masked(
        text: str,
    ) -> None:  # it may quote what a command has printed, such as the start-up files of a shell
        tell(secrets.mask_text(text))

    items = run.batch.record.items
    open_items = {item.slug: item.key for item in state.find_open(items)}
    done = [item.slug for item in items if item.slug not in open_items]
    hosts = find_last_hosts(run.repo.own_dir, run.batch.id, frozenset(open_items.values()))
    old = find_old_results(list_ended(run.repo), run.batch.id, done)
    more = (settings.environment, run.agents.budget, tell_masked, announce_hosts(run.emit, run.batch))
    tools = RemoteTools(run.repo, run.git, run.worktrees_dir, config, *more, old, hosts)
    workplaces = open_remote(tools, run.workplaces)
    return replace(run, workplaces=workplaces, remote_checks=workplaces.open_checks())
