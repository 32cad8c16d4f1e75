"""Which commit is an item's: compared with what git itself finds to be different, for trees of all kinds."""

import os
import random
import zlib

import pytest
from conftest import Workspace
from msgspec.structs import replace

from gitbatch.batch.history.item_commits import (
    as_item_commit,
    check_new_commit,
    parse_item_commit,
    read_item_commit,
)
from gitbatch.batch.model import BatchItem
from gitbatch.repo.objects.codec import Commit, Ident
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.pipe import Pipe
from gitbatch.repo.repository import Repository

LONG = os.environ.get("GITBATCH_FAULTS") == "long"
BATCH = "20260102-030405-abcd"
OUTPUT = "out/deep/page.md"
PATHS = (OUTPUT, "out/deep/page.md/x", "out/deep/other", "out/deep", "out", "out/a", "top", "outer", "z/y")
MODES = ("100644", "100755", "120000", "160000")


def random_tree(
    repo: Repository, chance: random.Random, base: dict[str, tuple[str, str]]
) -> dict[str, tuple[str, str]]:
    """A tree as paths with mode and id: another one with a few changes; no path is below a file."""
    files = dict(base)
    for _ in range(chance.choice((0, 1, 1, 1, 2))):
        path = OUTPUT if chance.random() < 0.6 else chance.choice(PATHS)
        clash = [p for p in files if p.startswith(f"{path}/") or path.startswith(f"{p}/")]
        for name in (*clash, path):
            files.pop(name, None)
        if chance.random() < 0.85:
            mode = "100644" if chance.random() < 0.6 else chance.choice(MODES)
            files[path] = (mode, repo.objects.write_blob(chance.choice((b"1", b"2", b"3"))))
    return files


def write(workspace: Workspace, repo: Repository, files: dict[str, tuple[str, str]]) -> str:
    """Store a tree with git's own index."""
    repo.objects.writer.flush()
    git = repo.git.in_directory(workspace.root, GIT_INDEX_FILE=str(workspace.root / ".git/index.test"))
    git.run("read-tree", "--empty")
    lines = "".join(f"{mode} {oid} 0\t{path}\n" for path, (mode, oid) in files.items())
    git.run("update-index", "--index-info", input=lines.encode())
    return git.read_output("write-tree")


def is_items(workspace: Workspace, old: str, new: str) -> bool:
    """What git says: one path differs, and it is the output, a regular file now, and was a file or nothing."""
    lines = workspace.git("diff-tree", "-r", "--no-renames", "--no-abbrev", old, new).splitlines()
    if len(lines) != 1:
        return False
    head, _, path = lines[0].partition("\t")
    return path == OUTPUT and head.split(" ")[1] == "100644"


def test_an_item_commit_is_what_git_says(workspace: Workspace, repo: Repository) -> None:
    chance = random.Random(7)  # noqa: S311 - the same trees each time
    who = "A <a@example.org> 1 +0000"
    found = {True: 0, False: 0}
    trees = 250 if LONG else 30
    for number in range(trees):
        before = random_tree(
            repo, chance, random_tree(repo, chance, {"top": ("100644", repo.objects.write_blob(b"1"))})
        )
        after = random_tree(repo, chance, before)
        old, new = write(workspace, repo, before), write(workspace, repo, after)
        parents = [
            workspace.git("commit-tree", old, "-m", f"{number} {n}")
            for n in range(chance.choice((0, 1, 1, 1, 1, 1, 2)))
        ]
        oid = workspace.git("commit-tree", new, *(part for p in parents for part in ("-p", p)), "-m", who)
        made = as_item_commit(repo.objects, repo.objects.read_commit(oid), OUTPUT)
        wanted = len(parents) == 1 and is_items(workspace, old, new)
        assert (made is not None) is wanted, workspace.git("diff-tree", "-r", old, new)
        found[wanted] += 1
        if made:
            below = workspace.git(
                "rev-parse", f"{oid}^{{tree}}", f"{oid}:out", f"{oid}:out/deep", f"{oid}:{OUTPUT}"
            ).splitlines()
            assert (made, made.base, [*made.trees, made.blob]) == (oid, parents[0], below)
    assert min(found.values()) > trees / 12, found


def hand_made(workspace: Workspace, repo: Repository, *entries: tuple[str, str, str]) -> str:
    """A tree as it stands there, whether git would have written it or not: mode, name and id of each entry."""
    data = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(oid) for mode, name, oid in entries)
    git = repo.git.in_directory(workspace.root)
    return (
        git.run("hash-object", "-t", "tree", "-w", "--literally", "--stdin", input=data)
        .stdout.decode()
        .strip()
    )


