"""Output that is longer than the terminal goes to the pager that git would take, by the user's settings alone."""

import shutil

import pytest
from cli.test_terminal import end, terminal
from conftest import Workspace

from gitbatch.cli.pager import find_pager


@pytest.fixture
def configured(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A repository that names a pager of its own, and a user who names none."""
    workspace.git("config", "core.pager", "evil")
    monkeypatch.chdir(workspace.root)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(workspace.home / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("PAGER", raising=False)
    return workspace


def test_order_of_choice(configured: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    inherited = {"GIT_CONFIG_GLOBAL": str(configured.home / "config")}
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert find_pager(inherited) == ""
    monkeypatch.setattr(shutil, "which", lambda name: name)
    assert find_pager(inherited) == "less"
    monkeypatch.setenv("PAGER", "cat")
    assert find_pager(inherited) == ""
    monkeypatch.setenv("PAGER", "mine")
    assert find_pager(inherited) == "mine"
    (configured.home / "config").write_text("[core]\n\tpager = users\n", encoding="utf-8")
    assert find_pager(inherited) == "users"
    assert find_pager(inherited | {"GIT_PAGER": "first"}) == "first"
    assert find_pager(inherited | {"GIT_PAGER": ""}) == ""


def test_a_terminal_that_is_too_short(three: Workspace) -> None:
    three.git("config", "core.pager", f"touch {three.home}/evil; cat")
    three.environment["GIT_PAGER"] = f"cat >{three.home}/shown"
    with terminal(three, "plan", "--brief") as child:
        child.expect("12 items in 3 groups")
        assert end(child) == 0
    assert not (three.home / "shown").exists()
    with terminal(three, "plan") as child:
        assert end(child) == 0
    assert "T304 Write four" in (three.home / "shown").read_text(encoding="utf-8")
    three.environment["GIT_PAGER"] = "no-such-pager"
    with terminal(three, "plan") as child:
        child.expect("T304 Write four")
        assert end(child) == 0
    assert not (three.home / "evil").exists()
