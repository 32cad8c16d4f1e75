"""Odd repositories: each works like any other, or is refused with a clear message. README has the same table."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from base_repositories import SAMPLES
from conftest import Workspace
from fork_server import ForkServer
from history import audit, ticked
from reflinks import move_workspace, reflink_folder

SOME = ("run", "--items", "T101,T102,T201", "--checkpoint", "at-end")
OTHER_DISKS = (Path("/dev/shm"), Path("/var/tmp"))  # noqa: S108 - for folders of its own
Odd = Callable[[Workspace], Workspace]
"""Makes a sample repository odd; returns where to run."""


def as_it_is(workspace: Workspace) -> Workspace:
    return workspace


def linked_worktree(workspace: Workspace) -> Workspace:
    workspace.git("checkout", "-q", "--detach")
    other = workspace.root.parent / "linked wörktree"
    workspace.git("worktree", "add", "-q", str(other), "main")
    return replace(workspace, root=other)


def path_of_strange_bytes(three: Workspace) -> Workspace:
    folder = three.root.parent / os.fsdecode(b'a:b, c\\d"\xc3\xa9 \xff $x') / "repo"
    shutil.copytree(three.root, folder, symlinks=True)
    return replace(three, root=folder)


def other_line_ends_in_the_path(workspace: Workspace) -> Workspace:
    workspace.git("checkout", "-q", "--detach")
    other = workspace.root.parent / "linked\r\x0c\u2028worktree"
    workspace.git("worktree", "add", "-q", str(other), "main")
    return replace(workspace, root=other)


def another_name_of_the_branch(workspace: Workspace) -> Workspace:
    workspace.git("symbolic-ref", "refs/heads/master", "refs/heads/main")
    workspace.git("symbolic-ref", "HEAD", "refs/heads/master")
    return workspace


def sparse_checkout(workspace: Workspace) -> Workspace:
    workspace.write("elsewhere/big.md", "big")
    workspace.write("docs/status.md", "x")
    workspace.commit()
    workspace.git("sparse-checkout", "set", "--cone", "tools")
    assert not (workspace.root / "elsewhere").exists()
    return workspace


def sparse_without_shared_files(workspace: Workspace) -> Workspace:
    workspace.git("sparse-checkout", "set", "--no-cone", "/tools/", "/task.md", "/gitbatch.toml")
    assert not (workspace.root / "status.md").exists()
    return workspace


def shallow_clone(workspace: Workspace) -> Workspace:
    workspace.write("later", "x")
    workspace.commit()
    other = workspace.root.parent / "shallow"
    workspace.git("clone", "-q", "--depth", "1", f"file://{workspace.root}", str(other))
    return replace(workspace, root=other)


def submodule(workspace: Workspace) -> Workspace:
    inner = workspace.root.parent / "inner"
    workspace.git("clone", "-q", str(workspace.root), str(inner))
    workspace.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    workspace.commit("A submodule")
    workspace.write("sub/mine.txt", "the user's")
    workspace.write("sub/task.md", "dirty")
    return workspace


def autocrlf(value: str) -> Odd:
    def odd(workspace: Workspace) -> Workspace:
        keep_scripts(workspace)
        workspace.git("config", "core.autocrlf", value)
        return checked_out_anew(workspace)

    return odd


def keep_scripts(workspace: Workspace) -> None:
    """Whose checkout has other line ends says so for what must not have them: the agents' worktrees get them too."""
    workspace.write(".gitattributes", "*.sh -text\n")
    workspace.commit()


def checked_out_anew(workspace: Workspace) -> Workspace:
    workspace.git("rm", "-rq", "--cached", ".")
    workspace.git("reset", "-q", "--hard")
    return workspace


def autocrlf_of_the_user(workspace: Workspace) -> Workspace:
    keep_scripts(workspace)
    config = workspace.home / "gitconfig"
    config.write_text("[core]\n\tautocrlf = true\n", encoding="utf-8")
    workspace.environment["GIT_CONFIG_GLOBAL"] = str(config)
    return checked_out_anew(workspace)


def crlf_by_attribute(workspace: Workspace) -> Workspace:
    workspace.write(".gitattributes", "*.md text eol=crlf\n")
    workspace.commit()
    return checked_out_anew(workspace)


