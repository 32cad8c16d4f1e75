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


def test_commits_that_git_has_begun_with_are_counted_once_with_the_others(
    workspace: Workspace, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One may be written again meanwhile, and a pipe holds only so many."""
    monkeypatch.setattr("gitbatch.batch.group.line_counts.AT_ONCE", 2)
    before, same, late = (commit_of(workspace, content) for content in (b"x\n", b"x\ny\n", b"x\ny\nz\nz\n"))
    again = commit_of(workspace, b"")
    with start_counting(repo) as counter:
        counter.begin((before, BROKE, same, late))
        counted = add_line_counts(replace(CHECKPOINT, outcomes=(again, BROKE, same, late)), counter)
    lines = [LineCount(0, 4), None, LineCount(1, 0), LineCount(2, 0)]
    assert [outcome.lines for outcome in counted.outcomes] == lines


def test_a_git_that_has_ended_before_it_is_asked_counts_nothing(
    workspace: Workspace, repo: Repository
) -> None:
    done = commit_of(workspace, b"x\n")
    with start_counting(repo) as counter:
        counter.process.kill()
        counter.process.wait()
        counter.begin((done,))
        checkpoint = replace(CHECKPOINT, outcomes=(done,))
        assert add_line_counts(checkpoint, counter) == checkpoint
