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
from conftest import Place
from fork_server import ForkServer
from history import audit, ticked
from reflinks import move_place, reflink_folder

SOME = ("run", "--items", "T101,T102,T201", "--checkpoint", "at-end")
OTHER_DISKS = (Path("/dev/shm"), Path("/var/tmp"))  # noqa: S108 - for folders of its own
Odd = Callable[[Place], Place]
"""Makes a sample repository odd; returns where to run."""


def as_it_is(place: Place) -> Place:
    return place


def linked_worktree(place: Place) -> Place:
    place.git("checkout", "-q", "--detach")
    other = place.root.parent / "linked wörktree"
    place.git("worktree", "add", "-q", str(other), "main")
    return replace(place, root=other)


def path_of_strange_bytes(three: Place) -> Place:
    folder = three.root.parent / os.fsdecode(b'a:b, c\\d"\xc3\xa9 \xff $x') / "repo"
    shutil.copytree(three.root, folder, symlinks=True)
    return replace(three, root=folder)


def other_line_ends_in_the_path(place: Place) -> Place:
    place.git("checkout", "-q", "--detach")
    other = place.root.parent / "linked\r\x0c\u2028worktree"
    place.git("worktree", "add", "-q", str(other), "main")
    return replace(place, root=other)


def another_name_of_the_branch(place: Place) -> Place:
    place.git("symbolic-ref", "refs/heads/master", "refs/heads/main")
    place.git("symbolic-ref", "HEAD", "refs/heads/master")
    return place


def sparse_checkout(place: Place) -> Place:
    place.write("elsewhere/big.md", "big")
    place.write("docs/status.md", "x")
    place.commit()
    place.git("sparse-checkout", "set", "--cone", "tools")
    assert not (place.root / "elsewhere").exists()
    return place


def sparse_without_shared_files(place: Place) -> Place:
    place.git("sparse-checkout", "set", "--no-cone", "/tools/", "/task.md", "/gitbatch.toml")
    assert not (place.root / "status.md").exists()
    return place


def shallow_clone(place: Place) -> Place:
    place.write("later", "x")
    place.commit()
    other = place.root.parent / "shallow"
    place.git("clone", "-q", "--depth", "1", f"file://{place.root}", str(other))
    return replace(place, root=other)


def submodule(place: Place) -> Place:
    inner = place.root.parent / "inner"
    place.git("clone", "-q", str(place.root), str(inner))
    place.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    place.commit("A submodule")
    place.write("sub/mine.txt", "the user's")
    place.write("sub/task.md", "dirty")
    return place


def autocrlf(value: str) -> Odd:
    def odd(place: Place) -> Place:
        keep_scripts(place)
        place.git("config", "core.autocrlf", value)
        return checked_out_anew(place)

    return odd


def keep_scripts(place: Place) -> None:
    """Whose checkout has other line ends says so for what must not have them: the agents' worktrees get them too."""
    place.write(".gitattributes", "*.sh -text\n")
    place.commit()


def checked_out_anew(place: Place) -> Place:
    place.git("rm", "-rq", "--cached", ".")
    place.git("reset", "-q", "--hard")
    return place


def autocrlf_of_the_user(place: Place) -> Place:
    keep_scripts(place)
    config = place.home / "gitconfig"
    config.write_text("[core]\n\tautocrlf = true\n", encoding="utf-8")
    place.environment["GIT_CONFIG_GLOBAL"] = str(config)
    return checked_out_anew(place)


def crlf_by_attribute(place: Place) -> Place:
    place.write(".gitattributes", "*.md text eol=crlf\n")
    place.commit()
    return checked_out_anew(place)


def git_dir_of_a_parent(place: Place) -> Place:
    other = place.root.parent / "parent"
    place.git("init", "-q", str(other))
    environment = {
        **place.environment,
        "GIT_DIR": str(other / ".git"),
        "GIT_INDEX_FILE": str(other / ".git" / "index"),
        "GIT_WORK_TREE": str(other),
        "GIT_OBJECT_DIRECTORY": str(other / ".git" / "objects"),
    }
    return replace(place, environment=environment)


