"""Storing objects: each has git's name for it at once, and is there when it was waited for, whatever happens to gits."""

import errno
import hashlib
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.errors import GitbatchError, GitError
from gitbatch.repo.objects.codec import compute_id
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.objects.writer import Writer
from gitbatch.repo.opening import open_repository
from gitbatch.repo.pipe import Pipe
from gitbatch.repo.process import Git

COMMIT = b"tree %s\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n%d\n"


@pytest.fixture
def writer(workspace: Workspace) -> Iterator[Writer]:
    os.utime(workspace.root / ".git/objects/pack", (1, 1))  # a change of a moment ago would end its processes
    made = Writer(Git(workspace.root), workspace.root / ".git/objects", 20)
    yield made
    made.close()


def there(workspace: Workspace, oids: list[str]) -> list[str]:
    """The kind of each object, as another git sees it."""
    return [workspace.git("cat-file", "-t", oid, check=False) for oid in oids]


def some(writer: Writer, count: int) -> list[str]:
    """Blobs, trees and commits in turn."""
    made = []
    for number in range(count):
        blob = writer.write("blob", b"%d" % number)
        tree = writer.write("tree", b"100644 file\0" + bytes.fromhex(blob))
        made += [blob, tree, writer.write("commit", COMMIT % (tree.encode(), number))]
    return made


KINDS = ["blob", "tree", "commit"]


def test_an_object_has_its_name_at_once_and_is_there_when_it_was_waited_for(
    workspace: Workspace, writer: Writer
) -> None:
    made = some(writer, 40)
    writer.flush()
    assert there(workspace, made[:3] + made[-3:]) == KINDS * 2
    assert len(set(made)) == 120
    workspace.git("fsck", "--strict", "--no-dangling")


@pytest.mark.parametrize("content", [b"", b"\0\r\n", b"x" * 3_000_000], ids=["empty", "binary", "large"])
def test_a_name_is_the_one_that_git_has_for_it(workspace: Workspace, writer: Writer, content: bytes) -> None:
    (workspace.root / "file").write_bytes(content)
    assert writer.write("blob", content) == workspace.git("hash-object", "--no-filters", "file")
    writer.flush()


def take(workspace: Workspace, writer: Writer, content: str) -> str:
    """The id of an agent's output, which only git reads."""
    workspace.write("z", content)
    with (workspace.root / "z").open("rb") as file:
        return writer.write_fd(file.fileno())


def test_one_git_stays_open_for_outputs_and_none_is_needed_for_the_rest(
    workspace: Workspace, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, ...]] = []
    start = Git.start

    def noted(git: Git, *arguments: str, buffered: bool = True) -> subprocess.Popen[bytes]:
        started.append(arguments)
        return start(git, *arguments, buffered=buffered)

    monkeypatch.setattr(Git, "start", noted)
    some(writer, 10)
    writer.sync()
    assert not started
    assert take(workspace, writer, "z") == writer.write("blob", b"z")
    take(workspace, writer, "y")
    assert len(started) == 1


