"""Objects against git itself: what we write, git reads the same."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.errors import GitError
from gitbatch.repo.objects.codec import Ident, TreeEntry, parse_ident, parse_tree, render_tree
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.process import Git

WHO = Ident("A <b> C", "a@b\n", 1_700_000_000)


@pytest.fixture
def objects(workspace: Workspace) -> Iterator[Objects]:
    made = Objects(Git(workspace.root), workspace.root / ".git/objects")
    yield made
    made.close()


@pytest.fixture
def tree(workspace: Workspace) -> str:
    workspace.write("a/b/c.txt", "c")
    workspace.write("a/d e.txt", "d")
    workspace.write("ü/ß.md", "s")
    workspace.write("z", "z")
    (workspace.root / "run").write_text("#!/bin/sh\n", encoding="utf-8")
    (workspace.root / "run").chmod(0o755)
    (workspace.root / "link").symlink_to("z")
    workspace.commit()
    return workspace.git("rev-parse", "HEAD^{tree}")


def test_a_tree_is_read_as_git_lists_it(workspace: Workspace, objects: Objects, tree: str) -> None:
    listed = workspace.git("ls-tree", "-r", "-z", tree).split("\0")[:-1]
    expected = [(line.split("\t")[1], *line.split("\t")[0].split(" ")[::2]) for line in listed]
    assert [(path, entry.mode, entry.oid) for path, entry in objects.list_files(tree)] == expected


@pytest.mark.parametrize(
    "path", ["a/b/c.txt", "a/b/new.txt", "new", "n/e/w.txt", "a/d e.txt", "ü/neu.md", "a.x", "a-x"]
)
def test_a_written_tree_is_the_base_plus_the_blob(
    workspace: Workspace, objects: Objects, tree: str, path: str
) -> None:
    blob = objects.write_blob(b"new\n")
    made = objects.write_tree(tree, {path: blob})
    objects.writer.flush()
    workspace.git("read-tree", tree)
    workspace.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    assert made == workspace.git("write-tree")


@pytest.mark.parametrize("path", ["a/b/a.txt", "a/a/a.txt", "a.x", "a-x"])
def test_a_written_folder_is_cached_in_the_order_of_git(objects: Objects, tree: str, path: str) -> None:
    made = objects.write_tree(tree, {path: objects.write_blob(b"new\n")})
    for part in (*path.split("/")[:-1], ""):
        assert tuple(objects.read_folder(made).values()) == objects.read_tree(made)
        made = objects.read_folder(made)[part].oid if part else ""


def test_modes_as_old_programs_wrote_them_are_read_as_git_reads_them(
    workspace: Workspace, objects: Objects, tree: str
) -> None:
    raw = subprocess.run(
        ["git", "cat-file", "tree", tree], cwd=workspace.root, capture_output=True, check=True
    ).stdout
    (workspace.root / "padded").write_bytes(raw.replace(b"40000 ", b"040000 "))
    padded = workspace.git("hash-object", "-t", "tree", "-w", "--literally", "padded")
    assert padded != tree
    blob = objects.write_blob(b"new\n")
    objects.writer.flush()
    for path in ("a/b/new.txt", "a-x"):
        workspace.git("read-tree", padded)
        workspace.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        assert objects.write_tree(padded, {path: blob}) == workspace.git("write-tree")


@pytest.mark.parametrize("gone", [("z",), ("a/b/c",), ("a/b/c", "z"), ("missing/x",), ("z/x",), ("a/b",)])
def test_a_file_that_is_taken_away_takes_its_empty_folder_along(
    workspace: Workspace, objects: Objects, tree: str, gone: tuple[str, ...]
) -> None:
    made = objects.write_tree(tree, dict.fromkeys(gone))
    objects.writer.flush()
    workspace.git("read-tree", tree)
    workspace.git("update-index", "--force-remove", "--", *gone)
    if gone == ("a/b",):  # git keeps the files of a folder, which here is taken as it is
        workspace.git("rm", "--cached", "-rqf", "--ignore-unmatch", "a/b")
    assert made == workspace.git("write-tree")


def test_a_tree_without_a_base(workspace: Workspace, objects: Objects) -> None:
    blob = objects.write_blob(b"x")
    made = objects.write_tree(None, {"a/b": blob, "a/c": blob, "d": blob})
    objects.writer.flush()
    assert workspace.git("ls-tree", "-r", "--name-only", made).split("\n") == ["a/b", "a/c", "d"]


def test_changes_are_what_diff_tree_says(workspace: Workspace, objects: Objects, tree: str) -> None:
    workspace.git("mv", "z", "y")
    workspace.git("rm", "-rq", "a/b")
    workspace.write("a/b", "now a file")
    workspace.write("ü/ß.md", "other")
    workspace.commit()
    new = workspace.git("rev-parse", "HEAD^{tree}")
    said = workspace.git("diff-tree", "-r", "--no-renames", "-z", tree, new).split("\0")[:-1]
    expected = {path: tuple(head.split(" ")[2:4]) for head, path in zip(said[::2], said[1::2], strict=True)}
    zero = "0" * 40
    found = {
        change.path: (change.old.oid if change.old else zero, change.new.oid if change.new else zero)
        for change in objects.diff_trees(tree, new)
    }
    assert found == expected
    assert list(objects.diff_trees(new, new)) == []


def test_entry_finds_files_folders_and_nothing(objects: Objects, tree: str) -> None:
    file, folder = objects.find_entry(tree, "a/b/c.txt"), objects.find_entry(tree, "a/b")
    assert file is not None
    assert file.is_file
    assert folder is not None
    assert folder.is_tree
    assert objects.find_entry(tree, "a/b/nothing") is None
    assert objects.find_entry(tree, "z/below/a/file") is None


def test_a_commit_comes_back_as_it_was_written(workspace: Workspace, objects: Objects, tree: str) -> None:
    parent = workspace.git("rev-parse", "HEAD")
    oid = objects.write_commit(tree, (parent,), "subject\n\nbody — ü\n", WHO, WHO)
    commit = objects.read_commit(oid)
    assert (commit.tree, commit.parents, commit.message) == (tree, (parent,), "subject\n\nbody — ü\n")
    assert parse_ident(commit.committer).when == WHO.when
    assert workspace.git("log", "-1", "--format=%an|%ae|%ct|%s", oid) == "A b C|a@b|1700000000|subject"
    workspace.git("branch", "made", oid)
    assert workspace.git("fsck", "--strict") == ""


def test_missing_and_mistaken_objects_are_errors(objects: Objects, tree: str) -> None:
    for name, read in (("0" * 40, objects.read_blob), (tree, objects.read_blob), (tree, objects.read_commit)):
        with pytest.raises(MissingObjectError):
            read(name)
    assert objects.read_tree(tree), "the process still answers"


def test_a_descriptor_is_read_by_git(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x00binary\r\n")
    with (tmp_path / "x").open("rb") as stream:
        assert objects.read_blob(objects.write_blob(stream.fileno())) == b"\x00binary\r\n"


def test_sha256_repositories_work(tmp_path: Path, environment: dict[str, str]) -> None:
    workspace = Workspace(tmp_path, tmp_path, environment)
    workspace.git("init", "-q", "--object-format=sha256", "-b", "main")
    objects = Objects(Git(tmp_path), tmp_path / ".git/objects", id_bytes=32)
    tree = objects.write_tree(None, {"a/b": objects.write_blob(b"x")})
    assert [path for path, _ in objects.list_files(tree)] == ["a/b"]
    objects.close()


def test_a_dead_git_is_an_error(objects: Objects, tree: str) -> None:
    os.utime(objects.folder / "pack", (1, 1))  # after a change of a moment ago it would be started again
    objects.read_tree(tree)
    process = objects._reader._process
    assert process is not None
    process.kill()
    process.wait()
    with pytest.raises(GitError):
        objects.read_tree(tree)


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_a_blob_flows_into_a_file(objects: Objects, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    blob = objects.write_blob(content)
    for name in ("one", "two"):
        with (tmp_path / name).open("wb") as file:
            objects.copy_to_fd(blob, file.fileno())
        assert (tmp_path / name).read_bytes() == content


def test_what_git_says_of_a_blob_is_read_by_few_calls(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(objects.folder / "pack", (1, 1))  # a change of a moment ago would end the process
    blob, read = objects.write_blob(b"x" * 3000), os.read
    calls: list[int] = []

    def note_read(descriptor: int, size: int) -> bytes:
        calls.append(size)
        return read(descriptor, size)

    objects.start_copying()
    monkeypatch.setattr("gitbatch.repo.pipe.os.read", note_read)
    with (tmp_path / "x").open("wb") as file:
        objects.copy_to_fd(blob, file.fileno())
    assert len(calls) == 4, "the first line up to one digit, three digits and its end"


def test_processes_that_copy_can_start_early(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first file that is copied, and the first that is compared, wait for no start of git."""
    os.utime(objects.folder / "pack", (1, 1))  # a change of a moment ago would end them
    blob = objects.write_blob(b"content")
    objects.start_copying()
    monkeypatch.setattr(Git, "start", lambda *_, **__: pytest.fail("another one starts"))
    with (tmp_path / "x").open("wb+") as file:
        objects.copy_to_fd(blob, file.fileno())
        assert objects.writer.hash_fd(file.fileno()) == blob