@pytest.mark.parametrize(
    "what",
    [
        "plain",
        "file twice",
        "folder twice",
        "file and folder",
        "output twice",
        "not in order",
        "no blob",
        "path as name",
    ],
)
def test_a_tree_that_git_would_not_have_written_is_no_items(
    workspace: Workspace, repo: Repository, what: str
) -> None:
    one, two = (repo.objects.write_blob(content) for content in (b"1", b"2"))
    repo.objects.writer.flush()

    def tree(*entries: tuple[str, str, str]) -> str:
        return hand_made(workspace, repo, *entries)

    base = tree(("100644", "a", one), ("40000", "d", tree(("100644", "y", one))))
    folder = tree(("100644", "x", two), ("100644", "y", one))
    a, d = ("100644", "a", one), ("40000", "d", folder)
    new = {
        "plain": lambda: tree(a, d),
        "file twice": lambda: tree(("100644", "a", two), a, d),
        "folder twice": lambda: tree(a, ("40000", "d", tree(("100644", "evil", one))), d),
        "file and folder": lambda: tree(a, ("100644", "d", one), d),
        "output twice": lambda: tree(
            a, ("40000", "d", tree(("100644", "x", one), ("100644", "x", two), ("100644", "y", one)))
        ),
        "not in order": lambda: tree(d, a),
        "no blob": lambda: tree(a, ("40000", "d", tree(("100644", "x", folder), ("100644", "y", one)))),
        "path as name": lambda: tree(a, ("40000", "d", tree(("100644", "y", one))), ("100644", "d/x", two)),
    }[what]()
    parent = workspace.git("commit-tree", base, "-m", "base")
    batch = BATCH
    told = f"Batch: {batch}|Group: 1 g|Item: d/x|Agent: a|Attempt: 1|Seconds: 0.1".split("|")
    message = "gitbatch: x\n\n" + "".join(f"Gitbatch-{line}\n" for line in told)
    oid = workspace.git("commit-tree", new, "-p", parent, "-m", message)
    item = BatchItem("d/x", "x", "Write x", "1-x", 1)
    assert (read_item_commit(repo, batch, item, oid) is not None) is (what == "plain")


