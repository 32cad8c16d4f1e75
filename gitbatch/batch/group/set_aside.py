"""Setting finished items aside that are not merged: their commits are kept under rescue refs.

An item that stands on another which is not merged runs again. No attempt is counted for that; what it had cost stays in
the ledger. An item that makes a gate red fails: the ledger has its failed attempt before its branch is gone, so the next
start of the batch neither merges it nor runs it again.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from gitbatch.batch.group.checkpoint import Unsound
from gitbatch.batch.history.bases import BaseReader
from gitbatch.batch.history.item_commits import read_item_commit
from gitbatch.batch.history.ledger import Ledger
from gitbatch.batch.history.rescue import rescue_branches
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.history.unchecked import find_unchecked_refs
from gitbatch.batch.model import FailedAttempt, ItemStatus, Outcome
from gitbatch.limits.causes import Cause
from gitbatch.plan.model import ItemKey
from gitbatch.repo.refs.names import item_branch
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.branches import delete_branches
from gitbatch.text import CleanText, clean_text

REASON = clean_text("it was written on the file of an item that is not merged")
_TOO_OFTEN = clean_text("it was written again and again on files of items that are not merged")


def set_aside(
    repo: Repository,
    ledger: Ledger,
    unsound: Unsound,
    reason: CleanText = REASON,
    cause: Cause | None = None,
) -> Mapping[ItemKey, Outcome]:
    """Moves the branches of unsound items to rescue refs, and returns the outcomes that stay, by key.

    It may be repeated: an item whose branch is gone runs again, and by then the ledger has what it cost.
    """
    batch = ledger.batch.id
    lost = [outcome for outcome in unsound.outcomes if outcome.item.key in unsound.keys]
    branches = {item_branch(batch, o.item.slug): str(o.commit) for o in lost if o.commit}
    rescue_branches(repo, batch, branches, require_tip(repo, ledger.batch.record.target))
    for outcome in lost:
        _note_once(ledger, replace(_as_attempt(ledger, outcome), cause=cause, reason=reason))
    # First what was checked: without its branch, the item would be taken for one that is only to be checked again.
    delete_branches(repo, find_unchecked_refs(repo, batch, (outcome.item.slug for outcome in lost)))
    delete_branches(repo, branches)
    return {o.item.key: o for o in unsound.outcomes if o.item.key not in unsound.keys}


def _note_once(ledger: Ledger, tried: FailedAttempt) -> None:
    """Adds an attempt to the ledger, unless a run that was killed before it deleted the branch has done that."""
    mine = (tried.cause, tried.reason, tried.base, tried.number)
    known = ((old.cause, old.reason, old.base, old.number) for old in ledger.entries.of_item(tried.slug))
    if mine not in known:
        ledger.add_attempt(tried)


def fail_unsound(repo: Repository, ledger: Ledger, unsound: Unsound) -> tuple[Outcome, ...]:
    """Sets unsound items aside that do not run again; returns the outcomes of a group, in which they have failed."""
    set_aside(repo, ledger, unsound)
    return tuple(
        replace(outcome, status=ItemStatus.FAILED, commit=None, reason=_TOO_OFTEN)
        if outcome.item.key in unsound.keys
        else outcome
        for outcome in unsound.outcomes
    )


def set_guilty_aside(
    repo: Repository,
    ledger: Ledger,
    outcomes: tuple[Outcome, ...],
    failed: Mapping[ItemKey, Outcome],
    tip: str,
    readings: Mapping[ItemKey, str],
) -> tuple[Outcome, ...]:
    """Moves the branches of guilty items to rescue refs; returns the outcomes of a group, in which they have failed.

    Args:
        repo: the repository.
        ledger: gets a failed attempt for each.
        outcomes: of all items of the group.
        failed: the outcomes that guilty items get, by key.
        tip: the commit of the target branch.
        readings: what the attempts are counted by, by key, where that is what the items read.
    """
    reader = BaseReader(repo.objects)

    def name_base(outcome: Outcome) -> str:
        commit, reading = outcome.commit, readings.get(outcome.item.key)
        is_merge = commit is not None and reader.parts_of(commit).merged
        return reading or (repo.objects.tree_of(commit.base) if commit and is_merge else tip)

    return tuple(
        _set_one_aside(repo, ledger, outcome, failed[outcome.item.key], (tip, name_base(outcome)))
        if outcome.item.key in failed
        else outcome
        for outcome in outcomes
    )


def _set_one_aside(
    repo: Repository, ledger: Ledger, finished: Outcome, failed: Outcome, based: tuple[str, str]
) -> Outcome:
    tip, base = based
    commit = finished.commit
    if commit is None:
        return failed
    branch = {item_branch(ledger.batch.id, finished.item.slug): str(commit)}
    kept = rescue_branches(repo, ledger.batch.id, branch, tip)
    tried = replace(
        _as_attempt(ledger, finished),
        base=base,
        cause=failed.cause,
        reason=failed.reason,
        details=failed.details,
    )
    if not any(
        (old.cause, old.base) == (tried.cause, tried.base) for old in ledger.entries.of_item(tried.slug)
    ):
        ledger.add_attempt(tried)  # else a kill came before the branch was deleted
    delete_branches(repo, find_unchecked_refs(repo, ledger.batch.id, (finished.item.slug,)))
    delete_branches(repo, branch)
    return replace(failed, rescued=kept[0] if kept else "")


def note_conflicts(repo: Repository, ledger: Ledger, outcomes: tuple[Outcome, ...]) -> None:
    """Notes in the ledger what conflicted items cost, about which a review decides: it takes their branches away.

    It may be repeated: what is noted already is not noted again.
    """
    for outcome in outcomes:
        key = outcome.item.key
        tip = repo.refs.read(item_branch(ledger.batch.id, outcome.item.slug))
        finished = read_item_commit(repo, ledger.batch.id, outcome.item, tip) if tip else None
        if finished is None or finished.commit is None:
            continue
        made = (finished.commit.base, finished.attempts)
        if all((tried.base, tried.number) != made for tried in ledger.entries.of_item(key)):
            ledger.add_attempt(replace(_as_attempt(ledger, finished), reason=outcome.reason))


def _as_attempt(ledger: Ledger, outcome: Outcome) -> FailedAttempt:
    """Returns what is recorded of the work that is set aside: an attempt without a cause, which does not count.

    Its time and usage are those of the last attempt: the ledger has those of the earlier ones of the same run. What the
    runs before a review took does not belong to the outcome.
    """
    key = outcome.item.key
    earlier = sum(tried.seconds for tried in ledger.entries.of_last_run(key))
    return FailedAttempt(
        key,
        outcome.commit.base if outcome.commit else "",
        outcome.attempts,
        ItemStatus.FAILED,
        None,
        REASON,
        seconds=round(max(0.0, outcome.seconds - earlier), 3),
        usage=outcome.spent.usage.without(ledger.entries.spent_on_last_run(key).usage),
    )
