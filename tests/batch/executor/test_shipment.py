"""What travels to a worker: exactly the objects of a worktree, and each of them once."""

import asyncio
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from conftest import Workspace
from msgspec.structs import replace

from gitbatch.batch.executor.messages import PackEnd, PackPart, ToWorker, Welcome
from gitbatch.batch.executor.object_sender import ObjectSender, SmallPacks
from gitbatch.batch.executor.shipment import HaveSet, plan_shipment, write_pack
from gitbatch.batch.worker.repository_copy import RepositoryCopy, open_repository_copy
from gitbatch.batch.workplace.kinds import WorktreeKind
from gitbatch.batch.workplace.local import LocalWorkplaces, make_worktree
from gitbatch.batch.workplace.protocol import WorkplaceSetup
from gitbatch.concurrency import GitThread
from gitbatch.repo.objects.codec import compute_id
from gitbatch.repo.objects.pack import FEW_BYTES, parse_pack
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.sparse import list_wanted_objects

if TYPE_CHECKING:
    from gitbatch.batch.executor.carrier import WorkerChannel

FILES = {
    "a.txt": "a\n",
    ".gitattributes": "*.md text\n",
    "docs/guide.md": "guide\n",
    "docs/deep/er/x.md": "x\n",
    "docs/deep/.gitattributes": "x.md eol=lf\n",
    "src/main.py": "print()\n",
    "src/other.py": "pass\n",
}


@pytest.fixture
def filled(repo: Repository, workspace: Workspace) -> Repository:
    for path, text in FILES.items():
        workspace.write(path, text)
    (workspace.root / "link").symlink_to("a.txt")
    workspace.commit("files")
    return repo


def setup_of(repo: Repository, paths: tuple[str, ...] | None, earlier: str | None = None) -> WorkplaceSetup:
    head = repo.refs.commit("HEAD") or ""
    tree = repo.objects.tree_of(head)
    return WorkplaceSetup("refs/heads/gitbatch/b/1-a", head, tree, "docs/deep/out.md", paths, (), earlier)


def names_of(repo: Repository, oids: tuple[str, ...]) -> set[str]:
    """The objects as git names them."""
    listed = repo.git.read_output("rev-list", "--objects", "--no-object-names", "HEAD").splitlines()
    assert set(oids) <= set(listed)
    named = repo.git.read_output("ls-tree", "-r", "-t", "HEAD").splitlines()
    paths = {line.split()[2]: line.partition("\t")[2] for line in named}
    head = repo.refs.commit("HEAD") or ""
    return {paths.get(oid, "commit" if oid == head else "tree") for oid in oids}


def test_context_is_sent_with_the_trees_on_the_way(filled: Repository) -> None:
    have = HaveSet()
    setup = setup_of(filled, ("docs/guide.md", "src/", "missing.md"))
    first = plan_shipment(filled.objects, setup, have)
    assert names_of(filled, first.oids) == {
        *(
            "commit",
            "tree",
            ".gitattributes",
            "docs",
            "docs/guide.md",
            "docs/deep",
            "docs/deep/.gitattributes",
        ),
        *("src", "src/main.py", "src/other.py"),
    }
    have.note_shipment(first)
    assert plan_shipment(filled.objects, setup, have).oids == ()
    more = plan_shipment(filled.objects, setup_of(filled, ("src/", "a.txt")), have)
    assert names_of(filled, more.oids) == {"a.txt"}


def test_whole_checkout_is_sent_once_and_then_what_changed(filled: Repository, workspace: Workspace) -> None:
    have = HaveSet()
    first = plan_shipment(filled.objects, setup_of(filled, None), have)
    everything = workspace.git("ls-tree", "-r", "-t", "--format=%(objectname)", "HEAD").split()
    assert set(first.oids) == {
        *everything,
        workspace.git("rev-parse", "HEAD"),
        workspace.git("rev-parse", "HEAD^{tree}"),
    }
    have.note_shipment(first)
    workspace.write("src/main.py", "changed\n")
    workspace.commit("change")
    second = plan_shipment(filled.objects, setup_of(filled, None), have)
    # The blob next to it comes along: of a whole checkout, trees are remembered.
    assert names_of(filled, second.oids) == {"commit", "tree", "src", "src/main.py", "src/other.py", *_TOP}


_TOP = ("a.txt", ".gitattributes", "link")


