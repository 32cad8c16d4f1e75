"""Ended batches that a review has opened on another machine: their end is marked here, and their branch has moved on.

The refs of a batch are of one clone, but reviews are commits, which come with the branch. One that makes items of the last
batch run again opens that batch here too, as if it had been recorded here.
"""

from gitbatch.batch.group.follow import follow_checkout
from gitbatch.batch.history.progress import read_progress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.resume import find_commit_before
from gitbatch.repo.refs.names import end_ref, followed_ref
from gitbatch.repo.repository import Repository


def reopen_batch(repo: Repository, batches: tuple[Batch, ...]) -> Batch | None:
    """Opens the last of all batches if a review that came with its branch makes items run again; returns it, else None."""
    batch = find_reopened(repo, batches)
    if batch:
        ref = end_ref(batch.id)
        repo.refs.delete({ref: repo.refs.read(ref) or ""})
    return batch


def find_reopened(repo: Repository, batches: tuple[Batch, ...]) -> Batch | None:
    """Returns the last of all batches if it has ended here, and a review that came with its branch makes items run again.

    Changes nothing. A review that breaks a rule of `gitbatch verify` opens no batch.
    """
    found = _find_reviewed(repo, batches)
    if found is None:
        return None
    last, reviews = found
    if all(decided.review not in reviews for decided in read_progress(repo, last).reopened.values()):
        return None
    return None if _has_findings(repo, last) else last


def complete_review(repo: Repository, batches: tuple[Batch, ...]) -> None:
    """Completes the last review of the last of all batches, an ended one, that was cut between the move of the branch and the checkout.

    It is done only while that review is the tip: what a later commit has is not changed.
    """
    found = _find_reviewed(repo, batches)
    if found is None:
        return
    last, reviews = found
    tip = require_tip(repo, last.record.target)
    if tip not in reviews or read_progress(repo, last).reopened or _has_findings(repo, last):
        return
    if repo.refs.read(followed_ref(last.id)) != tip:
        follow_checkout(repo, last.record, find_commit_before(repo, last.id, tip), tip)
        repo.point(followed_ref(last.id), tip)
    repo.commit_point(end_ref(last.id), tip, repo.refs.read(end_ref(last.id)) or "", "gitbatch: reviewed")


def _find_reviewed(repo: Repository, batches: tuple[Batch, ...]) -> tuple[Batch, frozenset[str]] | None:
    """Returns the last batch if it has ended here, with the reviews on its branch after that; None: there are none."""
    last = batches[-1] if batches else None
    if last is None or not all(batch.ended for batch in batches):
        return None
    tip, end = repo.refs.read(last.record.target), repo.refs.read(end_ref(last.id))
    if not tip or not end or tip == end:
        return None
    since = ("rev-list", "--first-parent", "--basic-regexp", "--grep=^Gitbatch-Reviewed: ", f"^{end}", tip)
    reviews = frozenset(repo.git.read_output(*since).split())
    return (last, reviews) if reviews else None


def _has_findings(repo: Repository, batch: Batch) -> bool:
    """Whether a review of a batch breaks a rule of `gitbatch verify`."""
    from gitbatch.batch.history.verify.audit import audit_reviews  # noqa: PLC0415 - most runs have no review

    return bool(audit_reviews(repo, batch.id, batch.base, require_tip(repo, batch.record.target)))