def test_a_commit_whose_tree_is_gone_is_no_item(workspace: Workspace, repo: Repository) -> None:
    base = workspace.git("rev-parse", "HEAD")
    tree = repo.objects.write_tree(repo.objects.tree_of(base), {OUTPUT: repo.objects.write_blob(b"x")})
    repo.objects.writer.flush()
    oid = workspace.git("commit-tree", tree, "-p", base, "-m", "x")
    lost = workspace.git("rev-parse", f"{oid}:out/deep")
    (workspace.root / ".git/objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(MissingObjectError):
        as_item_commit(repo.objects, repo.objects.read_commit(oid), OUTPUT)


def store_item_commit(
    workspace: Workspace, repo: Repository, item: BatchItem, files: dict[str, str | None]
) -> Commit:
    """A commit that names an item, as this process stores it: with files changed in the tree of HEAD."""
    base = workspace.git("rev-parse", "HEAD")
    tree = repo.objects.write_tree(repo.objects.tree_of(base), files)
    told = f"Batch: {BATCH}|Group: {item.group} g|Item: {item.output}|Agent: a|Attempt: 1|Seconds: 0.1".split(
        "|"
    )
    message = "gitbatch: x\n\n" + "".join(f"Gitbatch-{line}\n" for line in told)
    who = Ident("A", "a@example.org", 1)
    oid = repo.objects.write_commit(tree, (base,), message, who, who)
    return Commit(oid, tree, (base,), who.render(), who.render(), False, message)


def test_a_commit_of_ours_is_checked_as_it_was_stored(workspace: Workspace, repo: Repository) -> None:
    item, other = (BatchItem(OUTPUT, "x", "Write x", "1-x", group) for group in (1, 2))
    one = repo.objects.write_blob(b"1")
    commit = store_item_commit(workspace, repo, item, {OUTPUT: one})
    made = check_new_commit(repo, BATCH, item, commit)
    read = read_item_commit(repo, BATCH, item, commit.oid)
    assert made
    assert read
    assert read.commit
    assert (made, made.base, made.trees, made.blob) == (
        read.commit,
        read.commit.base,
        read.commit.trees,
        read.commit.blob,
    )
    assert check_new_commit(repo, BATCH, other, commit) is None  # it names another item
    more = store_item_commit(workspace, repo, item, {OUTPUT: one, "out/a": one})
    assert check_new_commit(repo, BATCH, item, more) is None
    same = store_item_commit(workspace, repo, item, {})
    assert check_new_commit(repo, BATCH, item, same) is None


@pytest.mark.parametrize("message", ["x", "x\n\nGitbatch-Batch: 20260102-030405-abcd"])
def test_a_commit_of_another_kind_is_no_item(workspace: Workspace, repo: Repository, message: str) -> None:
    item = BatchItem(OUTPUT, "x", "Write x", "1-x", 1)
    commit = store_item_commit(workspace, repo, item, {OUTPUT: repo.objects.write_blob(b"1")})
    assert check_new_commit(repo, BATCH, item, replace(commit, message=message)) is None
    assert parse_item_commit(BATCH, item, replace(commit, message=message)) is None


@pytest.mark.parametrize("number", range(5))
def test_a_commit_of_ours_that_lost_an_object_is_no_item(
    workspace: Workspace, repo: Repository, number: int
) -> None:
    item = BatchItem(OUTPUT, "x", "Write x", "1-x", 1)
    commit = store_item_commit(workspace, repo, item, {OUTPUT: repo.objects.write_blob(b"1")})
    made = check_new_commit(repo, BATCH, item, commit)
    assert made
    lost = (made, *made.trees, made.blob)[number]
    (workspace.root / ".git/objects" / lost[:2] / lost[2:]).unlink()
    assert check_new_commit(repo, BATCH, item, commit) is None


def test_a_commit_of_ours_with_a_part_of_another_content_is_no_item(
    workspace: Workspace, repo: Repository
) -> None:
    """git takes an object for stored if there is a file with its name: a forged one is no better than none."""
    item = BatchItem(OUTPUT, "x", "Write x", "1-x", 1)
    blob = repo.objects.write_blob(b"1")
    commit = store_item_commit(workspace, repo, item, {OUTPUT: blob})
    made = check_new_commit(repo, BATCH, item, commit)
    assert made
    for oid, kind in ((made, b"commit"), *((tree, b"tree") for tree in made.trees)):
        file = workspace.root / ".git/objects" / oid[:2] / oid[2:]
        kept = file.rename(file.with_suffix(".kept"))
        content = b"100644 evil\0" + bytes.fromhex(blob)
        file.write_bytes(zlib.compress(b"%s %d\0" % (kind, len(content)) + content))
        assert store_item_commit(workspace, repo, item, {OUTPUT: blob}) == commit
        assert check_new_commit(repo, BATCH, item, commit) is None
        kept.replace(file)
        assert check_new_commit(repo, BATCH, item, commit) == made


def test_a_commit_of_ours_whose_tree_is_gone_and_not_cached_is_no_item(
    workspace: Workspace, repo: Repository
) -> None:
    item = BatchItem(OUTPUT, "x", "Write x", "1-x", 1)
    commit = store_item_commit(workspace, repo, item, {OUTPUT: repo.objects.write_blob(b"1")})
    repo.objects.writer.flush()
    repo.objects._folders.clear()
    (workspace.root / ".git/objects" / commit.tree[:2] / commit.tree[2:]).unlink()
    assert check_new_commit(repo, BATCH, item, commit) is None


def test_a_commit_of_ours_whose_output_is_a_folder_is_no_item(workspace: Workspace, repo: Repository) -> None:
    item = BatchItem(OUTPUT, "x", "Write x", "1-x", 1)
    folder = repo.objects.write_tree(None, {"x": repo.objects.write_blob(b"1")})
    commit = store_item_commit(workspace, repo, item, {OUTPUT: folder})
    assert check_new_commit(repo, BATCH, item, commit) is None


def test_a_commit_of_ours_is_checked_by_one_question(
    workspace: Workspace, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = BatchItem(OUTPUT, "x", "Write x", "1-x", 1)
    commit = store_item_commit(workspace, repo, item, {OUTPUT: repo.objects.write_blob(b"1")})
    repo.objects.writer.flush()
    asked: list[bytes] = []
    send = Pipe.send

    def note(pipe: Pipe, query: bytes) -> None:
        asked.append(query)
        send(pipe, query)

    monkeypatch.setattr(Pipe, "send", note)
    assert check_new_commit(repo, BATCH, item, commit)
    assert len(asked) == 1
