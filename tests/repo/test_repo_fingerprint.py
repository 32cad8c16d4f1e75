"""The fingerprint: every way to change a control file is seen, and what is no change is not."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.repo.fingerprint import TamperedError, require_untouched, take_fingerprint
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository


@pytest.fixture
def repo(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.write("readme", "x")
    workspace.commit()
    workspace.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    workspace.write(".git/hooks/pre-commit", "#!/bin/sh\n")
    workspace.write(".git/info/attributes", "")
    opened = open_repository(workspace.root)
    yield opened
    opened.close()


CHANGES: dict[str, Callable[[Path], object]] = {
    "config": lambda git: (git / "config").write_text("[core]\n\tfsmonitor = evil\n", encoding="utf-8"),
    "HEAD": lambda git: (git / "HEAD").write_text("ref: refs/gitbatch/side\n", encoding="utf-8"),
    "hooks/post-checkout": lambda git: (git / "hooks" / "post-checkout").write_text("x", encoding="utf-8"),
    "hooks/pre-commit": lambda git: (git / "hooks" / "pre-commit").chmod(0o755),
    "info/attributes": lambda git: (git / "info" / "attributes").write_text("* filter=x\n", encoding="utf-8"),
    "info/grafts": lambda git: (git / "info" / "grafts").write_text("x", encoding="utf-8"),
    "shallow": lambda git: (git / "shallow").write_text("x", encoding="utf-8"),
    "config.worktree": lambda git: (git / "config.worktree").write_text("x", encoding="utf-8"),
    "objects/info/alternates": lambda git: (git / "objects/info/alternates").write_text(
        "/x", encoding="utf-8"
    ),
    "worktrees/side/gitdir": lambda git: (git / "worktrees/side/gitdir").write_text(
        "/x/.git\n", encoding="utf-8"
    ),
    "worktrees/side/commondir": lambda git: (git / "worktrees/side/commondir").unlink(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_and_named(repo: Repository, name: str) -> None:
    before = take_fingerprint(repo, "b-")
    CHANGES[name](repo.common_dir)
    with pytest.raises(TamperedError, match=name):
        require_untouched(repo, before)


def test_another_branch_is_no_change(repo: Repository, workspace: Workspace) -> None:
    before = take_fingerprint(repo, "b-")
    workspace.git("checkout", "-q", "-b", "with/slash")
    require_untouched(repo, before)
    workspace.git("checkout", "-q", "--detach")
    workspace.git("branch", "-qD", "with/slash")
    require_untouched(repo, before)


@pytest.mark.parametrize("added", ['[branch "x"]\n\tremote = evil\n', '[branch "x"]\n', "# a comment\n"])
def test_any_change_of_the_configuration_is_one(repo: Repository, added: str) -> None:
    """A heading alone takes the settings below it away from where they were."""
    config = repo.common_dir / "config"
    before = take_fingerprint(repo, "b-")
    config.write_text(added + config.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(TamperedError, match="config"):
        require_untouched(repo, before)


@pytest.mark.parametrize(
    ("setting", "hook"),
    [
        (".githooks", ".githooks/pre-commit"),
        (".husky/_", ".husky/pre-commit"),
        (".husky/_", ".husky/_/h"),
        (".", "pre-commit"),
        ("_", "post-checkout"),
        ("_", "_/h"),
    ],
)
def test_hooks_are_watched_where_the_configuration_has_them(
    repo: Repository, workspace: Workspace, setting: str, hook: str
) -> None:
    workspace.write(".husky/_/h", "x")
    workspace.write(".githooks/pre-push", "x")
    workspace.write("_/h", "x")
    workspace.git("config", "core.hooksPath", setting)
    before = take_fingerprint(repo, "b-")
    workspace.write("notes/today.md", "the user writes")
    workspace.write(".git/gitbatch/log", "and so do we")
    require_untouched(repo, before)
    workspace.write(hook, "evil")
    with pytest.raises(TamperedError, match=hook):
        require_untouched(repo, before)


def test_the_checkout_by_another_name_is_the_checkout(
    repo: Repository, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(workspace.root)
    workspace.git("config", "core.hooksPath", str(tmp_path / "link"))
    before = take_fingerprint(repo, "b-")
    workspace.write("notes.md", "the user writes")
    require_untouched(repo, before)
    workspace.write("pre-commit", "evil")
    with pytest.raises(TamperedError, match="pre-commit"):
        require_untouched(repo, before)


def test_without_a_folder_of_hooks_nothing_more_is_watched(repo: Repository, workspace: Workspace) -> None:
    workspace.git("config", "core.hooksPath", "")
    before = take_fingerprint(repo, "b-")
    assert before.named == ()
    workspace.write("pre-commit", "not a hook")
    require_untouched(repo, before)


def test_what_a_linked_hook_leads_to_is_watched(repo: Repository, workspace: Workspace) -> None:
    workspace.write("scripts/check", "x")
    hook = repo.common_dir / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.symlink_to("../../scripts/check")
    before = take_fingerprint(repo, "b-")
    require_untouched(repo, before)
    workspace.write("scripts/check", "evil")
    with pytest.raises(TamperedError, match="pre-push"):
        require_untouched(repo, before)


@pytest.mark.parametrize("key", ["include.path", "includeIf.onbranch:gitbatch/**.path"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_file_that_the_configuration_includes_is_watched(
    repo: Repository, workspace: Workspace, key: str, *, exists: bool
) -> None:
    if exists:
        workspace.write("team.gitconfig", "[alias]\n\tst = status\n")
    workspace.git("config", key, "../team.gitconfig")
    before = take_fingerprint(repo, "b-")
    require_untouched(repo, before)
    workspace.write("team.gitconfig", '[filter "x"]\n\tsmudge = evil\n')
    with pytest.raises(TamperedError, match=r"team\.gitconfig"):
        require_untouched(repo, before)


def test_a_hook_that_becomes_a_link_is_seen(repo: Repository, tmp_path: Path) -> None:
    before = take_fingerprint(repo, "b-")
    hook = repo.common_dir / "hooks" / "pre-commit"
    (tmp_path / "same").write_bytes(hook.read_bytes())
    hook.unlink()
    hook.symlink_to(tmp_path / "same")
    with pytest.raises(TamperedError):
        require_untouched(repo, before)


def test_what_git_gc_makes_is_no_change(repo: Repository, workspace: Workspace) -> None:
    before = take_fingerprint(repo, "b-")
    workspace.write(".git/info/refs_Ab3xYz", "for a moment")
    workspace.git("update-server-info")
    require_untouched(repo, before)


def test_what_a_run_does_is_no_change(repo: Repository, workspace: Workspace, tmp_path: Path) -> None:
    before = take_fingerprint(repo, "b-")
    workspace.git("worktree", "add", "-q", "-b", "item", str(tmp_path / "b-1"))
    workspace.write("other", "x")
    workspace.commit("the user's")
    workspace.git("pack-refs", "--all")
    config = repo.common_dir / "config"
    config.write_bytes(config.read_bytes())
    (tmp_path / "side" / "new").write_text("x", encoding="utf-8")
    require_untouched(repo, before)
