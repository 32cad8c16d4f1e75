"""Starting a batch: everything that could stop it later is checked before anything is changed."""

from msgspec import Struct

from gitbatch.batch.events import BatchStopped
from gitbatch.batch.history.record import Batch, new_batch_id, write_record
from gitbatch.batch.model import PHASE_COMPLETE, CheckpointMode, Record
from gitbatch.batch.planning.check_problems import find_check_problems
from gitbatch.batch.planning.item_problems import find_item_problems, require_no_problems
from gitbatch.batch.planning.project_state import ProjectState, require_runnable
from gitbatch.batch.planning.required_objects import require_objects
from gitbatch.batch.planning.selection import group_items
from gitbatch.batch.planning.start_checks import StartChoice, start_checks
from gitbatch.batch.planning.surroundings import CommitSurroundings
from gitbatch.batch.planning.target import Target
from gitbatch.plan.model import Plan
from gitbatch.project.config import CONFIG_FILE
from gitbatch.project.manifest import LISTED
from gitbatch.repo.repository import Repository
from gitbatch.repo.unlocked import require_unlocked
from gitbatch.text import clean_text, format_count, list_names


class BatchOptions(Struct, frozen=True):
    """The user's choices for a batch."""

    start: StartChoice
    selection: str
    """The words that name the items."""
    mode: CheckpointMode
    jobs: int


def describe_open_items(plan: Plan) -> str:
    """Returns that the open items of a complete phase do not run (rule O6); empty if none is open."""
    names = _name_open_items(plan)
    if not names:
        return ""
    items = f"{format_count(len(names), 'open item')} ({list_names(names)})"
    verb = "does" if len(names) == 1 else "do"
    return clean_text(f"{items} {verb} not run: every criterion is ticked; untick one to reopen")


def stop_complete(plan: Plan, batch: str, reason: str) -> BatchStopped:
    """Returns the hard stop of a complete phase. `reason`: where no item is open."""
    return BatchStopped(
        batch=batch,
        reason=describe_open_items(plan) or reason,
        advice=PHASE_COMPLETE,
        open_items=_name_open_items(plan),
    )


def _name_open_items(plan: Plan) -> tuple[str, ...]:
    return tuple(item.name for item in plan.items if not item.done)


def find_reason_not_to_start(project_state: ProjectState) -> BatchStopped | None:
    """Returns why there is nothing to start: the phase is complete (rule O6), or every item is done; else None."""
    project, plan = project_state.project, project_state.plan
    if project_state.is_complete:
        phase = f"phase {project.phase.name}" if project.phase.name else "the phase"
        return stop_complete(plan, "", f"every Definition-of-Done entry of {phase} is complete")
    if all(item.done for item in plan.items):
        advice = "add items, or check the Definition of Done: gitbatch plan"
        return BatchStopped(batch="", reason=f"every item of {plan.path} is done", advice=advice)
    return None


def begin_batch(repo: Repository, target: Target, record: Record) -> Batch:
    """Starts a batch; `plan_batch` has run all checks."""
    if not target.exists:
        repo.refs.create(target.ref, target.tip)
    return write_record(repo, record, target.tip)


def plan_batch(
    repo: Repository, target: Target, project_state: ProjectState, options: BatchOptions, now: float
) -> Record:
    """Runs all checks; returns what a batch is started with.

    Raises:
        GitbatchError: a check failed; nothing has been changed.
    """
    _require_startable(repo, target, project_state, options)
    return Record(
        batch=new_batch_id(now),
        started=int(now),
        target=target.ref,
        phase=project_state.project.phase.name,
        plan_path=project_state.project.plan_path,
        mode=str(options.mode),
        agent=options.start.agent,
        jobs=options.jobs,
        groups=group_items(project_state.plan, options.start.items),
        config=project_state.snapshot.blob(CONFIG_FILE),
        format=_choose_format(len(project_state.plan.items)),
        selection=options.selection,
    )


def _choose_format(items: int) -> int:
    """Returns the format of the commits by the number of items of a plan: only one of many items has long lists."""
    return 2 if items > LISTED else 1


def _require_startable(
    repo: Repository, target: Target, project_state: ProjectState, options: BatchOptions
) -> None:
    """Runs the checks in the order in which they cost: what the plan says first, then git, then the signer."""
    require_runnable(project_state)
    around = CommitSurroundings(repo, project_state, target.followed)
    plan, project, choice = project_state.plan, project_state.project, options.start
    require_no_problems(plan, find_item_problems(plan, project, choice.items, choice.agent, around))
    require_no_problems(plan, find_check_problems(plan, project.config, choice.items))
    for check in start_checks(repo, target, project_state, choice):
        check.refuse()
    require_objects(repo, project_state, ((plan.groups[item.group - 1], item) for item in choice.items))
    require_unlocked(repo, target.ref)
    repo.objects.require_signer()
