"""Resuming an unfinished batch: the options of the command line against those that the batch was started with.

The batch is resumed if they say the same, so that a script may repeat its command. If one of them says something else,
nothing starts: an explicit choice never runs anything but what it names.
"""

from msgspec import Struct

from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.model import CheckpointMode
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.batch.planning.selection import select_items
from gitbatch.batch.planning.target import require_branch_ref
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.project.control import PlanChoice
from gitbatch.repo.refs.names import short
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text

CHANGEABLE = ("--checkpoint", "--agent")
"""The options that `run --continue` may change for the rest of a batch."""


class GivenOptions(Struct, frozen=True, kw_only=True):
    """The options of a command that say what runs; None: not given."""

    plan: PlanChoice
    items: str | None
    checkpoint: CheckpointMode | None
    agent: str | None
    branch: str | None


class Difference(Struct, frozen=True):
    """An option that says something else than the batch."""

    option: str
    given: str
    recorded: str


def find_differences(repo: Repository, batch: Batch, given: GivenOptions) -> tuple[Difference, ...]:
    """Returns the options that say something else than an unfinished batch, in the order of the command line.

    Raises:
        UsageError: git does not accept the name of the branch.
    """
    record = batch.record
    mode = str(given.checkpoint) if given.checkpoint else None
    plan_path = given.plan.path or _find_meant_plan(repo, batch, given)
    compared = (
        ("TASK_MD", plan_path, record.plan_path, plan_path == record.plan_path),
        ("--items", given.items, _describe_selection(batch), _is_same_selection(repo, batch, given)),
        ("--checkpoint", mode, record.mode, mode == record.mode),
        ("--agent", given.agent, record.agent, given.agent == record.agent),
        ("--branch", given.branch, short(record.target), _is_same_branch(repo, batch, given.branch)),
    )
    return tuple(
        Difference(option, clean_text(said), clean_text(recorded))
        for option, said, recorded, is_same in compared
        if said is not None and not is_same
    )


def refuse_differences(batch: Batch, differences: tuple[Difference, ...]) -> None:
    """Refuses to start anything where options say something else than the unfinished batch.

    Raises:
        UsageError: there are differences; the message lists the three ways from here.
    """
    if not differences:
        return
    said = "; ".join(f"{d.option} {d.recorded}, not {d.given}" for d in differences)
    changed = [f"{d.option} {d.given}" for d in differences if d.option in CHANGEABLE]
    options = " ".join(changed) or "--checkpoint MODE --agent NAME"
    raise UsageError(
        f"batch {batch.id} is unfinished and was started differently: {said}",
        "resume it:        gitbatch run\n"
        f"change the rest:  gitbatch run --continue {options}   (only --checkpoint and --agent)\n"
        "end it:           gitbatch abort   (then run this command again)",
    )


def _find_meant_plan(repo: Repository, batch: Batch, given: GivenOptions) -> str | None:
    """Returns the plan whose items `--items` means where none is named: the nearest one, in a project without phases.

    None: there are no words that mean items, the active phase decides, or no plan is found.
    """
    if given.items is None:
        return None
    try:
        project = read_project_state(repo, require_tip(repo, batch.record.target), given.plan).project
    except GitbatchError:  # what is wrong there is said at the resume
        return None
    return None if project.phase.name else project.plan_path


def _describe_selection(batch: Batch) -> str:
    items = batch.record.items
    named = ",".join(item.name for item in items[:3]) + (f" and {len(items) - 3} more" if items[3:] else "")
    return batch.record.selection or named


def _is_same_selection(repo: Repository, batch: Batch, given: GivenOptions) -> bool:
    """Whether a selection has the same words as the batch's, or names the same items of the plan that it started from."""
    if given.items is None or _split_words(given.items) == _split_words(batch.record.selection):
        return True
    try:
        plan = read_project_state(repo, batch.base, batch.record.plan).plan
        chosen = {(item.group, item.output) for item in select_items(plan, given.items)}
    except GitbatchError:  # the words mean nothing there, or the plan cannot be read any more
        return False
    return chosen == {(group.number, item.output) for group in batch.record.groups for item in group.items}


def _split_words(selection: str) -> frozenset[str]:
    words = (word.strip().casefold() for word in selection.split(","))
    return frozenset("all" if word == "open" else word for word in words if word)


def _is_same_branch(repo: Repository, batch: Batch, name: str | None) -> bool:
    return name is not None and require_branch_ref(repo, name) == batch.record.target
