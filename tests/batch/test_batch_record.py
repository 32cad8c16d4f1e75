"""The record of a batch: it is there when the batch is, whatever somebody prunes."""

import pytest
from conftest import Place

from gitbatch.batch.history.record import unfinished_batch, write_record
from gitbatch.batch.model import Record
from gitbatch.errors import GitbatchError
from gitbatch.repo.repository import Repository

BATCH = "20260102-030405-0006"


def record() -> Record:
    return Record(
        batch=BATCH,
        started=1,
        target="refs/heads/main",
        phase="",
        task="task.md",
        mode="at-end",
        agent="shell",
        jobs=1,
        groups=(),
    )


def prune(place: Place, blob: str) -> None:
    """Remove a loose object, as `git gc --prune=now` does with one that no ref has."""
    (place.root / ".git/objects" / blob[:2] / blob[2:]).unlink()


@pytest.mark.parametrize("moment", ["before the ref", "behind it"])
@pytest.mark.parametrize("often", [1, 3, 100])
def test_a_record_that_is_pruned_is_written_again(
    repo: Repository, place: Place, monkeypatch: pytest.MonkeyPatch, moment: str, often: int
) -> None:
    move, left = Repository.commit_point, often

    def pruning(self: Repository, ref: str, new: str, old: str | None, reason: str) -> bool:
        nonlocal left
        left -= 1
        self.objects.writer.flush()
        if left >= 0 and moment == "before the ref":
            prune(place, new)
        moved = move(self, ref, new, old, reason)
        if left >= 0 and moment == "behind it":
            prune(place, new)
        return moved

    monkeypatch.setattr(Repository, "commit_point", pruning)
    base = place.git("rev-parse", "HEAD")
    if often == 100:
        with pytest.raises(GitbatchError):
            write_record(repo, record(), base)
        assert unfinished_batch(repo) is None
    else:
        write_record(repo, record(), base)
        found = unfinished_batch(repo)
        assert found is not None
        assert found.record == record()
        assert place.git("fsck", "--no-dangling") == ""


def test_a_batch_that_exists_is_not_started_again(repo: Repository, place: Place) -> None:
    base = place.git("rev-parse", "HEAD")
    write_record(repo, record(), base)
    with pytest.raises(GitbatchError, match="exists already"):
        write_record(repo, record(), base)
