"""The keys that a run sends to its workers, where `executor.secrets` says so: of the user's environment, and by a message of their own."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from gitbatch.agents.process.environment import secret_names
from gitbatch.batch.executor.messages import MOST_ENTRIES, MOST_VALUE, SentSecrets, SentValue
from gitbatch.batch.planning.executor_choice import require_private
from gitbatch.errors import GitbatchError
from gitbatch.project.config import Config

_OF_SSH = "SSH_AUTH_SOCK"
"""Where `ssh` finds the user's agent for its keys."""


def collect_secrets(
    config: Config, agents: Iterable[str], environment: Mapping[str, str], checkout: Path
) -> SentSecrets | None:
    """Returns the values of the secret variables of some agents, as far as they are set; None: none is sent.

    Of an agent that has one, the others are sent as empty: else it would use another key of its worker.

    Raises:
        GitbatchError: the way to a worker is not encrypted, its authority is in the checkout, or a value is too long.
    """
    if config.executor.secrets != "send":
        return None
    require_private(config.executor, checkout)
    wanted = [config.agents[agent].secret_variables for agent in agents]
    if config.executor.checks_at == "workers":
        programs = (*config.checks.values(), *config.gates.values())
        wanted += [secret_names(table.pass_env, table.public_env) for table in programs]
    names = {name for each in wanted if any(map(environment.get, each)) for name in each}
    found = tuple(SentValue(name, environment.get(name, "")) for name in sorted(names))
    long = next((each.name for each in found if len(each.value) > MOST_VALUE), "")
    if long or len(found) > MOST_ENTRIES:
        what = f"the value of {long} is too long" if long else f"they are more than {MOST_ENTRIES}"
        raise GitbatchError(f"executor.secrets: {what} to be sent", 'write secrets = "worker"')
    return SentSecrets(found)


def remove_sent(environment: Mapping[str, str], sent: SentSecrets | None) -> Mapping[str, str]:
    """Returns the environment of what leads to a worker, without the variables that are sent.

    Others of the same user can read it in `/proc`, and `ssh` may pass it on. What `ssh` itself needs stays.
    """
    names = {each.name for each in sent.values} - {_OF_SSH} if sent else ()
    return {name: value for name, value in environment.items() if name not in names}
