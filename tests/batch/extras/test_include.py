"""The ignored files of the checkout that worktrees get, and their layer in the cache."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.batch.extras.include import (
    IncludedFiles,
    IncludeSizeError,
    find_included,
    looks_secret,
)
from gitbatch.batch.extras.include_layer import ChangingFilesError, make_include_layer
from gitbatch.fs import copying
from gitbatch.project.extras_table import ExtrasTable
from gitbatch.repo.ignored import split_patterns
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot
from gitbatch.repo.templates.store import LayerStore

IGNORED = "node_modules\n.env*\n*.pem\nbuild/\n/local/\ndata/*.bin\nout/ignored.md\n"
INCLUDED = """# what agents need
node_modules/
.venv
data
.env*
*.pem
build/cache/*
not-ignored.txt
out/
committed.txt
!build/cache/big
"""
FILES = {
    "node_modules/a/index.js": "code",
    "node_modules/a/credentials.js": "code",
    "node_modules/a/.npmrc": "token",
    "node_modules/a/.git/config": "evil",
    "packages/b/node_modules/c/index.js": "code",
    ".venv/.gitignore": "*",
    ".venv/bin/tool": "#!/bin/sh",
    ".env": "KEY=1",
    ".env.test": "KEY=2",
    "server.pem": "secret",
    "build/cache/one": "1",
    "build/cache/big": "22",
    "build/other": "3",
    "data/x.bin": "x",
    "data/\udcff.bin": "",
    "data/y.txt": "y",
    "not-ignored.txt": "mine",
    "out/ignored.md": "done already",
}


@pytest.fixture
def checkout(workspace: Workspace) -> Workspace:
    workspace.write(".gitignore", IGNORED)
    workspace.write(".worktreeinclude", INCLUDED)
    workspace.write("committed.txt", "base")
    workspace.commit()
    for path, text in FILES.items():
        workspace.write(path, text)
    (workspace.root / ".venv/bin/python").symlink_to("/usr/bin/python3")
    (workspace.root / "node_modules/loop").symlink_to("..")
    os.mkfifo(workspace.root / "build/cache/queue")
    return workspace


@pytest.fixture
def repo(checkout: Workspace) -> Iterator[Repository]:
    opened = open_repository(checkout.root)
    yield opened
    opened.close()


def find(repo: Repository, *guarded: str, at: str = "HEAD", **settings: object) -> IncludedFiles:
    commit = repo.refs.commit(at)
    assert commit
    snapshot = TreeSnapshot(repo.objects, repo.objects.tree_of(commit))
    return find_included(repo, snapshot, ExtrasTable(**settings), frozenset(guarded))  # type: ignore[arg-type]


def names_of(included: IncludedFiles) -> set[str]:
    return {file.path for file in included.files if not file.is_folder}


def test_choice(repo: Repository) -> None:
    included = find(repo, "out/ignored.md", include=(".env.test", "local"))
    assert names_of(included) == {
        *("node_modules/a/index.js", "node_modules/a/credentials.js", "node_modules/loop"),
        "packages/b/node_modules/c/index.js",
        *(".venv/.gitignore", ".venv/bin/tool", ".venv/bin/python"),
        *(".env.test", "build/cache/one", "data/x.bin", "data/\udcff.bin"),
    }
    assert included.named == (".env.test",)
    assert set(included.left_out) == {".env", "server.pem", "node_modules/a/.npmrc"}
    lines = included.describe()
    assert lines[0].startswith("worktrees get .env.test, .venv/, build/cache/one")
    assert lines[1] == "agents can read .env.test, which batch.include names"
    assert lines[2].startswith("not included, as the names look like secrets: .env")


def test_one_file_is_counted_as_one(repo: Repository, checkout: Workspace) -> None:
    checkout.write(".worktreeinclude", "data/x.bin\n")
    checkout.commit()
    assert re.fullmatch(
        r"worktrees get data/x\.bin of your checkout \(\d+ bytes in 1 file\)", find(repo).describe()[0]
    )


def test_what_the_commit_has_is_left_out(repo: Repository, checkout: Workspace) -> None:
    """The batch may start from another commit than the one that is checked out."""
    checkout.git("switch", "-q", "-c", "other")
    checkout.git("add", "-f", "data/x.bin", "node_modules/a/index.js")
    checkout.commit()
    checkout.git("switch", "-q", "main")
    for path in ("data/x.bin", "node_modules/a/index.js"):
        checkout.write(path, FILES[path])
    tops = find(repo, at="refs/heads/other").tops
    assert not {"data/x.bin", "node_modules/"} & set(tops)
    assert ".venv/" in tops


def test_folder_with_a_secret_name(repo: Repository, checkout: Workspace) -> None:
    checkout.write(".env.d/public.txt", "x")
    included = find(repo, include=(".env.d/public.txt",))
    assert ".env.d" in included.left_out
    assert ".env.d/public.txt" not in names_of(included)
    named = find(repo, include=(".env.d", ".env.d/public.txt"))
    assert ".env.d/public.txt" in names_of(named)


def test_link_is_not_followed(repo: Repository, checkout: Workspace) -> None:
    """A shared folder behind a link stays the user's; the start of the run says that only the link is there."""
    (checkout.root / "packages/node_modules").symlink_to(checkout.home)
    checkout.write(".gitignore", "node_modules\n/local\n")
    checkout.write("other/keep", "x")
    (checkout.root / "local").symlink_to(checkout.home)
    included = find(repo, include=("/local",))
    assert {file.path: file.target for file in included.files if file.target}["local"] == str(checkout.home)
    assert "included as links, which are not followed: local" in included.describe()


def test_nothing_to_include(repo: Repository, checkout: Workspace) -> None:
    checkout.write(".worktreeinclude", "# nothing\n")
    checkout.commit()
    included = find(repo)
    assert (included, included.describe()) == (IncludedFiles(), ())
    store = LayerStore(checkout.root.parent / "layers")
    assert make_include_layer(store, checkout.root, lambda: included) == (included, None)


def test_size_limit(repo: Repository) -> None:
    with pytest.raises(IncludeSizeError) as caught:
        find(repo, include_max=20)
    assert (
        "have 54 bytes, more than batch.include-max allows (20 bytes); the largest: " in caught.value.message
    )
    assert ".venv/ (" in caught.value.message


def test_layer_is_reused_until_a_file_changes(repo: Repository, checkout: Workspace, tmp_path: Path) -> None:
    source = checkout.root / ".venv/bin/tool"
    source.chmod(0o4755)
    os.link(source, checkout.root / ".venv/bin/twin")
    store = LayerStore(tmp_path / "layers")
    included, lease = make_include_layer(store, checkout.root, lambda: find(repo))
    assert lease
    copy = lease.tree / ".venv/bin/tool"
    assert copy.read_text() == "#!/bin/sh"
    assert copy.stat().st_mtime_ns == source.stat().st_mtime_ns
    assert copy.stat().st_mode & 0o7777 == 0o755
    assert (copy.stat().st_nlink, copy.with_name("twin").stat().st_nlink) == (1, 1), "never hard links"
    assert copy.with_name("python").readlink() == Path("/usr/bin/python3")
    assert make_include_layer(store, checkout.root, lambda: find(repo))[1].name == lease.name  # type: ignore[union-attr]
    checkout.write("node_modules/a/index.js", "CODE")
    changed, other = make_include_layer(store, checkout.root, lambda: find(repo))
    assert other
    assert other.name != lease.name
    assert (other.tree / "node_modules/a/index.js").read_text() == "CODE"
    assert len(changed.files) == len(included.files)
    assert (lease.tree / "node_modules/a/index.js").read_text() == "code", "nobody changes a complete layer"
    store.close()


def test_file_that_changes_all_the_time(repo: Repository, checkout: Workspace, tmp_path: Path) -> None:
    included, store = find(repo), LayerStore(tmp_path / "layers")
    checkout.write("data/x.bin", "longer")
    with pytest.raises(ChangingFilesError, match=r"data/x\.bin was changed while it was copied"):
        make_include_layer(store, checkout.root, lambda: included)
    (checkout.root / "data/x.bin").unlink()
    with pytest.raises(ChangingFilesError, match=r"data/x\.bin was removed"):
        make_include_layer(store, checkout.root, lambda: included)
    assert not list((tmp_path / "layers").glob("include-*"))


def test_copy_without_reflinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    (tmp_path / "from/deep").mkdir(parents=True)
    (tmp_path / "from/deep/file").write_bytes(b"x" * 3_000_000)
    (tmp_path / "to").mkdir()
    files = tuple(copying.list_sources(tmp_path / "from", "deep/", lambda _: False))
    for _ in range(2):  # what is there already stays
        copying.copy_sources(tmp_path / "from", files, tmp_path / "to")
    assert (tmp_path / "to/deep/file").stat().st_size == 3_000_000


@pytest.mark.parametrize(
    ("path", "is_secret"),
    [
        (".env", True),
        ("config/.ENV.local", True),
        ("id_rsa", True),
        ("credentials.json", True),
        ("tls/site.key", True),
        (".venv/lib/python3/site-packages/botocore/credentials.py", False),
        (".venv/lib/python3/site-packages/certifi/cacert.pem", False),
        ("node_modules/x/.npmrc", True),
        (".venv", False),
        ("node_modules", False),
    ],
)
def test_secret_names(path: str, *, is_secret: bool) -> None:
    assert looks_secret(path) is is_secret


def test_words() -> None:
    assert split_patterns("a\r\n\n# b\n\\#c\n d/ \n") == ("a", "\\#c", " d/ ")


def test_volume_below_the_checkout_is_copied(repo: Repository, checkout: Workspace, tmp_path: Path) -> None:
    """An overlay would show the empty folder that it is mounted on: what is included is a copy of what you see."""
    workspace = checkout.root / "node_modules"
    command = ("mount", "-t", "tmpfs", "tmpfs", workspace)
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        checkout.write("node_modules/volume/code.js", "code")
        with closing(LayerStore(tmp_path / "layers")) as store:
            found, lease = make_include_layer(store, checkout.root, lambda: find(repo))
            assert lease
            assert "node_modules/" in found.tops
            assert (lease.tree / "node_modules/volume/code.js").read_text() == "code"
            assert not (lease.tree / "node_modules/a").exists()
    finally:
        subprocess.run(("umount", "--lazy", workspace), check=True)
