"""Finding the records that other processes made of a batch while a run waited without the lock.

Everything is read from commits on the line of the target branch, as at each start of a batch.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from msgspec import Struct

from gitbatch.batch.history.decisions import ItemName
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.review_message import parse_review_message
from gitbatch.batch.history.standings import LineCommit, select_line
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.history.trailers import Kind
from gitbatch.errors import GitbatchError
from gitbatch.repo.objects.codec import parse_ident
from gitbatch.repo.refs.names import short
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text


class DecidedElsewhere(Struct, frozen=True):
    """A decision that another process recorded."""

    item: ItemName
    text: CleanText
    """What was decided, by whom."""


class Elsewhere(Struct, frozen=True):
    """The reviews and checkpoints that other processes recorded."""

    decided: tuple[DecidedElsewhere, ...]
    checkpoints: tuple[str, ...]
    """The checkpoints that another run recorded."""

    def about(self, items: AbstractSet[ItemName]) -> tuple[CleanText, ...]:
        """Returns the decisions about some items, a line each."""
        return tuple(decided.text for decided in self.decided if decided.item in items)


def read_elsewhere(repo: Repository, batch: Batch, last: str, own: AbstractSet[str]) -> Elsewhere:
    """Returns what was recorded of a batch after its commit `last`, without the commits `own`.

    If `last` is empty, nothing was recorded before.

    Raises:
        GitbatchError: the branch does not have that commit any more.
    """
    target = batch.record.target
    tip = require_tip(repo, target)
    listed = repo.git.read_output("rev-list", "--first-parent", "--reverse", f"^{batch.base}", tip).split()
    if last and last not in listed:
        raise GitbatchError(
            f"branch {short(target)} does not have {last[:12]} any more, where this run waited",
            f"nothing was started. Put the branch back (git reflog {short(target)}), or look at it as it is and "
            "resume: gitbatch run",
        )
    since = listed.index(last) + 1 if last else 0
    new = (oid for oid in listed[since:] if oid not in own)
    line = select_line(batch.id, ((oid, repo.objects.read_commit(oid).message) for oid in new))
    reviews = (commit for commit in line if commit.trailers.kind is Kind.REVIEW)
    return Elsewhere(
        tuple(found for review in reviews for found in _describe_review(repo, batch, review)),
        tuple(commit.oid for commit in line if commit.trailers.kind is Kind.CHECKPOINT),
    )


def _describe_review(repo: Repository, batch: Batch, review: LineCommit) -> Iterator[DecidedElsewhere]:
    names = {ItemName(item.group, item.output): item.name for item in batch.record.items}
    author = parse_ident(repo.objects.read_commit(review.oid).author).name
    for decision in parse_review_message(review.message):
        comment = decision.comment.partition("\n")[0]
        said = f": {comment}" if comment else ""
        name = names.get(decision.item, decision.item.output)
        text = f"decided elsewhere: {name} {decision.kind.word} by {author} ({review.oid[:10]}){said}"
        yield DecidedElsewhere(decision.item, clean_text(text))
