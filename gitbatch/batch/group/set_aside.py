"""Setting items aside that stand on others which are not merged: their commits are kept, and they run again.

No attempt is counted for that; what it had cost stays in the ledger.
"""

from collections.abc import Mapping

from gitbatch.batch.group.checkpoint import Unsound
from gitbatch.batch.history.ledger import Ledger
from gitbatch.batch.history.rescue import rescue_branches
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.model import FailedAttempt, ItemStatus, Outcome
from gitbatch.plan.model import ItemKey
from gitbatch.repo.refs.names import item_branch
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.branches import delete_branches
from gitbatch.text import clean_text

REASON = clean_text("it was written on the file of an item that is not merged")


def set_aside(repo: Repository, ledger: Ledger, unsound: Unsound) -> Mapping[ItemKey, Outcome]:
    """Moves the branches of unsound items to rescue refs, and returns the outcomes that stay, by key.

    It may be repeated: the refs are moved first, and an item whose branch is gone runs again.
    """
    batch = ledger.batch.id
    lost = [outcome for outcome in unsound.outcomes if outcome.item.key in unsound.keys]
    branches = {item_branch(batch, o.item.slug): str(o.commit) for o in lost if o.commit}
    rescue_branches(repo, batch, branches, require_tip(repo, ledger.batch.record.target))
    delete_branches(repo, branches)
    for outcome in lost:
        ledger.add_attempt(_as_attempt(outcome))
    return {o.item.key: o for o in unsound.outcomes if o.item.key not in unsound.keys}


def _as_attempt(outcome: Outcome) -> FailedAttempt:
    """Returns what is recorded of the work that is set aside: an attempt without a cause, which does not count."""
    usage = outcome.reply.usage if outcome.reply else outcome.spent.usage
    return FailedAttempt(
        outcome.item.key,
        outcome.commit.base if outcome.commit else "",
        outcome.attempts,
        ItemStatus.FAILED,
        None,
        REASON,
        seconds=outcome.seconds,
        usage=usage,
    )
