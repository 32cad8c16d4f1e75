"""Objects and the ref that points at them are stored together, whatever another process removes in between."""

import pytest

from gitbatch.errors import BusyError
from gitbatch.repo.repository import Repository, VanishedObjectsError

REF = "refs/gitbatch/b/limits"


def test_published_blob(repo: Repository) -> None:
    for content in (b"one", b"two"):
        repo.publish_blob(REF, content)
        assert repo.objects.read_blob(repo.refs.read(REF) or "") == content


@pytest.mark.parametrize("error", [VanishedObjectsError(), BusyError("locked", "wait")])
def test_failed_tries_are_repeated(repo: Repository, error: Exception) -> None:
    left, cleaned = [error, error], []

    def write() -> str:
        if left:
            raise left.pop()
        return "written"

    assert repo.publish(write, lambda: cleaned.append(len(left))) == "written"
    assert cleaned == [1, 0]


def test_last_error_is_raised(repo: Repository) -> None:
    cleaned: list[None] = []

    def write() -> None:
        raise VanishedObjectsError

    with pytest.raises(VanishedObjectsError) as caught:
        repo.publish(write, lambda: cleaned.append(None))
    assert "vanished before they were referenced" in caught.value.message
    assert len(cleaned) == 10


def test_other_errors_are_not_repeated(repo: Repository) -> None:
    def write() -> None:
        calls.append(None)
        raise ValueError("bug")

    calls: list[None] = []
    with pytest.raises(ValueError, match="bug"):
        repo.publish(write)
    assert len(calls) == 1