@pytest.mark.parametrize("paths", [None, ("docs/guide.md", "src/", "link"), ()], ids=["full", "some", "none"])
def test_worktree_of_what_was_sent_is_that_of_a_local_run(
    filled: Repository,
    tmp_path: Path,
    workspace: Workspace,
    paths: tuple[str, ...] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Byte for byte, in a copy that has nothing else; git works in it. A large pack is stored by git."""
    earlier = filled.objects.write_blob(b"earlier\n")
    setup = setup_of(filled, paths, earlier)
    shipment = plan_shipment(filled.objects, setup, HaveSet())
    git, asked = GitThread(), list[int | None]()

    def find_kind(files: int | None) -> WorktreeKind:
        asked.append(files)
        return WorktreeKind.COPY

    welcome = Welcome(
        1, "1", "0" * 16, "sha1", (("core.fsmonitor", "touch /tmp/x"), ("core.symlinks", "true"))
    )
    with (
        tempfile.TemporaryFile() as pack,
        open_repository_copy(tmp_path / "far", welcome, git, find_kind, tmp_path) as workspaces,
    ):
        if paths is None:
            write_pack(filled, shipment.oids, pack.fileno())
            monkeypatch.setattr("gitbatch.batch.worker.repository_copy.FEW_BYTES", 8)
        else:
            pack.write(SmallPacks(filled.objects).make_pack(shipment.oids) or b"")
        workspaces.store_pack(pack)
        far = _make(workspaces, setup)
        assert _make(workspaces, setup, "again").parent == far.parent
        few = len(tuple(list_wanted_objects(filled.objects, setup.tree, paths or ())))
        assert asked == [
            None if paths is None else few
        ]  # the kind is that of a local run; it is looked for once
        found = {str(path.relative_to(far)) for path in far.rglob("*") if path.is_symlink() or path.is_file()}
        expected = {path for path in (*FILES, "link") if paths is None or path.startswith(paths)}
        assert found == {*expected, "docs/deep/out.md", ".git"}
        assert all((far / name).read_text() == FILES[name] for name in expected - {"link"})
        assert (far / "docs/deep/out.md").read_text() == "earlier\n"
        assert ("link" in expected) == (paths != ())
        inside = {**workspace.environment, "HOME": str(tmp_path)}
        said = subprocess.run(
            ["git", "log", "--oneline"], cwd=far, env=inside, capture_output=True, check=True
        )
        assert said.stdout.endswith(b" files\n")
        assert b"fsmonitor" not in (workspaces.repo.common_dir / "config").read_bytes()
    git.close()
    assert not list((tmp_path / "far/work").iterdir())


def _make(places: RepositoryCopy, setup: WorkplaceSetup, name: str = "tree") -> Path:
    supply = places._open_base(setup).workplaces
    assert isinstance(supply, LocalWorkplaces)
    path = supply.folder / name
    make_worktree(supply, path, replace(setup, branch=f"{setup.branch}-{name}"))
    return path


def test_small_packs_remember_little(filled: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is common to all workers is read once; many or large objects are left to git."""
    packs, oids = (
        SmallPacks(filled.objects),
        plan_shipment(filled.objects, setup_of(filled, ()), HaveSet()).oids,
    )
    made = packs.make_pack(oids)
    monkeypatch.setattr(filled.objects.__class__, "read_few", lambda *_: None)
    assert packs.make_pack(oids) == made is not None
    assert packs.make_pack((*oids, "1" * 40)) is None
    assert packs.make_pack(oids * 100) is None
    monkeypatch.undo()
    monkeypatch.setattr("gitbatch.batch.executor.object_sender.FEW_BYTES", 1)
    assert SmallPacks(filled.objects).make_pack(oids) is None


@pytest.mark.parametrize("most", [FEW_BYTES, 1], ids=["small", "large"])
def test_objects_are_sent_once(
    filled: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Those of a small pack as those of a large one, which git makes, in parts that a message may have."""
    monkeypatch.setattr("gitbatch.batch.executor.object_sender.FEW_BYTES", most)
    monkeypatch.setattr("gitbatch.batch.executor.object_sender.CHUNK_BYTES", 100)
    setup, have, sent = setup_of(filled, ("src/",)), HaveSet(), list[ToWorker]()
    lacking = plan_shipment(filled.objects, setup, have).oids

    class Channel:
        async def send(self, message: ToWorker) -> None:
            sent.append(message)

    async def send_twice() -> None:
        git = GitThread()
        sender, channel = ObjectSender(filled, git, tmp_path), cast("WorkerChannel", Channel())
        await sender.send_objects(channel, setup, have)
        await sender.send_objects(channel, setup, have)
        git.close()

    asyncio.run(send_twice())
    *parts, end = sent
    assert end == PackEnd()
    assert [part.is_first for part in parts if isinstance(part, PackPart)] == [True] + [False] * (
        len(parts) - 1
    )
    pack = b"".join(part.data for part in parts if isinstance(part, PackPart))
    found = parse_pack(pack, 20)
    assert found is not None
    assert {compute_id(each.kind, each.content, 20) for each in found} == set(lacking)
