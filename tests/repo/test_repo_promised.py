"""The remote of a partial clone: only the recorded one, reached as the user reaches it."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.concurrency import GitThread
from gitbatch.errors import GitbatchError, GitError
from gitbatch.repo.base import Base
from gitbatch.repo.opening import open_repository
from gitbatch.repo.promised import PartialCloneError, Promised, find_promised, require_present, require_whole
from gitbatch.repo.settings import Setting, read_own_config
from gitbatch.repo.snapshot import TreeSnapshot


def local(key: str, value: str) -> Setting:
    return Setting("local", key, value)


@pytest.mark.parametrize(
    ("settings", "remote"),
    [
        ((), None),
        ((local("remote.origin.promisor", "true"),), "origin"),
        ((local("remote.up.stream.promisor", "yes"), local("extensions.partialclone", "mine")), "mine"),
        ((local("remote.origin.promisor", "false"),), None),
        ((local("extensions.partialclone", "--upload-pack=x"),), None),
        ((local("commit.gpgsign", "true"),), None),
    ],
)
def test_the_recorded_remote_is_the_one(settings: tuple[Setting, ...], remote: str | None) -> None:
    found = find_promised(settings, {})
    assert (found and found.remote) == remote


def test_what_says_how_a_remote_is_reached_is_kept_and_nothing_else() -> None:
    inherited = {
        "GIT_SSH_COMMAND": "ssh -i key",
        "GIT_DIR": "/x",
        "GIT_INDEX_FILE": "/y",
        "GIT_CONFIG_COUNT": "0",
    }
    found = find_promised((local("extensions.partialclone", "origin"),), inherited)
    assert found == Promised("origin", {"GIT_SSH_COMMAND": "ssh -i key", "GIT_CONFIG_COUNT": "0"})


@pytest.fixture
def clone(workspace: Workspace) -> Workspace:
    workspace.git("config", "uploadpack.allowFilter", "true")
    for name in ("a", "b/c"):
        workspace.write(f"{name}.md", f"{name}\n")
    workspace.commit()
    made = workspace.root.parent / "clone"
    workspace.git("clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{workspace.root}", str(made))
    return replace(workspace, root=made)


def test_the_fetch_uses_the_users_configuration_and_says_what_it_does(
    clone: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone.git("config", "remote.origin.url", "elsewhere:repo")
    known = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{clone.root.parent}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "elsewhere:",
    }
    for name, value in (clone.environment | known).items():
        monkeypatch.setenv(name, value)
    said: list[str] = []
    repo = open_repository(clone.root).fetching(said.append)
    commit = repo.refs.commit("HEAD") or ""
    assert repo.promised is not None
    require_whole(repo.objects, repo.promised, commit)
    require_whole(repo.objects, repo.promised, commit)
    assert said == ["fetching 2 objects that this partial clone lacks from origin"]
    repo.close()


def test_one_object_and_a_refusal(clone: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in clone.environment.items():
        monkeypatch.setenv(name, value)
    repo = open_repository(clone.root)
    commit = repo.refs.commit("HEAD") or ""
    entry = repo.objects.find_entry(repo.objects.tree_of(commit), "a.md")
    assert entry is not None
    assert repo.promised is not None
    assert repo.objects.read_size(entry.oid) is None
    assert not repo.objects.is_blob(entry.oid)
    with pytest.raises(PartialCloneError, match=r"^1 object that the batch needs is missing"):
        require_present(repo.objects, repo.promised, commit, (entry.oid, entry.oid))

    def refuse(_: str) -> None:
        raise GitbatchError("tampered with")

    refusing = repo.fetching(refuse)
    assert refusing.promised is not None
    with pytest.raises(GitbatchError, match="tampered"):
        require_present(repo.objects, refusing.promised, commit, (entry.oid,))
    assert repo.objects.find_missing((entry.oid, commit)) == (entry.oid,)
    unknown = "1" * 40
    asking = repo.fetching(lambda _: None)
    assert asking.promised is not None
    with pytest.raises(PartialCloneError, match="fetching from origin failed"):
        require_present(repo.objects, asking.promised, commit, (unknown,))
    repo.git.run("config", "remote.origin.url", "/nonexistent/x")
    with pytest.raises(
        PartialCloneError, match=r"failed: fatal: '/nonexistent/x' does not appear to be a git"
    ):
        require_present(repo.objects, asking.promised, commit, (unknown,))
    repo.close()


@pytest.mark.parametrize("frozen", [True, False])
def test_a_fetch_in_a_run_is_by_the_configuration_of_its_start(
    clone: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, frozen: bool
) -> None:
    for name, value in clone.environment.items():
        monkeypatch.setenv(name, value)
    clone.write("odd.config", '[url "elsewhere \\"#1\\":"]\n\tinsteadOf = "a b\\\\c;d"\n[some]\n\tflag\n')
    clone.git("config", "include.path", "../odd.config")
    repo = open_repository(clone.root)
    config = read_own_config(repo.git, {})
    repo = repo.fetching(lambda _: None, config if frozen else b"")
    clone.git("config", "remote.origin.uploadpack", f"touch {tmp_path}/canary; git-upload-pack")
    commit = repo.refs.commit("HEAD") or ""
    assert repo.promised is not None
    require_whole(repo.objects, repo.promised, commit)
    assert (tmp_path / "canary").exists() is not frozen
    assert list(repo.own_dir.glob("*") if repo.own_dir.exists() else ()) == []
    repo.close()
    assert clone.git("fsck", "--strict", "--no-dangling") == ""
    copied = tmp_path / "copied"
    copied.write_bytes(config)
    listed = clone.git("config", "--file", str(copied), "--list").splitlines()
    assert 'url.elsewhere "#1":.insteadof=a b\\c;d' in listed
    assert "some.flag=true" in listed
    assert not any(line.startswith("include") for line in listed)


def test_a_fetch_that_brings_nothing_is_an_error(
    clone: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = shutil.which("git")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/git"
    program.write_text(
        f'#!/bin/sh\ncase " $* " in *" fetch "*) exit 0 ;; esac\nexec {real} "$@"\n', encoding="utf-8"
    )
    program.chmod(0o755)
    for name, value in clone.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{clone.environment['PATH']}")
    repo = open_repository(clone.root).fetching(lambda _: None)
    assert repo.promised is not None
    with pytest.raises(PartialCloneError, match="origin does not have them"):
        require_whole(repo.objects, repo.promised, repo.refs.commit("HEAD") or "")
    repo.close()


def test_who_reads_by_path_is_told_what_is_missing(clone: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in clone.environment.items():
        monkeypatch.setenv(name, value)
    repo = open_repository(clone.root)
    commit = repo.refs.commit("HEAD") or ""
    thread = GitThread()
    base = Base(commit, TreeSnapshot(repo.objects, repo.objects.tree_of(commit)), thread, repo.git)
    with pytest.raises(GitError, match=r"a\.md is missing in this partial clone"):
        asyncio.run(base.file("a.md", 100))
    with pytest.raises(GitError, match="files are missing in this partial clone"):
        asyncio.run(base.search("a", "", regex=False, ignore_case=False))
    assert asyncio.run(base.file("nothing.md", 100)) is None
    thread.close()
    repo.close()