def git_dir_of_a_parent(workspace: Workspace) -> Workspace:
    other = workspace.root.parent / "parent"
    workspace.git("init", "-q", str(other))
    environment = {
        **workspace.environment,
        "GIT_DIR": str(other / ".git"),
        "GIT_INDEX_FILE": str(other / ".git" / "index"),
        "GIT_WORK_TREE": str(other),
        "GIT_OBJECT_DIRECTORY": str(other / ".git" / "objects"),
    }
    return replace(workspace, environment=environment)


def lfs_elsewhere(workspace: Workspace) -> Workspace:
    workspace.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    workspace.write("model.bin", "version https://git-lfs.github.com/spec/v1\n")
    workspace.commit()
    trap = workspace.home / "lfs"
    trap.write_text(f"#!/bin/sh\ntouch {workspace.home}/smudged\ncat\n", encoding="utf-8")
    trap.chmod(0o755)
    for kind in ("smudge", "clean"):
        workspace.git("config", f"filter.lfs.{kind}", str(trap))
    return workspace


def lfs_files(workspace: Workspace) -> Workspace:
    """An agent sees the file, not its pointer."""
    lfs_elsewhere(workspace)
    content = b"large\n" * 1000
    digest = sha256(content).hexdigest()
    store = workspace.root / ".git/lfs/objects" / digest[:2] / digest[2:4]
    store.mkdir(parents=True)
    (store / digest).write_bytes(content)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
    workspace.write("model.bin", pointer)
    workspace.edit("tools/agent.sh", "set -eu\n", 'set -eu\ntest "$(head -n 1 model.bin)" = large\n')
    workspace.commit()
    return workspace


def links_modes_and_cases(workspace: Workspace) -> Workspace:
    for name in ("Case.md", "case.md", "CASE/x.md", "bin/run"):
        workspace.write(name, f"{name}\n")
    (workspace.root / "bin/run").chmod(0o755)
    for name, target in {
        "to-file": "Case.md",
        "to-folder": "CASE",
        "to-nothing": "no",
        "out-of-it": "../x",
    }.items():
        (workspace.root / name).symlink_to(target)
    workspace.edit(
        "tools/agent.sh",
        "set -eu\n",
        'set -eu\ntest -x bin/run; test "$(cat to-file to-folder/x.md)"; test -L to-nothing\n',
    )
    workspace.commit()
    return workspace


def relative_worktrees(workspace: Workspace) -> Workspace:
    workspace.git("config", "worktree.useRelativePaths", "true")
    return linked_worktree(workspace)


def cache_on_another_disk(workspace: Workspace) -> Workspace:
    device = workspace.home.stat().st_dev
    disk = next((disk for disk in OTHER_DISKS if disk.is_dir() and disk.stat().st_dev != device), None)
    if disk is None:
        pytest.skip("needs two disks")
    workspace.environment["GITBATCH_CACHE"] = tempfile.mkdtemp(dir=disk)
    return workspace


def separate_git_dir(workspace: Workspace) -> Workspace:
    workspace.git("init", "-q", "--separate-git-dir", str(workspace.root.parent / "the git dir"))
    return workspace


def packed(workspace: Workspace) -> Workspace:
    workspace.git("gc", "-q")
    workspace.git("pack-refs", "--all")
    return workspace


WORKING = {
    "a path of strange bytes": path_of_strange_bytes,
    "plain": as_it_is,
    "a linked worktree": linked_worktree,
    "line ends in the path": other_line_ends_in_the_path,
    "another name of the branch": another_name_of_the_branch,
    "a sparse checkout": sparse_checkout,
    "a sparse checkout without shared files": sparse_without_shared_files,
    "a shallow clone": shallow_clone,
    "submodules": submodule,
    "autocrlf = true": autocrlf("true"),
    "autocrlf = input": autocrlf("input"),
    "autocrlf of the user": autocrlf_of_the_user,
    "eol=crlf": crlf_by_attribute,
    "GIT_DIR of a parent": git_dir_of_a_parent,
    "LFS elsewhere": lfs_elsewhere,
    "LFS": lfs_files,
    "links, modes and cases": links_modes_and_cases,
    "relative worktrees": relative_worktrees,
    "a cache on another disk": cache_on_another_disk,
    "a separate git dir": separate_git_dir,
    "everything packed": packed,
}


