"""The lines that the items of a checkpoint changed."""

import pytest
from conftest import Workspace
from msgspec.structs import replace
from view.events import BROKE, CHECKPOINT, WROTE

from gitbatch.batch.group.line_counts import add_line_counts, start_counting
from gitbatch.batch.line_count import LineCount
from gitbatch.batch.model import Checkpoint, ItemCommit, Outcome
from gitbatch.repo.repository import Repository


def commit_of(workspace: Workspace, content: bytes) -> Outcome:
    """Returns an outcome whose commit writes a file."""
    (workspace.root / "a.txt").write_bytes(content)
    oid = workspace.commit()
    return replace(WROTE, commit=ItemCommit(oid, oid, (), oid), lines=None)


def count_in(repo: Repository, checkpoint: Checkpoint) -> Checkpoint:
    with start_counting(repo) as counter:
        return add_line_counts(checkpoint, counter)


@pytest.mark.rule("O1")
def test_git_counts(workspace: Workspace, repo: Repository) -> None:
    """No driver of the repository runs: neither for differences nor to make text of a file."""
    workspace.write(".gitattributes", "*.txt diff=evil\n")
    for name in ("command", "textconv"):
        workspace.git("config", f"diff.evil.{name}", "touch ran; false")
    done = (commit_of(workspace, b"b\nc\n"), commit_of(workspace, b"c\n\xff\n"), commit_of(workspace, b"\0"))
    counted = count_in(repo, replace(CHECKPOINT, outcomes=(*done, BROKE)))
    assert [o.lines for o in counted.outcomes] == [LineCount(2, 1), LineCount(1, 1), None, None]
    assert sum((LineCount(1, 2),), LineCount(0, 0)) == LineCount(1, 2)
    assert not list(workspace.root.rglob("ran"))


def test_what_git_cannot_count_is_unknown(repo: Repository) -> None:
    gone = replace(WROTE, commit=ItemCommit("1" * 40, "1" * 40, (), "1" * 40), lines=None)
    assert count_in(repo, replace(CHECKPOINT, outcomes=(gone,))).outcomes == (gone,)
    lost = replace(CHECKPOINT, outcomes=(BROKE,))
    assert count_in(repo, lost) is lost


def test_a_commit_that_is_made_after_the_start_is_counted(workspace: Workspace, repo: Repository) -> None:
    """Also one in a pack that git has not seen: the process has started before the group was recorded."""
    commit_of(workspace, b"x\n")
    with start_counting(repo) as counter:
        done = commit_of(workspace, b"x\ny\n")
        workspace.git("repack", "-adq")
        counted = add_line_counts(replace(CHECKPOINT, outcomes=(done,)), counter)
    assert [outcome.lines for outcome in counted.outcomes] == [LineCount(1, 0)]
