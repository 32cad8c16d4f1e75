"""The git processes that are started say nothing to the user that comes from how they are started."""

import pytest

from gitbatch.repo.repository import Repository


def test_no_advice_about_the_graft_file_is_printed(
    repo: Repository, capfd: pytest.CaptureFixture[str]
) -> None:
    assert repo.git.run("log", "-p", "HEAD").stderr == ""
    repo.git.run("show", "--stat", "HEAD")
    assert capfd.readouterr().err == ""
