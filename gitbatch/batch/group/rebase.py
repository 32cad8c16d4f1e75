"""Rebasing finished items whose parent the branch has lost.

A user who amends or rebases the branch between two starts removes the commit that finished items are based on. The base
of an item commit must be on the first-parent line of the target branch (`verify`), and an item that is paid for does
not run again. So a new commit with the same file, message and author gets the tip as its parent. An item is not rebased
if the branch has another version of its path, which is a conflict, or of a file that it read, which would make its
trailers wrong.
"""

from msgspec.structs import replace

from gitbatch.batch.history.item_commits import as_item_commit
from gitbatch.batch.history.trailers import parse_trailers
from gitbatch.batch.model import Outcome
from gitbatch.repo.refs.names import item_branch
from gitbatch.repo.repository import Repository


def rebase_items(
    repo: Repository, batch: str, outcomes: tuple[Outcome, ...], tip: str
) -> tuple[Outcome, ...]:
    """Returns the outcomes with commits whose bases are on the first-parent line of the tip."""
    bases = {outcome.commit.base for outcome in outcomes if outcome.succeeded and outcome.commit}
    lost = {base for base in bases if not _is_on_line(repo, base, tip)}
    return tuple(_rebase_item(repo, batch, outcome, lost, tip) for outcome in outcomes)


def _is_on_line(repo: Repository, base: str, tip: str) -> bool:
    """Whether a commit is the tip or one of its first-parent ancestors."""
    if base == tip:
        return True
    above = repo.git.read_output("rev-list", "--first-parent", "--reverse", tip, f"^{base}").split()
    return bool(above) and base in repo.objects.read_commit(above[0]).parents[:1]


def _rebase_item(repo: Repository, batch: str, outcome: Outcome, lost: set[str], tip: str) -> Outcome:
    old, objects = outcome.commit, repo.objects
    if not outcome.succeeded or old is None or old.base not in lost:
        return outcome
    output, tree = outcome.item.output, objects.tree_of(tip)
    read = parse_trailers(objects.read_commit(old).message).context
    has_read = all((found := objects.find_entry(tree, path)) and found.oid == blob for path, blob in read)
    if not has_read or objects.find_entry(objects.tree_of(old.base), output) != objects.find_entry(
        tree, output
    ):
        return outcome
    new = objects.rewrite_commit(old, objects.write_tree(tree, {output: old.blob}), (tip,))
    made = as_item_commit(objects, objects.read_commit(new), output)
    if made is None:  # a file stands where the path needs a folder: a conflict
        return outcome
    repo.commit_point(item_branch(batch, outcome.item.slug), new, old, "gitbatch: rebased")
    return replace(outcome, commit=made)
