"""The agents and the checks of a run: they work here, or on other machines, whose code is loaded then."""

from msgspec.structs import replace

from gitbatch.batch.announcing import announce_hosts
from gitbatch.batch.caller import SessionSettings
from gitbatch.batch.item.run import Run
from gitbatch.batch.notices import Notices
from gitbatch.batch.planning.executor_choice import choose_executor
from gitbatch.project.config import Config


def send_agents(run: Run, config: Config, settings: SessionSettings, tell: Notices) -> Run:
    """Returns the run, whose agents, and maybe checks, work on other machines if the user or the configuration says so.

    Raises:
        GitbatchError: they cannot be sent there.
    """
    config = choose_executor(config, settings.cluster, settings.environment)
    if not config.executor.is_remote:
        return run
    from gitbatch.batch.executor.remote_workplace import RemoteTools, open_remote  # noqa: PLC0415 - most runs are local

    secrets = run.agents.find_secrets(config)

    def tell_masked(
        text: str,
    ) -> None:  # it may quote what a command has printed, such as the start-up files of a shell
        tell(secrets.mask_text(text))

    more = (settings.environment, run.agents.budget, tell_masked, announce_hosts(run.emit, run.batch))
    tools = RemoteTools(run.repo, run.git, run.worktrees_dir, config, *more)
    workplaces = open_remote(tools, run.workplaces)
    return replace(run, workplaces=workplaces, remote_checks=workplaces.open_checks())