@pytest.fixture
def reflinks(three: Workspace) -> Iterator[Path]:
    with reflink_folder(three.root.parent) as folder:
        yield folder


@pytest.mark.parametrize("kind", ["copy", "overlay", "clone"])
@pytest.mark.parametrize("odd", WORKING.values(), ids=WORKING.keys())
@pytest.mark.sample(8)
def test_it_works(three: Workspace, odd: Odd, kind: str, request: pytest.FixtureRequest) -> None:
    """With each kind of worktree, where the file system has it."""
    if kind == "clone":
        if odd is cache_on_another_disk:
            pytest.skip("reflinks need one file system")
        three = move_workspace(three, request.getfixturevalue("reflinks"))
    three.environment["GITBATCH_WORKTREE"] = kind
    workspace = odd(three)
    if cache := workspace.environment.get("GITBATCH_CACHE"):
        request.addfinalizer(partial(shutil.rmtree, cache))
    clean = {name: value for name, value in workspace.environment.items() if name in three.environment}
    look = replace(workspace, environment=clean)
    before = look.git("status", "--porcelain", "--ignore-submodules=none")
    sparse = look.git("ls-files", "-t").count("S ")
    (three.home / "smudged").unlink(missing_ok=True)
    workspace.gitbatch(*SOME, code=0)
    assert not (three.home / "smudged").exists()
    assert look.git("status", "--porcelain", "--ignore-submodules=none") == before
    assert look.git("ls-files", "-t").count("S ") == sparse
    story = audit(look)
    assert (len(story.items), len(story.checkpoints)) == (3, 2)
    assert ticked(look) == ["T101", "T102", "T201"]
    assert look.git("ls-files", "--eol", "out").count("i/lf") == 3
    assert (look.root / "out/pairs/ab.md").exists()
    assert look.git("worktree", "list", "--porcelain").count("worktree ") == 1 + (
        odd in {linked_worktree, other_line_ends_in_the_path, relative_worktrees}
    )


def test_another_name_of_the_branch_does_not_lead_around_a_check(three: Workspace) -> None:
    three.git("symbolic-ref", "refs/heads/master", "refs/heads/main")
    three.write("task.md", three.read("task.md") + "\nedited\n")
    said = three.gitbatch(*SOME, "--branch", "master", code=1).stderr
    assert "uncommitted changes in task.md" in said
    three.git("checkout", "-q", "task.md")
    (three.root / ".git/MERGE_HEAD").write_text(three.git("rev-parse", "HEAD") + "\n", encoding="ascii")
    said = three.gitbatch(*SOME, "--branch", "master", code=1).stderr
    assert "a merge is under way" in said
    assert three.git("for-each-ref", "refs/gitbatch") == ""


def with_context_checkout(workspace: Workspace) -> None:
    """An agent sees what its item reads, and git works where it is."""
    script = "ls -R | sort >$0; git status --porcelain >&2; git cat-file -e HEAD:tools/agent.sh && echo Done. All of it."
    workspace.edit("gitbatch.toml", "jobs = 4", 'jobs = 4\ncheckout = "context"')
    workspace.edit("gitbatch.toml", '"sh", "tools/agent.sh", ', f'"sh", "-c", "{script}", ')
    workspace.commit()


@pytest.mark.parametrize("name", ["a linked worktree", "a sparse checkout", "submodules"])
def test_a_context_checkout_works_too(three: Workspace, name: str) -> None:
    with_context_checkout(three)
    workspace = WORKING[name](three)
    before = workspace.git("status", "--porcelain", "--ignore-submodules=none")
    said = workspace.gitbatch(*SOME, code=0).stdout
    assert "!         T201: ?? out/pairs/ab.md" in said or "!         T201: ?? out/pairs/" in said
    assert "agent.sh" not in workspace.read("out/pairs/ab.md").split()
    assert {"a.md", "b.md", "rules.md"} <= set(workspace.read("out/pairs/ab.md").split())
    assert workspace.git("status", "--porcelain", "--ignore-submodules=none") == before
    assert len(audit(workspace).items) == 3


FORMATS = {"sha256": ("--object-format=sha256",), "reftable": ("--ref-format=reftable",)}


