"""The progress of a batch is derived from git."""

from conftest import Workspace


def test_an_ended_batch_needs_no_target(three: Workspace) -> None:
    """Its commits are kept by its end, whatever becomes of the branch."""
    three.gitbatch("run", "--items", "all", "--checkpoint", "at-end", "--branch", "work", code=0)
    before = three.gitbatch("status", "--json", code=0).stdout
    assert "on work: 3 of 3 groups, 12 of 12 items" in three.gitbatch("status", code=0).stdout
    three.git("update-ref", "refs/heads/work", "work~1")
    assert "3 of 3 groups, 12 of 12 items" in three.gitbatch("status", code=0).stdout
    three.git("update-ref", "refs/heads/work", "main")
    assert '"groups_done":3' in before
    three.git("branch", "-D", "work")
    assert "3 of 3 groups, 12 of 12 items" in three.gitbatch("status", code=0).stdout
