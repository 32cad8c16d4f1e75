"""Objects that another process prunes while a process of ours has the lock are given back."""

import pytest
from conftest import Workspace

from gitbatch.repo.lock import repository_lock
from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.repository import Repository

USER = Ident("A", "a@example.org", 1767323045)


def write(repo: Repository, text: bytes) -> tuple[str, ...]:
    """Store a blob, a tree and a commit."""
    blob = repo.objects.write_blob(text)
    tree = repo.objects.write_tree(None, {"file": blob})
    return blob, tree, repo.objects.write_commit(tree, (), "Message", USER, USER)


def prune(workspace: Workspace, oids: tuple[str, ...]) -> None:
    """Remove objects as a prune does that has looked at the refs before."""
    for oid in oids:
        (workspace.root / ".git/objects" / oid[:2] / oid[2:]).unlink()


def test_what_is_pruned_under_a_lock_is_given_back(workspace: Workspace, repo: Repository) -> None:
    """When it is read, when a ref is to have it, and at the end at the latest; also after a kill."""
    with repository_lock(repo, print) as held:
        blob, tree, commit = made = write(held, b"one")
        assert held.commit_point("refs/heads/one", commit, None, "test")
        prune(workspace, made)
        assert held.objects.read_commit(commit).tree == tree
        assert held.objects.read_blob(blob) == b"one"
        assert held.objects.find_missing((tree,)) == ()
        prune(workspace, (blob,))
        with (workspace.root / "copied").open("wb") as file:
            held.objects.copy_to_fd(blob, file.fileno())
        assert workspace.read("copied") == "one"
        prune(workspace, (commit,))
        held.point("refs/gitbatch/two", commit)
        prune(workspace, made)
    assert workspace.git("fsck", "--strict", "--no-dangling") == ""
    assert not (workspace.root / ".git/gitbatch/spares").exists()
    workspace.git("update-ref", "-d", "refs/heads/one")
    workspace.git("update-ref", "-d", "refs/gitbatch/two")
    prune(workspace, made)
    with repository_lock(repo, print) as held, pytest.raises(MissingObjectError):
        held.objects.read_commit(commit)
