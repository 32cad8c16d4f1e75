"""A batch at its first pause, which many tests of reviews begin with: it runs once in each worker."""

from collections.abc import Iterator

import pytest
from base_repositories import BaseRepositories, list_objects
from conftest import Workspace, assert_sound
from sessions import run_here

from gitbatch.batch.model import CheckpointMode


@pytest.fixture
def paused(
    workspace: Workspace, base_repositories: BaseRepositories, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """The sample with three groups, at the pause after its first group. Its environment is this process's too."""
    if not base_repositories.copy_kept("paused", workspace.root):
        base_repositories.copy_sample("three-groups", workspace.root)
        run_here(workspace, monkeypatch, checkpoint=CheckpointMode.parse("after-each"))
        base_repositories.keep("paused", workspace.root)
    for name, value in workspace.environment.items():  # the run has removed git's own
        monkeypatch.setenv(name, value)
    before = list_objects(workspace.root)
    yield workspace
    assert_sound(workspace, before)
