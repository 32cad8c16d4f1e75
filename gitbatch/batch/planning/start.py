"""Starting a batch: everything that could stop it later is checked before anything is changed."""

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.protocol import Agent
from gitbatch.batch.events import BatchStopped
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.history.record import Batch, new_batch_id, write_record
from gitbatch.batch.history.target import require_not_checked_out_elsewhere
from gitbatch.batch.history.trailers import FORMAT
from gitbatch.batch.model import CheckpointMode, Record
from gitbatch.batch.planning.preflight import nested_problem
from gitbatch.batch.planning.project_state import ProjectState, require_runnable
from gitbatch.batch.planning.required_objects import require_objects
from gitbatch.batch.planning.schedule import settings
from gitbatch.batch.planning.selection import batch_groups, require_context
from gitbatch.batch.planning.surroundings import CommitSurroundings, Surroundings
from gitbatch.errors import GitbatchError, PlanError, UsageError
from gitbatch.paths import ancestors
from gitbatch.plan.model import WorkItem
from gitbatch.project.config import CONFIG_FILE
from gitbatch.repo.checkout.branch import require_nothing_under_way, require_target
from gitbatch.repo.checkout.follow import uncommitted
from gitbatch.repo.refs.names import HEADS, short
from gitbatch.repo.repository import Repository
from gitbatch.repo.unlocked import require_unlocked


class Target(Struct, frozen=True):
    """The branch that checkpoints go to."""

    ref: str
    tip: str
    exists: bool
    followed: bool
    """Whether the user's checkout has it, and follows."""


class Choice(Struct, frozen=True):
    """What the user chose for a batch."""

    items: tuple[WorkItem, ...]
    mode: CheckpointMode
    agent: str
    jobs: int
    agents: AgentPool


def find_target(repo: Repository, name: str | None) -> Target:
    """The branch to run on: the one that is checked out, or the named one (made at HEAD if it is new).

    Raises:
        GitbatchError: a merge or the like is under way, HEAD is detached, there is no commit, or the branch is
            checked out in another worktree.
        UsageError: the name can't be a branch's.
    """
    ref = None if name is None else _branch_ref(repo, name)
    if ref is None or ref == repo.head_branch():
        require_nothing_under_way(repo)
        branch, tip = require_target(repo)
        return Target(branch, tip, exists=True, followed=True)
    require_not_checked_out_elsewhere(repo, ref)
    at = repo.refs.read(ref)
    tip_or_head = at or repo.refs.commit("HEAD")
    if tip_or_head is None:
        raise GitbatchError(
            "this repository has no commit yet", "commit the plan first: git add task.md && git commit"
        )
    return Target(ref, tip_or_head, exists=at is not None, followed=False)


def _branch_ref(repo: Repository, name: str) -> str:
    """The full name of a branch that exists or could be made."""
    said = repo.git.run("check-ref-format", "--branch", name, check=False)
    if said.status != 0 or said.stdout.decode(errors="replace").strip() != name or name.startswith("refs/"):
        raise UsageError(
            f"{name!r} can't be the name of a branch", "see git help check-ref-format for what can"
        )
    above = (f"{HEADS}{part}" for part in ancestors(name))
    in_the_way = next(filter(repo.refs.read, above), None) or next(
        iter(repo.refs.below(f"{HEADS}{name}/")), None
    )
    if in_the_way or name.split("/", maxsplit=1)[0] == "gitbatch":
        what = f"there is a branch {short(in_the_way)}" if in_the_way else "gitbatch/… is for item branches"
        raise UsageError(f"there can't be a branch {name}: {what}", "give another name with --branch")
    return repo.refs.resolve(f"{HEADS}{name}")


def find_plan_commit(repo: Repository, name: str | None) -> str:
    """The commit that a plan is read from where nothing is to run: a branch's, or HEAD's.

    Raises:
        GitbatchError: there is no such commit.
    """
    commit = repo.refs.commit(f"{HEADS}{name}" if name else "HEAD")
    if commit is None:
        what = f"there is no branch {name}" if name else "this repository has no commit yet"
        raise GitbatchError(what, "commit the plan first: git add task.md && git commit")
    return commit


def is_complete(project_state: ProjectState) -> bool:
    """Whether every Definition-of-Done entry of the phase is done (rule O6)."""
    return bool(project_state.plan.criteria) and all(
        criterion.done for criterion in project_state.plan.criteria
    )


def nothing_to_do(project_state: ProjectState) -> BatchStopped | None:
    """Why there is nothing to start, if so: the phase is complete (rule O6), or every item is done."""
    if is_complete(project_state):
        phase = (
            f"phase {project_state.project.phase.name}" if project_state.project.phase.name else "the phase"
        )
        return BatchStopped(
            batch="",
            reason=f"every Definition-of-Done entry of {phase} is complete",
            advice="hard stop: what comes next is yours to decide (the active scope in CLAUDE.md)",
        )
    if all(item.done for item in project_state.plan.items):
        advice = "add items, or look at the Definition of Done: gitbatch plan"
        return BatchStopped(
            batch="", reason=f"every item of {project_state.plan.path} is done", advice=advice
        )
    return None