def test_a_blob_flows_where_there_is_no_splice(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_source: int, target: int, _count: int) -> int:
        os.write(target, b"a beginning")
        raise OSError(errno.EINVAL, "not here")

    monkeypatch.setattr("gitbatch.repo.pipe.os.splice", refused)
    blob = objects.write_blob(b"content")
    with (tmp_path / "x").open("wb") as file:
        objects.copy_to_fd(blob, file.fileno())
    assert (tmp_path / "x").read_bytes() == b"content"


def test_what_is_no_blob_does_not_flow(objects: Objects, tree: str, tmp_path: Path) -> None:
    for name in ("0" * 40, tree):
        with (tmp_path / "x").open("wb") as file, pytest.raises(MissingObjectError):
            objects.copy_to_fd(name, file.fileno())
    with (tmp_path / "x").open("wb") as file:
        objects.copy_to_fd(objects.write_blob(b"after it"), file.fileno())
    assert (tmp_path / "x").read_bytes() == b"after it"


def test_a_folder_is_read_once_to_find_entries_and_anew_to_see_what_is_there(
    workspace: Workspace, objects: Objects, tree: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert objects.find_entry(tree, "a/b/c.txt") == objects.find_entry(tree, "a/b/c.txt")
    monkeypatch.setattr("gitbatch.repo.objects.reader._CACHED_ENTRIES", 8)
    for _ in range(3):
        assert [
            objects.find_entry(tree, path) is not None for path in ("z", "a/d e.txt", "ü/ß.md", "ü/no")
        ] == [
            True,
            True,
            True,
            False,
        ]
        assert sum(map(len, objects._folders.values())) <= 8
    monkeypatch.undo()
    assert objects.find_entry(tree, "ü/ß.md")
    folder = workspace.git("rev-parse", f"{tree}:ü")
    (workspace.root / ".git" / "objects" / folder[:2] / folder[2:]).unlink()
    assert objects.find_entry(tree, "ü/ß.md")
    with pytest.raises(MissingObjectError):
        list(objects.list_files(tree))
    with pytest.raises(MissingObjectError):
        list(objects.diff_trees("", tree))


@pytest.mark.parametrize("id_bytes", [20, 32])
def test_entries_of_trees_have_any_bytes_and_no_other_form(id_bytes: int) -> None:
    """Ids with bytes that end names and lines; whatever does not fit is an error, and never left out."""
    ids = [bytes([byte]) * id_bytes for byte in (0, 10, 32, 48, 255)]
    entries = [TreeEntry("100644", f"\n 1 {number}", oid.hex()) for number, oid in enumerate(ids)]
    content = render_tree(entries)
    assert list(parse_tree(content, id_bytes)) == entries
    assert next(parse_tree(b"0" + content, id_bytes)) == entries[0]
    unknown = (mode + b" name\0" + ids[0] for mode in (b"", b"10064x", b"\xff"))
    for spoilt in (content[:-1], content + b"x", b"no entry", *unknown, b"100644 \0" + ids[0]):
        with pytest.raises(GitError, match="not an entry"):
            list(parse_tree(spoilt, id_bytes))
