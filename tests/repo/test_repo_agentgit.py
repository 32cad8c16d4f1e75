"""What git finds in an agent's worktree: enough to work with, no credential, nothing of what others work on."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import IDENTITY, Workspace
from hypothesis import given
from hypothesis import strategies as st

from gitbatch.errors import GitError
from gitbatch.repo.config_file import render_config
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.repo.settings import LineEnds
from gitbatch.repo.worktrees.agent_git import (
    AgentGit,
    clean_settings,
    clean_url,
    git_dir_of,
    object_directories,
    read_agent_git,
)
from gitbatch.repo.worktrees.worktree import NewWorktree, add_worktree, remove_worktree

TOKEN = "token-1234567890"  # noqa: S105 - looked for, and not found
SETTINGS = {
    "remote.origin.url": f"https://me:{TOKEN}@example.org/x.git?private_token={TOKEN}",
    "remote.origin.pushurl": f"https://{TOKEN}@example.org/x.git",
    "remote.origin.proxy": f"http://{TOKEN}@proxy",
    f"remote.https://{TOKEN}@example.org/.url": "x",
    f"http.https://{TOKEN}@example.org/.extraHeader": f"Authorization: {TOKEN}",
    f"url.https://{TOKEN}@example.org/.insteadOf": "https://example.org/",
    "credential.helper": f"!echo {TOKEN}",
    "include.path": f"../{TOKEN}",
    "core.sshCommand": f"ssh -i {TOKEN}",
    "sendemail.smtpPass": TOKEN,
    "branch.main.remote": f"ssh://{TOKEN}@example.org/x",
    "alias.x": f"!echo {TOKEN}",
    "filter.x.smudge": f"echo {TOKEN}",
}


def set_up(workspace: Workspace) -> str:
    for key, value in SETTINGS.items():
        workspace.git("config", key, value)
    workspace.git("config", "core.fileMode", "false")
    workspace.write(".env", TOKEN)
    workspace.write(".gitignore", ".env\n")
    workspace.write("src/a.txt", "needle\n")
    commit = workspace.commit("The plan")
    workspace.git("tag", "-a", "v1", "-m", "one")
    workspace.git("branch", "gitbatch/b/other")
    workspace.write("src/a.txt", "stashed\n")
    workspace.git("stash")
    return commit


@pytest.fixture
def opened(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    set_up(workspace)
    with closing(open_repository(workspace.root)) as repo:
        yield repo


def agent_place(repo: Repository, tmp_path: Path, sparse: tuple[str, ...] | None = None) -> Workspace:
    """A worktree, in which the user's git works as an agent's would."""
    path = tmp_path / "w t" / "b-1"
    agents = read_agent_git(repo, path.parent, "refs/heads/main")
    base = repo.refs.commit("HEAD") or ""
    add_worktree(repo, agents, NewWorktree(path, "refs/heads/gitbatch/b/1", base, "out/x.md", sparse))
    return Workspace(path, tmp_path / "home", {**os.environ, **IDENTITY})


def all_text(*folders: Path) -> str:
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return "".join(path.read_bytes().decode("latin-1") for path in files)


def test_no_credential_and_no_one_elses_work_is_in_it(opened: Repository, tmp_path: Path) -> None:
    assert TOKEN in (opened.common_dir / "config").read_text(), "else this proves nothing"
    workspace = agent_place(opened, tmp_path)
    shared = Path(workspace.git("rev-parse", "--git-common-dir"))
    assert TOKEN not in all_text(shared, git_dir_of(workspace.root))
    assert workspace.git("config", "--get", "remote.origin.url") == "https://example.org/x.git"
    assert workspace.git("config", "--get", "core.fileMode") == "false"
    assert workspace.git("stash", "list") == ""
    refs = workspace.git("for-each-ref", "--format=%(refname)").split("\n")
    assert refs == ["refs/heads/main", "refs/tags/v1"]


@pytest.mark.parametrize("sparse", [None, ("src/a.txt",)])
def test_git_works_in_it(opened: Repository, tmp_path: Path, sparse: tuple[str, ...] | None) -> None:
    workspace = agent_place(opened, tmp_path, sparse)
    assert workspace.git("log", "--format=%s") == "The plan"
    assert workspace.git("describe", "--tags") == "v1"
    assert workspace.git("status", "--porcelain") == ""
    assert workspace.git("ls-files").split() == [".gitignore", "src/a.txt"]
    assert workspace.git("grep", "--cached", "-h", "needle") == "needle"
    assert workspace.git("show", "main:src/a.txt") == "needle"
    workspace.write("src/a.txt", "changed\n")
    assert "+changed" in workspace.git("diff")
    assert workspace.git("diff", "--name-only", "main") == "src/a.txt"
    assert workspace.git("fsck", "--strict", "--no-dangling") == ""


def test_it_is_at_its_base_whatever_the_branch_is_now(
    opened: Repository, workspace: Workspace, tmp_path: Path
) -> None:
    base = workspace.git("rev-parse", "HEAD")
    agents = read_agent_git(opened, tmp_path / "trees", "refs/heads/main")
    workspace.write("later.txt", "later\n")
    later = workspace.commit("Later")
    for name, commit in (("one", base), ("two", later), ("three", base)):
        path = tmp_path / "trees" / name
        add_worktree(opened, agents, NewWorktree(path, f"refs/heads/gitbatch/b/{name}", commit, "x.md", None))
        seen = Workspace(path, workspace.home, workspace.environment).git("rev-parse", "HEAD", "main")
        assert seen.split() == [commit, commit]
    assert len(list((tmp_path / "trees").glob("*.common"))) == 2, "one for each base"


def test_it_goes_with_its_worktree(opened: Repository, tmp_path: Path) -> None:
    workspace = agent_place(opened, tmp_path)
    assert remove_worktree(opened, workspace.root)
    assert [path.suffix for path in workspace.root.parent.iterdir()] == [".common"]


def test_what_a_commit_in_it_makes_stays_in_it(
    opened: Repository, workspace: Workspace, tmp_path: Path
) -> None:
    before = workspace.state(), len(list((workspace.root / ".git/objects").rglob("*")))
    agent = agent_place(opened, tmp_path)
    agent.write("out/x.md", "x\n")
    made = agent.commit("Mine")
    agent.git("update-ref", "refs/heads/main", made)
    opened.refs.delete({"refs/heads/gitbatch/b/1": opened.refs.read("refs/heads/gitbatch/b/1") or ""})
    assert (workspace.state(), len(list((workspace.root / ".git/objects").rglob("*")))) == before


@pytest.mark.parametrize("how", ["shallow", "alternates", "partial", "sha256", "reftable", "sparse-index"])
def test_git_works_in_it_in_odd_repositories(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    if how in {"sha256", "reftable"}:
        option = "--object-format=sha256" if how == "sha256" else "--ref-format=reftable"
        other = Workspace(tmp_path / "other", workspace.home, workspace.environment)
        other.root.mkdir()
        if subprocess.run(
            ["git", "init", "-q", "-b", "main", option], cwd=other.root, check=False
        ).returncode:
            pytest.skip("this git has no reftable")
        workspace = other
    set_up(workspace)
    workspace.write("b/c/d.txt", "d\n")
    workspace.commit("Second")
    workspace.git("config", "uploadpack.allowFilter", "true")
    options = {
        "shallow": ("--depth=1",),
        "alternates": ("--reference", str(workspace.root)),
        "partial": ("--filter=blob:none",),
    }
    if how in options:
        clone = Workspace(tmp_path / "clone", workspace.home, workspace.environment)
        source = f"file://{workspace.root}" if how != "alternates" else str(workspace.root)
        workspace.git("clone", "-q", *options[how], source, str(clone.root))
        workspace = clone
    if how == "sparse-index":
        workspace.git("sparse-checkout", "set", "--sparse-index", "src")
    with closing(open_repository(workspace.root)) as repo:
        agent = agent_place(repo, tmp_path)
        assert agent.git("log", "-1", "--format=%s") == "Second"
        assert agent.git("status", "--porcelain") == ""
        assert agent.git("show", "HEAD:b/c/d.txt") == "d"
        assert agent.read("b/c/d.txt") == "d\n"
        agent.write("b/c/d.txt", "e\n")
        assert "+e" in agent.git("diff")
        assert (how == "shallow") == (agent.git("rev-parse", "--is-shallow-repository") == "true")


def test_alternates_are_followed_to_their_end(tmp_path: Path) -> None:
    for name, named in {"a": "../b\n# x\n", "b": f"{tmp_path}/c\n../a", "c": "../none\n"}.items():
        (tmp_path / name / "info").mkdir(parents=True)
        (tmp_path / name / "info/alternates").write_text(named)
    assert object_directories(tmp_path / "a") == (tmp_path / "a", tmp_path / "b", tmp_path / "c")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/x.git", "https://example.org/x.git"),
        ("https://user@example.org/x", "https://example.org/x"),
        ("https://user:p@ss@example.org:8080/x?y=z#f", "https://example.org:8080/x"),
        ("https://example.org/a@b", "https://example.org/a@b"),
        ("git@example.org:a/b.git", "example.org:a/b.git"),
        ("ssh://git@example.org:22/~me/a+b.git", "ssh://example.org:22/~me/a+b.git"),
        ("http://[::1]:8000/x", "http://[::1]:8000/x"),
        ("me@[::1]:x", "[::1]:x"),
        ("file:///srv/git/x.git", "file:///srv/git/x.git"),
        ("host:/srv/x.git", "host:/srv/x.git"),
        ("host:~me/x@1/y.git", "host:~me/x@1/y.git"),
        ("origin", "origin"),
        ("", ""),
        ("/srv/our git/x", "/srv/our git/x"),
        ("/srv/git/a@b.git", "/srv/git/a@b.git"),
        ("../x.git", "../x.git"),
    ],
)
def test_a_url_loses_its_credentials(url: str, expected: str) -> None:
    assert clean_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        f"x::https://me:{TOKEN}@example.org/a",
        f"x::https://example.org/r, https://me:{TOKEN}@example.org",
        f"ext::ssh -o Pass={TOKEN} host",
        f"//me:{TOKEN}@example.org/r",
        f"https://example.org/r;me:{TOKEN}@example.org",
        f"https://example.org/r&token={TOKEN}",
        f"https:me:{TOKEN}@example.org",
        f"https:{TOKEN}@example.org/r",
        f"me:{TOKEN}@example.org/r",
        f"me:{TOKEN}@example.org:r",
        f"{TOKEN}@example.org",
        f"https://{TOKEN}@/r",
        f"https://me:{TOKEN}?@example.org/r",
        f"/srv/x https://me:{TOKEN}@example.org",
        f"x/y:{TOKEN}",
        f"https://example.org/\n{TOKEN}",
    ],
)
def test_a_url_of_another_form_is_dropped(url: str) -> None:
    assert clean_url(url) is None


@pytest.mark.parametrize(
    "name", [f"https:me:{TOKEN}@host", f"me:{TOKEN}@host", f"{TOKEN}@host", f"a {TOKEN}"]
)
def test_a_remote_that_is_called_like_a_url_is_dropped(repo: Repository, name: str) -> None:
    listed = (
        f"remote.{name}.url\nx\0remote.{name}.fetch\n+refs/heads/*:refs/remotes/{name}/*\0"
        f"branch.main.remote\nx::{name}\0remote.origin.url\next::{TOKEN}\0branch.a@b.merge\nrefs/heads/a@b\0"
        "remote.a/b-c.url\nhttps://example.org/x\0"
    )
    settings = clean_settings(listed.encode(), repo)
    assert TOKEN not in str(settings)
    assert {("branch.a@b.merge", "refs/heads/a@b"), ("remote.a/b-c.url", "https://example.org/x")} <= set(
        settings
    )


VALUES = st.one_of(st.none(), st.text(st.characters(exclude_characters="\0", codec="utf-8")))
NAMES = st.text(st.characters(exclude_characters="\0\n", codec="utf-8"), min_size=1, max_size=20)


@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=5))
def test_git_reads_the_settings_that_were_written(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[str, str | None]]
) -> None:
    file = tmp_path_factory.mktemp("config") / "config"
    settings = tuple((f"remote.{name}.url", value) for name, value in made)
    file.write_bytes(render_config(settings))
    listed = subprocess.run(
        ["git", "config", "-f", str(file), "--list", "-z"], capture_output=True, check=True
    )
    entries = [entry.partition("\n") for entry in listed.stdout.decode().split("\0")[:-1]]
    assert [(key, value if sep else None) for key, sep, value in entries] == list(settings)


@pytest.mark.parametrize(
    ("ends", "setting"),
    [
        (LineEnds(on_disk=True, stored=True), ("core.autocrlf", "true")),
        (LineEnds(on_disk=False, stored=True), ("core.autocrlf", "input")),
        (LineEnds(on_disk=True, stored=False), ("core.eol", "crlf")),
    ],
)
def test_line_ends_are_those_of_the_checkout(
    repo: Repository, ends: LineEnds, setting: tuple[str, str]
) -> None:
    from msgspec.structs import replace  # noqa: PLC0415

    assert setting in clean_settings(b"", replace(repo, line_ends=ends))
    assert setting not in clean_settings(b"", repo)


def test_a_repository_that_cannot_be_read_is_an_error(
    repo: Repository, workspace: Workspace, tmp_path: Path
) -> None:
    workspace.write(".git/config", "[broken\n")
    with pytest.raises(GitError):
        read_agent_git(repo, tmp_path, "refs/heads/main")


def test_a_shared_directory_that_is_gone_is_made_again(opened: Repository, tmp_path: Path) -> None:
    agents: AgentGit = read_agent_git(opened, tmp_path, "refs/heads/main")
    base = opened.refs.commit("HEAD") or ""
    agents.make(tmp_path / "a", base, "x")
    agents.shared(base).rename(tmp_path / "moved")
    agents.make(tmp_path / "b", base, "x")
    assert (agents.shared(base) / "config").exists()
    agents.close()
    assert not agents.shared(base).exists()