def test_a_process_that_starts_early_is_used(
    workspace: Workspace, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the repository has a pack, whose change would end it."""
    workspace.write("z", "z")
    workspace.commit()
    workspace.git("repack", "-dq")
    os.utime(workspace.root / ".git/objects/pack", (1, 1))
    writer.start()
    monkeypatch.setattr(Git, "start", lambda *_, **__: pytest.fail("another one starts"))
    assert there(workspace, [take(workspace, writer, "new")]) == ["blob"]


def end(pipe: Pipe) -> None:
    process = pipe._process
    assert process is not None
    process.kill()
    process.wait()


def test_what_a_killed_git_had_to_store_is_stored_all_the_same(workspace: Workspace, writer: Writer) -> None:
    take(workspace, writer, "one")
    end(writer._storer)
    made = [take(workspace, writer, "two"), take(workspace, writer, "three")]
    assert there(workspace, made) == ["blob", "blob"]


def test_a_git_that_does_not_start_again_is_an_error(
    workspace: Workspace, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(workspace, writer, "one")
    end(writer._storer)
    monkeypatch.setenv("PATH", str(workspace.root / "nothing"))
    with pytest.raises(GitbatchError, match="git was not found"):
        take(workspace, writer, "two")


def some_flushed(writer: Writer) -> list[str]:
    made = some(writer, 1)
    writer.flush()
    return made


def test_where_there_is_no_proc_an_output_is_stored_too(
    workspace: Workspace, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitbatch.repo.objects.writer.os.getpid", lambda: 2**22 + 1)  # of no process
    assert there(workspace, [take(workspace, writer, "z")]) == ["blob"]


def test_nothing_stays_open_of_what_was_not_waited_for(writer: Writer) -> None:
    before = open_descriptors()
    some(writer, 5)
    writer.close()
    assert open_descriptors() == before


def open_descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def test_names_of_a_sha256_repository_are_that(tmp_path: Path, environment: dict[str, str]) -> None:
    workspace = Workspace(tmp_path, tmp_path, environment)
    workspace.git("init", "-q", "--object-format=sha256", "-b", "main")
    writer = Writer(Git(tmp_path), tmp_path / ".git/objects", 32)
    assert writer.write("blob", b"x") == hashlib.sha256(b"blob 1\0x").hexdigest()
    writer.flush()
    writer.close()


def test_what_a_pack_had_that_is_gone_is_written_anew(workspace: Workspace) -> None:
    """An open git remembers packs: it would say that an object is there which `git gc` has pruned with its pack.

    Also if something of ours is written in between, which no git is asked about.
    """
    objects = Objects(Git(workspace.root), workspace.root / ".git/objects")
    workspace.write("one", "one\n")
    workspace.write("two", "two\n")
    workspace.commit("lost")
    workspace.git("repack", "-adq")
    workspace.git("update-ref", "-d", "HEAD")
    workspace.git("reflog", "expire", "--expire=now", "--all")
    one = take(workspace, objects.writer, "one\n")
    assert objects.is_blob(one)
    workspace.git("rm", "-rq", "--cached", ".")
    workspace.git("gc", "--prune=now", "--quiet")
    objects.writer.sync()
    objects.write_blob(b"ours\n")
    two = take(workspace, objects.writer, "two\n")
    objects.writer.flush()
    assert workspace.git("cat-file", "-t", two) == "blob"
    assert objects.find_missing((one, two)) == (one,)
    objects.close()


def test_a_pack_that_goes_in_the_moment_in_which_another_comes(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`git repack -d` does that: the folder keeps its time. Else an object whose second name is there would not be restored."""
    objects, pack = (
        Objects(Git(workspace.root), workspace.root / ".git/objects"),
        workspace.root / ".git/objects/pack",
    )
    workspace.write("one", "one\n")
    workspace.commit("lost")
    blob = workspace.git("rev-parse", "HEAD:one").strip()
    workspace.git("repack", "-adq")
    moment = pack.stat().st_mtime_ns
    clock = count(moment)
    monkeypatch.setattr("time.time_ns", lambda: next(clock))
    assert objects.find_missing((blob,)) == ()
    for file in pack.iterdir():
        file.unlink()
    os.utime(pack, ns=(moment, moment))
    assert objects.find_missing((blob,)) == (blob,)
    monkeypatch.setattr("time.time_ns", lambda: moment + 1_000_000_000)
    assert objects.find_missing((blob,)) == (blob,)
    reader = objects._reader._process
    assert objects.find_missing((blob,)) == (blob,)
    assert objects._reader._process is reader, "a pack that came a while ago restarts nothing"
    objects.close()


def test_where_no_more_descriptors_are_to_be_had_nothing_gets_out_of_step(
    workspace: Workspace, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_more: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    writer.write("blob", b"first")
    with monkeypatch.context() as patch:
        patch.setattr("gitbatch.repo.objects.loose.os.open", refuse)
        with pytest.raises(GitError, match="Too many"):
            writer.flush()
    assert take(workspace, writer, "the output") == workspace.git("hash-object", "z")
    assert there(workspace, some_flushed(writer)) == KINDS


def fail_to_store(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("gitbatch.repo.objects.loose.sync_contents", lambda _: os.fsync(2**30))
        with pytest.raises(GitError, match="Bad file descriptor"):
            writer.flush()


@pytest.mark.parametrize("way", ["a ref", "a tree", "a commit", "a reader"])
def test_what_could_not_be_stored_is_stored_before_something_refers_to_it(
    workspace: Workspace, writer: Writer, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The error may be raised where another object is stored, so that who wrote it does not know."""
    blob = writer.write("blob", b"one")
    entry = b"100644 file\0" + bytes.fromhex(blob)
    tree = compute_id("tree", entry, 20)
    if way != "a tree":
        writer.write("tree", entry)
    fail_to_store(writer, monkeypatch)
    writer.flush()
    assert there(workspace, [blob]) == [""], "what nothing refers to holds up nothing"
    if way == "a ref":
        writer.sync(tree)
    else:
        if way != "a reader":
            writer.write(
                way.rsplit(maxsplit=1)[-1], entry if way == "a tree" else COMMIT % (tree.encode(), 1)
            )
        writer.flush(tree if way == "a reader" else "")
    assert there(workspace, [blob, tree]) == KINDS[:2]


def test_many_that_could_not_be_stored_are_not_open_all_at_once(
    workspace: Workspace, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after hours without room on the disk: the limit of open files must not be in the way of a better time."""
    made = []
    for number in range(6):
        made += [writer.write("blob", b"%d %d" % (number, other)) for other in range(10)]
        fail_to_store(writer, monkeypatch)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(int(each.name) for each in Path("/dev/fd").iterdir()) + 30, limits[1])
    )
    try:
        writer.sync(made[0])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert there(workspace, made[::59]) == ["blob", "blob"]
    (writer.folder / made[0][:2] / made[0][2:]).unlink()
    writer.flush(made[0])
    assert there(workspace, made[:1]) == [""], "what was stored is not kept in memory"


def test_a_ref_never_gets_a_commit_whose_tree_could_not_be_stored(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.write("one", "one\n")
    workspace.commit()
    with closing(open_repository(workspace.root)) as repo:
        writer = repo.objects.writer
        for number, ref in enumerate(("refs/gitbatch/b/moved", "refs/gitbatch/b/pointed"), 1):
            tree, commit = some(writer, number)[-2:]
            fail_to_store(writer, monkeypatch)
            if ref.endswith("moved"):
                assert repo.commit_point(ref, commit, None, "test")
            else:
                repo.point(ref, commit)
            assert workspace.git("rev-parse", f"{ref}^{{tree}}") == tree
    workspace.git("fsck", "--strict", "--no-dangling")


def test_few_objects_wait_and_no_large_one(workspace: Workspace, writer: Writer) -> None:
    large = writer.write("blob", b"x" * 100_000)
    assert there(workspace, [large]) == ["blob"]
    made = [writer.write("blob", b"%d" % number) for number in range(40)]
    assert "blob" in there(workspace, made[:1])
    before = open_descriptors()
    writer.flush()
    assert open_descriptors() == before
