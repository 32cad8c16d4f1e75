"""The ledger of a batch that gitbatch 0.1 left half done: its attempts are read, and counted as new ones are."""

import json

import pytest

from gitbatch.batch.history.ledger import read_ledger
from gitbatch.errors import GitbatchError
from gitbatch.limits.causes import Cause
from gitbatch.repo.refs.names import ledger_refs
from gitbatch.repo.repository import Repository

BATCH = "20260102-030405-0006"
USAGE = {"model": "m", "input": 1, "output": 2, "cache_read": 0, "cache_write": 0, "requests": 1, "cost": 0.5}
ATTEMPT = {
    "item": "docs/b.md",
    "base": "b" * 40,
    "number": 1,
    "status": "failed",
    "cause": "failed",
    "reason": "boom (exit 1)",
    "details": ["boom"],
    "strays": [],
    "seconds": 0.132,
    "usage": USAGE,
    "retry_after": None,
    "is_guess": False,
}
"""An attempt as 0.1.0 wrote it."""


def write_attempts(repo: Repository, *attempts: dict[str, object]) -> None:
    repo.publish_blob(f"{ledger_refs(BATCH)}2-t102", json.dumps(attempts).encode())


def test_attempts_of_an_earlier_version_are_read(repo: Repository) -> None:
    """They name their item by its output, and the ref has its key; causes were sentences."""
    causes = {
        "busy": Cause.BUSY,
        "come back later": Cause.LATER,
        "context too large": Cause.CONTEXT,
        "failed": Cause.FAILED,
        "timed out": Cause.TIMEOUT,
        "wrote what is not its file": Cause.REFUSED,
        "no usable output": Cause.NO_OUTPUT,
        "nothing changed": Cause.UNCHANGED,
        "holds a secret": Cause.LEAK,
        "declined by the model": Cause.DECLINED,
        "budget reached": Cause.BUDGET,
        "limit of the item reached": Cause.LIMIT,
        "disk error": Cause.DISK,
        "can't work at all": Cause.FATAL,
        None: None,
    }
    write_attempts(repo, *({**ATTEMPT, "number": n, "cause": c} for n, c in enumerate(causes, 1)))
    entries = read_ledger(repo, BATCH)
    assert {attempt.slug for attempt in entries.attempts} == {"2-t102"}
    assert [attempt.cause for attempt in entries.attempts] == list(causes.values())
    assert [attempt.number for attempt in entries.attempts] == [*range(1, 16)]
    first = entries.attempts[0]
    assert (first.base, first.reason, first.details, first.seconds) == (
        "b" * 40,
        "boom (exit 1)",
        ("boom",),
        0.132,
    )
    assert entries.spent_on(first.slug).usage.cost == 0.5 * 15


@pytest.mark.parametrize(
    "attempt", [{**ATTEMPT, "cause": "bad luck"}, {"item": "docs/b.md"}, {**ATTEMPT, "number": "1"}]
)
def test_an_attempt_of_no_version_is_an_error(repo: Repository, attempt: dict[str, object]) -> None:
    write_attempts(repo, attempt)
    with pytest.raises(GitbatchError, match=r"cannot read refs/gitbatch/.*/ledger/2-t102: "):
        read_ledger(repo, BATCH)
