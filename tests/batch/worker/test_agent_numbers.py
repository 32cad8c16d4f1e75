"""The numbers of agents at a worker (`GITBATCH_SLOT`), by which they choose ports and databases."""

from contextlib import closing
from pathlib import Path

import pytest

from gitbatch.batch.executor.messages import Welcome
from gitbatch.batch.worker.repository_copy import open_repository_copy
from gitbatch.batch.workplace.kinds import WorktreeKind
from gitbatch.concurrency import GitThread


@pytest.mark.usefixtures("workspace")
def test_agents_of_two_connections_have_different_numbers(tmp_path: Path) -> None:
    """Those of two runs of a cluster, and those that are finished for a connection that was cut."""
    welcome = Welcome(1, "1", "0" * 16, "sha1")
    with closing(GitThread()) as git:
        given = (tmp_path / "far", welcome, git, lambda _: WorktreeKind.COPY, tmp_path)
        with open_repository_copy(*given) as one, open_repository_copy(*given) as other:
            assert [places.slots.take_slot() for places in (one, other, one, one)] == [0, 1, 2, 3]
            one.slots.give_back(2)
            one.slots.give_back(None)
            assert other.slots.take_slot() == 2