@pytest.mark.parametrize("checkout", ["full", "context"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.sample(2)
def test_other_formats(
    tmp_path: Path, environment: dict[str, str], fork_server: ForkServer, form: str, checkout: str
) -> None:
    workspace = Workspace(tmp_path / "repo", tmp_path / "home", environment, fork_server)
    workspace.root.mkdir()
    workspace.git("init", "-q", "-b", "main", *FORMATS[form], check=False)
    if not (workspace.root / ".git").exists():
        pytest.skip(f"this git has no {form}")
    shutil.copytree(SAMPLES / "three-groups", workspace.root, dirs_exist_ok=True)
    workspace.commit()
    if checkout == "context":
        with_context_checkout(workspace)
    workspace.gitbatch("run", "--items", "T101,T102,T201", "--checkpoint", "after-each", code=3)
    workspace.gitbatch("run", code=0)
    assert len(audit(workspace).items) == 3
    assert workspace.git("status", "--porcelain") == ""
    workspace.gitbatch("gc", "--keep", "0", code=0)
    assert workspace.git("fsck", "--strict", "--no-dangling") == ""


def test_spaces_and_unicode_in_every_path(
    tmp_path: Path, environment: dict[str, str], fork_server: ForkServer
) -> None:
    home = tmp_path / "Zu Hause 家 'q' \"d\" $x"
    (tmp_path / "home").rename(home)
    environment = {k: v.replace(str(tmp_path / "home"), str(home)) for k, v in environment.items()}
    workspace = Workspace(tmp_path / "mein Repo ü [x]* 'q' \"d\"", home, environment, fork_server)
    shutil.copytree(SAMPLES / "three-groups", workspace.root)
    workspace.git("init", "-q", "-b", "main")
    workspace.edit("task.md", "→ Output: out/letters/a.md", "→ Output: `out/ä ö/a b's.md`")
    workspace.edit("task.md", "context: out/letters/a.md, out/letters/b.md", "context: `out/ä ö/a b's.md`")
    workspace.edit("task.md", "context: out/letters/d.md, out/letters/a.md", "context: `out/ä ö/a b's.md`")
    workspace.commit()
    workspace.gitbatch(*SOME, code=0)
    assert len(audit(workspace).items) == 3
    assert (workspace.root / "out/ä ö/a b's.md").exists()
    assert workspace.git("status", "--porcelain") == ""


def test_an_output_with_a_filter_is_refused(three: Workspace) -> None:
    three.write(".gitattributes", "out/letters/a.md filter=lfs\n")
    three.commit()
    said = three.gitbatch("run", "--items", "T101,T102", "--checkpoint", "at-end", code=1).stdout
    assert "out/letters/a.md has the filter lfs (git attributes)" in said
    assert ticked(three) == ["T102"]


def test_a_git_folder_that_can_not_be_written_is_refused(three: Workspace) -> None:
    as_others = ["setpriv", "--bounding-set=-dac_override,-fowner"] if os.getuid() == 0 else []
    if as_others and not shutil.which("setpriv"):
        pytest.skip("root may write everything")
    (three.root / ".git").chmod(0o500)
    done = subprocess.run(
        [*as_others, sys.executable, "-m", "gitbatch", *SOME],
        cwd=three.root,
        env=three.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    (three.root / ".git").chmod(0o700)
    assert done.returncode == 1, done.stderr
    assert f"cannot write {three.root}/.git/gitbatch: Permission denied" in done.stderr
    assert "make the repository's .git writable for you" in done.stderr
    assert three.git("for-each-ref", "refs/gitbatch", "refs/heads/gitbatch") == ""


def test_cache_that_cannot_be_written(three: Workspace) -> None:
    """With a folder for worktrees, only layers need it: then worktrees are copies. Else it is named."""
    cache = three.home / "not-a-folder"
    cache.write_text("")
    three.environment |= {"GITBATCH_CACHE": str(cache), "GITBATCH_WORKTREE": "auto"}
    done = three.gitbatch(*SOME, code=1)
    assert f"Not a directory: {cache}" in done.stderr
    three.environment["GITBATCH_WORKTREES"] = str(three.home / "worktrees")
    said = three.gitbatch(*SOME, code=0).stdout
    assert f"worktrees copy (overlay: {cache}" in said.replace("\n", " ")
    assert ticked(three) == ["T101", "T102", "T201"]
