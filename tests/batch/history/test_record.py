"""The record of a batch: it is there when the batch is, whatever somebody prunes."""

import json
from collections.abc import Mapping

import pytest
from conftest import Workspace
from history import assert_tidy
from msgspec.structs import replace

from gitbatch.batch.history.abort import abort_batch
from gitbatch.batch.history.messages import render_merge_message
from gitbatch.batch.history.record import find_unfinished_refs, unfinished_batch, write_record
from gitbatch.batch.model import BatchGroup, Record
from gitbatch.errors import GitbatchError
from gitbatch.repo.repository import Repository

BATCH = "20260102-030405-0006"


def record() -> Record:
    return Record(
        batch=BATCH,
        started=1,
        target="refs/heads/main",
        phase="",
        plan_path="task.md",
        mode="at-end",
        agent="shell",
        jobs=1,
        groups=(),
    )


def prune(workspace: Workspace, blob: str) -> None:
    """Remove a loose object, as `git gc --prune=now` does with one that no ref has."""
    (workspace.root / ".git/objects" / blob[:2] / blob[2:]).unlink()


@pytest.mark.parametrize("moment", ["before the ref", "behind it"])
@pytest.mark.parametrize("often", [1, 3, 100])
def test_a_record_that_is_pruned_is_written_again(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, moment: str, often: int
) -> None:
    move, left = Repository.commit_point, often

    def pruning(self: Repository, ref: str, new: str, old: str | None, reason: str) -> bool:
        nonlocal left
        left -= 1
        self.objects.writer.flush()
        if left >= 0 and moment == "before the ref":
            prune(workspace, new)
        moved = move(self, ref, new, old, reason)
        if left >= 0 and moment == "behind it":
            prune(workspace, new)
        return moved

    monkeypatch.setattr(Repository, "commit_point", pruning)
    base = workspace.git("rev-parse", "HEAD")
    if often == 100:
        with pytest.raises(GitbatchError):
            write_record(repo, record(), base)
        assert unfinished_batch(repo) is None
    else:
        write_record(repo, record(), base)
        found = unfinished_batch(repo)
        assert found is not None
        assert found.record == record()
        assert workspace.git("fsck", "--no-dangling") == ""


def test_a_batch_that_exists_is_not_started_again(repo: Repository, workspace: Workspace) -> None:
    base = workspace.git("rev-parse", "HEAD")
    write_record(repo, record(), base)
    with pytest.raises(GitbatchError, match="exists already"):
        write_record(repo, record(), base)


def rewrite_record(workspace: Workspace, changes: Mapping[str, object]) -> str:
    """Give the only batch another record; returns the batch's id."""
    (ref,) = workspace.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/record").splitlines()
    said = json.loads(workspace.git("cat-file", "blob", ref)) | changes
    workspace.write("../record.json", json.dumps(said))
    workspace.git("update-ref", ref, workspace.git("hash-object", "-w", "../record.json"))
    return ref.split("/")[2]


@pytest.mark.parametrize(
    ("changes", "stated"),
    [
        ({"version": 2, "groups": 7}, "record 2, format 1"),
        ({"version": 0}, "record 0, format 1"),
        ({"format": 4}, "record 1, format 4"),
    ],
)
@pytest.mark.sample(2)
def test_another_version(paused: Workspace, changes: Mapping[str, object], stated: str) -> None:
    """It is refused in one line, and can be aborted."""
    batch = rewrite_record(paused, changes)
    before = paused.state()
    for command in ("run", "status"):
        said = paused.gitbatch(command, code=1).stderr
        assert f"batch {batch} was started by another version of gitbatch ({stated}; " in said
        assert "finish it with that version, or end it: gitbatch abort" in said
    assert paused.state() == before
    assert paused.gitbatch("abort", code=0).stdout == f"batch {batch} has ended\n"
    assert_tidy(paused)
    assert "no batch has run here yet" in paused.gitbatch("status", code=0).stdout


@pytest.mark.parametrize(
    "content", ["", "[]", '{"version": 2}', '{"target": "refs/gitbatch/x"}', '{"target": "refs/heads/gone"}']
)
def test_abort_without_a_target(repo: Repository, workspace: Workspace, content: str) -> None:
    """What is not in the base is kept."""
    base = workspace.git("rev-parse", "HEAD")
    done = workspace.git("commit-tree", "-p", base, "-m", "done", f"{base}^{{tree}}")
    workspace.write("../record.json", content)
    record_blob = workspace.git("hash-object", "-w", "../record.json")
    repo.refs.create(f"refs/gitbatch/{BATCH}/base", base)
    repo.refs.create(f"refs/gitbatch/{BATCH}/record", record_blob)
    repo.refs.create(f"refs/heads/gitbatch/{BATCH}/1-done", done)
    repo.refs.create(f"refs/heads/gitbatch/{BATCH}/1-waiting", base)
    assert find_unfinished_refs(repo) == (BATCH, base)
    if not content.startswith("{"):
        with pytest.raises(GitbatchError, match=f"cannot read the record of batch {BATCH}"):
            unfinished_batch(repo)
    (kept,) = abort_batch(repo, BATCH, base)
    assert repo.refs.read(kept) == done
    assert repo.refs.below(f"refs/heads/gitbatch/{BATCH}/") == {}
    assert find_unfinished_refs(repo) is None


@pytest.mark.parametrize(("number", "trailers"), [(0, ""), (1, "Gitbatch-Format: 1\n")])
def test_the_format_of_a_batch(number: int, trailers: str) -> None:
    """A batch that gitbatch 0.1 started gets commits as 0.1 writes them."""
    message = render_merge_message(replace(record(), format=number), BatchGroup(1, "G", ()), ())
    assert message.endswith(f"\n\n{trailers}Gitbatch-Batch: {BATCH}\nGitbatch-Group: 1 G\n")
