"""Ended batches that a review has opened on another machine: their end is marked here, and their branch has moved on.

The refs of a batch are of one clone, but reviews are commits, which come with the branch. One that makes items of the last
batch run again opens that batch here too, as if it had been recorded here.
"""

from gitbatch.batch.history.progress import read_progress
from gitbatch.batch.history.record import Batch, all_batches
from gitbatch.repo.refs.names import end_ref
from gitbatch.repo.repository import Repository


def reopen_batch(repo: Repository) -> Batch | None:
    """Opens the last batch if a review that came with its branch makes items run again; returns it, else None."""
    batch = find_reopened(repo)
    if batch:
        ref = end_ref(batch.id)
        repo.refs.delete({ref: repo.refs.read(ref) or ""})
    return batch


def find_reopened(repo: Repository) -> Batch | None:
    """Returns the last batch if it has ended here, and a review that came with its branch makes items run again.

    Changes nothing. A review that breaks a rule of `gitbatch verify` opens no batch.
    """
    batches = all_batches(repo)
    last = batches[-1] if batches else None
    if last is None or not all(batch.ended for batch in batches):
        return None
    tip, end = repo.refs.read(last.record.target), repo.refs.read(end_ref(last.id))
    if not tip or not end or tip == end:
        return None
    since = ("rev-list", "--first-parent", "--basic-regexp", "--grep=^Gitbatch-Reviewed: ", f"^{end}", tip)
    reviews = frozenset(repo.git.read_output(*since).split())
    if not reviews or all(d.review not in reviews for d in read_progress(repo, last).reopened.values()):
        return None
    from gitbatch.batch.history.verify.audit import audit_reviews  # noqa: PLC0415 - most runs have no review

    return None if audit_reviews(repo, last.id, last.base, tip) else last