def lfs_elsewhere(place: Place) -> Place:
    place.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    place.write("model.bin", "version https://git-lfs.github.com/spec/v1\n")
    place.commit()
    trap = place.home / "lfs"
    trap.write_text(f"#!/bin/sh\ntouch {place.home}/smudged\ncat\n", encoding="utf-8")
    trap.chmod(0o755)
    for kind in ("smudge", "clean"):
        place.git("config", f"filter.lfs.{kind}", str(trap))
    return place


def lfs_files(place: Place) -> Place:
    """An agent sees the file, not its pointer."""
    lfs_elsewhere(place)
    content = b"large\n" * 1000
    digest = sha256(content).hexdigest()
    store = place.root / ".git/lfs/objects" / digest[:2] / digest[2:4]
    store.mkdir(parents=True)
    (store / digest).write_bytes(content)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
    place.write("model.bin", pointer)
    place.edit("tools/agent.sh", "set -eu\n", 'set -eu\ntest "$(head -n 1 model.bin)" = large\n')
    place.commit()
    return place


def links_modes_and_cases(place: Place) -> Place:
    for name in ("Case.md", "case.md", "CASE/x.md", "bin/run"):
        place.write(name, f"{name}\n")
    (place.root / "bin/run").chmod(0o755)
    for name, target in {
        "to-file": "Case.md",
        "to-folder": "CASE",
        "to-nothing": "no",
        "out-of-it": "../x",
    }.items():
        (place.root / name).symlink_to(target)
    place.edit(
        "tools/agent.sh",
        "set -eu\n",
        'set -eu\ntest -x bin/run; test "$(cat to-file to-folder/x.md)"; test -L to-nothing\n',
    )
    place.commit()
    return place


def relative_worktrees(place: Place) -> Place:
    place.git("config", "worktree.useRelativePaths", "true")
    return linked_worktree(place)


def cache_on_another_disk(place: Place) -> Place:
    device = place.home.stat().st_dev
    disk = next((disk for disk in OTHER_DISKS if disk.is_dir() and disk.stat().st_dev != device), None)
    if disk is None:
        pytest.skip("needs two disks")
    place.environment["GITBATCH_CACHE"] = tempfile.mkdtemp(dir=disk)
    return place


def separate_git_dir(place: Place) -> Place:
    place.git("init", "-q", "--separate-git-dir", str(place.root.parent / "the git dir"))
    return place


def packed(place: Place) -> Place:
    place.git("gc", "-q")
    place.git("pack-refs", "--all")
    return place


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
def reflinks(three: Place) -> Iterator[Path]:
    with reflink_folder(three.root.parent) as folder:
        yield folder


@pytest.mark.parametrize("kind", ["copy", "overlay", "clone"])
@pytest.mark.parametrize("odd", WORKING.values(), ids=WORKING.keys())
@pytest.mark.sample(8)
def test_it_works(three: Place, odd: Odd, kind: str, request: pytest.FixtureRequest) -> None:
    """With each kind of worktree, where the file system has it."""
    if kind == "clone":
        if odd is cache_on_another_disk:
            pytest.skip("reflinks need one file system")
        three = move_place(three, request.getfixturevalue("reflinks"))
    three.environment["GITBATCH_WORKTREE"] = kind
    place = odd(three)
    if cache := place.environment.get("GITBATCH_CACHE"):
        request.addfinalizer(partial(shutil.rmtree, cache))
    clean = {name: value for name, value in place.environment.items() if name in three.environment}
    look = replace(place, environment=clean)
    before = look.git("status", "--porcelain", "--ignore-submodules=none")
    sparse = look.git("ls-files", "-t").count("S ")
    (three.home / "smudged").unlink(missing_ok=True)
    place.gitbatch(*SOME, code=0)
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


def test_another_name_of_the_branch_does_not_lead_around_a_check(three: Place) -> None:
    three.git("symbolic-ref", "refs/heads/master", "refs/heads/main")
    three.write("task.md", three.read("task.md") + "\nedited\n")
    said = three.gitbatch(*SOME, "--branch", "master", code=1).stderr
    assert "uncommitted changes in task.md" in said
    three.git("checkout", "-q", "task.md")
    (three.root / ".git/MERGE_HEAD").write_text(three.git("rev-parse", "HEAD") + "\n", encoding="ascii")
    said = three.gitbatch(*SOME, "--branch", "master", code=1).stderr
    assert "a merge is under way" in said
    assert three.git("for-each-ref", "refs/gitbatch") == ""


