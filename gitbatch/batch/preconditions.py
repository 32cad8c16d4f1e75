"""Checks on the target branch and the checkout before a batch starts or continues. Run on the git thread."""

from collections.abc import Iterator

from msgspec import Struct

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.confine import strict_advice
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.target import require_not_checked_out_elsewhere, require_tip
from gitbatch.batch.model import BatchItem, Record
from gitbatch.batch.planning.agents import recorded_agents
from gitbatch.batch.planning.preflight import require_clean, require_no_nested_repositories
from gitbatch.batch.planning.project_state import ProjectState, read_project_state, require_runnable
from gitbatch.batch.planning.required_objects import require_objects
from gitbatch.project.config import CONFIG_FILE, Config
from gitbatch.project.sent_work import sends_checks
from gitbatch.repo.checkout.branch import require_nothing_under_way
from gitbatch.repo.repository import Repository
from gitbatch.repo.unlocked import require_unlocked
from gitbatch.repo.worktrees.checkouts import Checkouts, name_in_checkout, unknown_advice
from gitbatch.text import clean_text


def _remaining_items(record: Record, progress: BatchProgress) -> Iterator[BatchItem]:
    """Yields the items that have no checkpoint, and those that a review made run again."""
    reopened = progress.reopened
    for group in record.groups:
        is_finished = progress.is_finished(group)
        yield from (item for item in group.items if not is_finished or item.key in reopened)


def require_resumable(repo: Repository, batch: Batch, progress: BatchProgress) -> None:
    """Refuses to resume over the user's changes, or in the middle of a merge, in a checkout that would be updated.

    Raises:
        GitbatchError: the message says what is in the way.
    """
    target = batch.record.target
    if repo.head_branch() != target:
        require_not_checked_out_elsewhere(repo, target)
    else:
        require_nothing_under_way(repo)
        remaining = tuple(item.output for item in _remaining_items(batch.record, progress))
        project_state = read_project_state(repo, require_tip(repo, target), batch.record.plan)
        # An edited plan or configuration is for the user's next step. The plan gets the ticks, as one that is edited
        # during a run does.
        require_no_nested_repositories(repo, project_state, remaining)
        require_clean(
            repo, project_state, remaining, exempt=frozenset({project_state.project.plan_path, CONFIG_FILE})
        )
    require_unlocked(repo, target)
    repo.objects.require_signer()


def read_runnable_state(repo: Repository, record: Record, progress: BatchProgress) -> ProjectState:
    """Returns the project state of the target branch.

    Raises:
        PlanError: its plan has errors.
        PartialCloneError: an object that a remaining item needs is missing and cannot be fetched.
    """
    project_state = read_project_state(repo, require_tip(repo, record.target), record.plan)
    require_runnable(project_state)
    found = project_state.find_items(record)
    remaining = (found[item.key] for item in _remaining_items(record, progress) if item.key in found)
    require_objects(repo, project_state, remaining)
    return project_state


class AgentConfinement(Struct, frozen=True):
    """The sandboxes of a batch's agents."""

    sandboxes: str
    """Their kinds; empty: no agent is a process."""
    readable: tuple[str, ...]
    """Paths of the checkout that the agents may read."""
    advice: tuple[str, ...]


def advise_on_programs(config: Config) -> tuple[str, ...]:
    """Returns a line about each check and gate without a sandbox: it runs what the agents wrote in theirs."""
    checks = (f"check {name}" for name, table in config.checks.items() if table.sandbox == "none")
    gates = (f"gate {name}" for name, table in config.gates.items() if table.sandbox == "none")
    risk = "runs without a sandbox: what it starts of the files that agents write has your rights"
    return tuple(f"{each} {risk}" for each in (*checks, *gates))


def describe_confinement(
    repo: Repository, record: Record, progress: BatchProgress, agents: AgentPool, checkouts: Checkouts
) -> AgentConfinement:
    """Returns the sandboxes of a batch's agents.

    Raises:
        GitbatchError: an agent cannot work here.
    """
    project_state = read_project_state(repo, require_tip(repo, record.target), record.plan)
    names = recorded_agents(project_state, record, progress.chosen_agents)
    config = project_state.project.config
    readable = agents.read_in_checkouts(names, config, checkouts.folders)
    shown = tuple(clean_text(name_in_checkout(path, repo.root)) for path in readable)
    sandboxes = agents.sandbox_kinds(names, config)
    strict = ((name, strict_advice(config.agents[name], agents.sandbox)) for name in sorted(names))
    unknown = () if sandboxes in {"", "none"} else tuple(map(unknown_advice, checkouts.unknown))
    are_remote = sends_checks(config, is_remote=agents.is_remote)
    open_programs = () if "none" in sandboxes or are_remote else advise_on_programs(config)
    believed = ("checks and gates run at workers: their verdicts are believed",) if are_remote else ()
    advice = (
        *unknown,
        *open_programs,
        *believed,
        *(f"agent {name}: {text}" for name, text in strict if text),
    )
    notes = (note for name in sorted(names) for note in agents.get_agent(name, config).notes)
    return AgentConfinement(sandboxes, shown, (*map(clean_text, advice), *notes))
