"""The repository is opened while a command is imported."""

from pathlib import Path

import pytest
from conftest import Place

from gitbatch.cli.early_opening import EarlyOpening
from gitbatch.errors import GitbatchError


def test_repository_is_opened_and_closed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    place.write("file", "1")
    commit = place.commit()
    with EarlyOpening(place.root).wait_for_repository() as repo:
        assert repo.refs.commit("HEAD") == commit


def test_error_is_raised_where_the_repository_is_used(tmp_path: Path) -> None:
    opening = EarlyOpening(tmp_path)
    with pytest.raises(GitbatchError, match="is not in a git repository"), opening.wait_for_repository():
        pass