def with_context_checkout(place: Place) -> None:
    """An agent sees what its item reads, and git works where it is."""
    script = "ls -R | sort >$0; git status --porcelain >&2; git cat-file -e HEAD:tools/agent.sh && echo Done. All of it."
    place.edit("gitbatch.toml", "jobs = 4", 'jobs = 4\ncheckout = "context"')
    place.edit("gitbatch.toml", '"sh", "tools/agent.sh", ', f'"sh", "-c", "{script}", ')
    place.commit()


@pytest.mark.parametrize("name", ["a linked worktree", "a sparse checkout", "submodules"])
def test_a_context_checkout_works_too(three: Place, name: str) -> None:
    with_context_checkout(three)
    place = WORKING[name](three)
    before = place.git("status", "--porcelain", "--ignore-submodules=none")
    said = place.gitbatch(*SOME, code=0).stdout
    assert "!         T201: ?? out/pairs/ab.md" in said or "!         T201: ?? out/pairs/" in said
    assert "agent.sh" not in place.read("out/pairs/ab.md").split()
    assert {"a.md", "b.md", "rules.md"} <= set(place.read("out/pairs/ab.md").split())
    assert place.git("status", "--porcelain", "--ignore-submodules=none") == before
    assert len(audit(place).items) == 3


FORMATS = {"sha256": ("--object-format=sha256",), "reftable": ("--ref-format=reftable",)}


@pytest.mark.parametrize("checkout", ["full", "context"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.sample(2)
def test_other_formats(
    tmp_path: Path, environment: dict[str, str], fork_server: ForkServer, form: str, checkout: str
) -> None:
    place = Place(tmp_path / "repo", tmp_path / "home", environment, fork_server)
    place.root.mkdir()
    place.git("init", "-q", "-b", "main", *FORMATS[form], check=False)
    if not (place.root / ".git").exists():
        pytest.skip(f"this git has no {form}")
    shutil.copytree(SAMPLES / "three-groups", place.root, dirs_exist_ok=True)
    place.commit()
    if checkout == "context":
        with_context_checkout(place)
    place.gitbatch("run", "--items", "T101,T102,T201", "--checkpoint", "after-each", code=3)
    place.gitbatch("run", code=0)
    assert len(audit(place).items) == 3
    assert place.git("status", "--porcelain") == ""
    place.gitbatch("gc", "--keep", "0", code=0)
    assert place.git("fsck", "--strict", "--no-dangling") == ""


def test_spaces_and_unicode_in_every_path(
    tmp_path: Path, environment: dict[str, str], fork_server: ForkServer
) -> None:
    home = tmp_path / "Zu Hause 家 'q' \"d\" $x"
    (tmp_path / "home").rename(home)
    environment = {k: v.replace(str(tmp_path / "home"), str(home)) for k, v in environment.items()}
    place = Place(tmp_path / "mein Repo ü [x]* 'q' \"d\"", home, environment, fork_server)
    shutil.copytree(SAMPLES / "three-groups", place.root)
    place.git("init", "-q", "-b", "main")
    place.edit("task.md", "→ Output: out/letters/a.md", "→ Output: `out/ä ö/a b's.md`")
    place.edit("task.md", "context: out/letters/a.md, out/letters/b.md", "context: `out/ä ö/a b's.md`")
    place.edit("task.md", "context: out/letters/d.md, out/letters/a.md", "context: `out/ä ö/a b's.md`")
    place.commit()
    place.gitbatch(*SOME, code=0)
    assert len(audit(place).items) == 3
    assert (place.root / "out/ä ö/a b's.md").exists()
    assert place.git("status", "--porcelain") == ""


def test_an_output_with_a_filter_is_refused(three: Place) -> None:
    three.write(".gitattributes", "out/letters/a.md filter=lfs\n")
    three.commit()
    said = three.gitbatch("run", "--items", "T101,T102", "--checkpoint", "at-end", code=1).stdout
    assert "out/letters/a.md has the filter lfs (git attributes)" in said
    assert ticked(three) == ["T102"]


def test_a_git_folder_that_can_not_be_written_is_refused(three: Place) -> None:
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


def test_cache_that_cannot_be_written(three: Place) -> None:
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
