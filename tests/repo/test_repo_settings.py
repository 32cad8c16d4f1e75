"""What the user has configured, read as git reads it."""

import pytest
from conftest import Workspace

from gitbatch.repo.settings import LineEnds, Setting, find_user_setting, is_true, line_ends

VALUES = "true TRUE Yes on 1 2 -1 +3 0x1 0x10 010 1k 10M 100 false No off 0 00 -0 0x0 0k"


@pytest.mark.parametrize("value", [*VALUES.split(), "", " 1"])
def test_true_is_what_git_takes_for_true(workspace: Workspace, value: str) -> None:
    workspace.git("config", "some.thing", value)
    assert is_true(value) is (workspace.git("config", "--type=bool", "some.thing") == "true")


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, LineEnds(on_disk=False, stored=False)),
        ({"core.autocrlf": "2"}, LineEnds(on_disk=True, stored=True)),
        ({"core.autocrlf": "INPUT"}, LineEnds(on_disk=False, stored=True)),
        ({"core.eol": "CRLF"}, LineEnds(on_disk=True, stored=False)),
        ({"core.autocrlf": "false", "core.eol": "lf"}, LineEnds(on_disk=False, stored=False)),
    ],
)
def test_line_ends(settings: dict[str, str], found: LineEnds) -> None:
    assert line_ends(tuple(Setting("local", key, value) for key, value in settings.items())) == found


def test_a_setting_of_the_user_alone() -> None:
    settings = (
        Setting("system", "core.pager", "first"),
        Setting("global", "core.pager", "second"),
        Setting("local", "core.pager", "evil"),
        Setting("worktree", "core.pager", "evil"),
    )
    assert find_user_setting(settings, "core.pager") == "second"
    assert find_user_setting(settings[2:], "core.pager") is None