def begin_batch(
    repo: Repository, target: Target, project_state: ProjectState, choice: Choice, now: float
) -> Batch:
    """Check everything, then start a batch.

    Raises:
        GitbatchError: something is in the way; nothing has been changed.
    """
    require_runnable(project_state)
    around = CommitSurroundings(repo, project_state, target.followed)
    require_context(project_state, choice.items, around)
    _require_agents(project_state, choice)
    _require_places(project_state, choice.items, around)
    require_room_for_branches(repo)
    require_objects(
        repo, project_state, filter(None, (project_state.find(item.output) for item in choice.items))
    )
    require_unlocked(repo, target.ref)
    if target.followed:
        require_clean(repo, project_state, tuple(item.output for item in choice.items))
    repo.objects.require_signer()
    record = Record(
        batch=new_batch_id(now),
        started=int(now),
        target=target.ref,
        phase=project_state.project.phase.name,
        task=project_state.project.task,
        mode=str(choice.mode),
        agent=choice.agent,
        jobs=choice.jobs,
        groups=batch_groups(project_state.plan, choice.items),
        config=project_state.snapshot.blob(CONFIG_FILE),
        format=FORMAT,
    )
    if not target.exists:
        repo.refs.create(target.ref, target.tip)
    return write_record(repo, record, target.tip)


def require_clean(
    repo: Repository, project_state: ProjectState, outputs: tuple[str, ...], but: frozenset[str] = frozenset()
) -> None:
    """Refuse to start over changes of the user's that a checkpoint would meet; `but`: files that may have some.

    Raises:
        GitbatchError: a shared file or an output has uncommitted changes; the message names them.
    """
    dirty = uncommitted(
        repo, tuple(p for p in (*project_state.project.shared_files, *outputs) if p not in but)
    )
    if dirty:
        raise GitbatchError(
            f"uncommitted changes in {', '.join(dirty[:5])}{' and more' * (len(dirty) > 5)}",
            "commit or stash them first: gitbatch writes these files itself",
        )


def _require_agents(project_state: ProjectState, choice: Choice) -> None:
    config, plan = project_state.project.config, project_state.plan
    groups = {group.number: group for group in plan.groups}
    for item in choice.items:
        wanted = settings(item, groups[item.group], plan).agent or choice.agent
        if wanted not in config.agents:
            known = ", ".join(sorted(config.agents)) or "none"
            raise PlanError(
                f"{plan.path}:{item.line}: {item.name} wants agent {wanted!r}, which is not configured",
                f"gitbatch.toml has: {known}",
            )
        choice.agents.agent(wanted, config)


def wanted_agents(project_state: ProjectState, items: tuple[WorkItem, ...], default: str) -> frozenset[str]:
    """The names of the agents that items want."""
    groups = {group.number: group for group in project_state.plan.groups}
    return frozenset(
        settings(item, groups[item.group], project_state.plan).agent or default for item in items
    )


def agents_of(project_state: ProjectState, record: Record) -> frozenset[str]:
    """The names of the configured agents that a batch's items want."""
    found = (project_state.find(item.key) for item in record.items)
    wanted = {
        settings(item, group, project_state.plan).agent or record.agent for group, item in filter(None, found)
    }
    return frozenset(wanted & project_state.project.config.agents.keys())


def _require_places(project_state: ProjectState, items: tuple[WorkItem, ...], around: Surroundings) -> None:
    """Every output must have a place: below folders, not links, submodules, files or nested repositories."""
    for item in items:
        problem = around.place_problem(item.output) or nested_problem(item.output, around)
        if problem:
            raise PlanError(
                f"{project_state.plan.path}:{item.line}: the output {item.output} can't be written: {problem}",
                "give the item another output",
            )


def require_no_nested(repo: Repository, project_state: ProjectState, outputs: Iterable[str]) -> None:
    """Refuse to go on where an output is below a repository of its own that has come since the batch began.

    Raises:
        PlanError: one is.
    """
    around = CommitSurroundings(repo, project_state, followed=True)
    for output in outputs:
        problem = nested_problem(output, around)
        if problem:
            raise PlanError(f"the output {output} cannot be written: {problem}", "move that repository away")


def require_room_for_branches(repo: Repository) -> None:
    """Refuse where a branch has the name of the folder that item branches need.

    Raises:
        GitbatchError: there is a branch called gitbatch.
    """
    if repo.refs.read(f"{HEADS}gitbatch"):
        raise GitbatchError(
            "there is a branch called gitbatch, and item branches are called gitbatch/…",
            "rename yours: git branch -m gitbatch some-other-name",
        )


def require_worktrees_dir(repo: Repository, worktrees_dir: Path) -> None:
    """Refuse a place for worktrees inside the user's checkout or its .git.

    Raises:
        UsageError: it is inside.
    """
    place = worktrees_dir.resolve()
    if any(place.is_relative_to(here.resolve()) for here in (repo.root, repo.common_dir)):
        raise UsageError(
            f"worktrees can't be made in {worktrees_dir}: it is inside the repository",
            "set worktrees under [batch], or GITBATCH_WORKTREES, to a folder outside",
        )


def require_measured(agents: tuple[Agent, ...], limits: SpendingLimits) -> None:
    """Refuse a limit that could not be kept.

    Raises:
        UsageError: an agent does not say what it uses.
    """
    for agent in agents:
        if limits.max_cost is not None and not agent.knows_cost:
            what, option = "costs", "--max-cost"
        elif limits.max_tokens is not None and not agent.knows_usage:
            what, option = "uses", "--max-tokens"
        else:
            continue
        raise UsageError(
            f"agent {agent.name} does not say what it {what}, so {option} can't be kept",
            "for a command agent: let it write usage into its reply and set reports-usage = true; "
            "for a model without a known price: set its price; or run without a limit",
        )
