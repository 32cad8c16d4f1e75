"""The upper layer of an overlay: what is taken from it, whatever an agent has made of it.

Each attack has its control: what a harvest takes that trusts names, types or attributes in the layer.
"""

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from waiting import DEADLINE
from wall.naive import patience

from gitbatch.batch.item.strays import find_strays
from gitbatch.batch.workplace.protocol import WorkplaceChanges
from gitbatch.batch.workplace.upper_layer import UpperLayer, collect_from_upper, note_upper
from gitbatch.fs.layers import LayerLookup, find_in_layer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has overlays")
OUTPUT = "out/page.md"
POINTER = b"gitdir: /somewhere\n"


@dataclass(frozen=True)
class Layers:
    """An upper layer with a lower one, and a folder of the user's."""

    base: Path

    @property
    def upper(self) -> Path:
        return self.base / "items" / "one"

    @property
    def lower(self) -> Path:
        return self.base / "template"

    @property
    def user(self) -> Path:
        return self.base / "user"

    @property
    def output(self) -> Path:
        return self.upper / OUTPUT

    def make_output(self, text: str = "work") -> None:
        self.output.parent.mkdir(parents=True)
        self.output.write_text(text)

    def make_whiteout(self, path: str) -> None:
        (self.upper / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.mknod(self.upper / path, stat.S_IFCHR | 0o000, 0)
        except PermissionError:
            pytest.skip("this user cannot make whiteouts here")

    def mark(self, path: str, name: str, value: bytes = b"y") -> None:
        if not (self.upper / path).exists():
            (self.upper / path).mkdir(parents=True)
        try:
            os.setxattr(self.upper / path, name, value)
        except OSError as error:
            pytest.skip(f"no attributes here: {error}")


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    made = Layers(tmp_path)
    for folder in (made.upper, made.lower / "out", made.lower / "docs/deep", made.user):
        folder.mkdir(parents=True)
    (made.upper / ".git").write_bytes(POINTER)
    for path in (OUTPUT, "task.md", "docs/a.md", "docs/deep/b.md"):
        (made.lower / path).write_text("base")
    (made.user / "page.md").write_text("secret")
    return made


def note(layers: Layers, *guarded: str) -> UpperLayer:
    return note_upper(layers.upper, (layers.lower,), pointer=POINTER, guarded=guarded)


def take(upper: UpperLayer, output: str = OUTPUT) -> str:
    """Returns the first bytes of what the harvest would store, or why it takes nothing."""
    collected = collect_from_upper(upper, output)
    if collected is None:
        return "gone"
    try:
        with collected.output() as (descriptor, size):
            return f"{size}: {os.read(descriptor, 20).decode()}"
    except FileNotFoundError:
        return "not written"
    except OSError as error:
        return error.strerror or str(error)


def read_through(layers: Layers) -> str:
    """A harvest that reads the output's path, and the template's where the layer has nothing."""
    path = layers.output if layers.output.exists() else layers.lower / OUTPUT
    with path.open("rb") as stream:
        return stream.read(20).decode()


def read_by_type(layers: Layers) -> str:
    """A harvest that takes the layer's version if it is a file, else the template's."""
    return (layers.output if layers.output.is_file() else layers.lower / OUTPUT).read_text()[:20]


def find_marked(layers: Layers) -> str:
    """A harvest that takes any attribute with a name like the kernel's for the kernel's."""
    names = os.listxattr(layers.output.parent)
    return "not written" if any(name.endswith(".opaque") for name in names) else "base"


def copy_tree(layers: Layers) -> str:
    """A harvest that copies whatever is at the output's path."""
    shutil.copytree(layers.output, layers.base / "copy")
    return (layers.base / "copy/x.md").read_text()


def count_blocks(layers: Layers) -> str:
    """A harvest that measures the output by the disk that it takes."""
    return "small" if layers.output.stat().st_blocks < 1000 else "large"


def _replace_output(layers: Layers) -> Path:
    layers.make_output()
    layers.output.unlink()
    return layers.output


def _link_folder(layers: Layers) -> None:
    (layers.upper / "out").symlink_to(layers.user)


def _link_upper(layers: Layers) -> None:
    (layers.user / "out").mkdir()
    (layers.user / OUTPUT).write_text("secret")
    shutil.rmtree(layers.upper)
    layers.upper.symlink_to(layers.user)


def _move_upper(layers: Layers) -> None:
    """Puts another folder where the layer was: a folder above it was replaced."""
    (layers.user / "one/out").mkdir(parents=True)
    (layers.user / "one" / OUTPUT).write_text("secret")
    layers.upper.parent.rename(layers.base / "away")
    layers.upper.parent.symlink_to(layers.user)


def _make_socket(layers: Layers) -> None:
    path = _replace_output(layers)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/cwd/{os.path.relpath(path)}" if len(str(path)) > 100 else str(path))


def _make_device(layers: Layers) -> None:
    try:
        os.mknod(_replace_output(layers), stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")


def _make_sparse(layers: Layers) -> None:
    layers.make_output()
    os.truncate(layers.output, 1 << 40)


def _make_folder(layers: Layers) -> None:
    _replace_output(layers).mkdir()
    (layers.output / "x.md").write_text("from a folder")


def _mark_output(name: str) -> Callable[[Layers], None]:
    def plant(layers: Layers) -> None:
        layers.make_output("\0\0\0\0")
        layers.mark(OUTPUT, name, b"/docs/a.md")

    return plant


@dataclass(frozen=True)
class Attack:
    """A row of the table."""

    plant: Callable[[Layers], object]
    taken: str
    """What the harvest says."""
    control: Callable[[Layers], str] = read_through
    falls: str = "secret"
    """What the control takes."""


NOT_REGULAR = "page.md is not a regular file"
ATTACKS = {
    "link": Attack(
        lambda to: _replace_output(to).symlink_to(to.user / "page.md"), "Too many levels of symbolic links"
    ),
    "linked-folder": Attack(_link_folder, "Not a directory"),
    "linked-layer": Attack(_link_upper, "gone"),
    "moved-layer": Attack(_move_upper, "gone"),
    "hard-link-to-the-user": Attack(
        lambda to: _replace_output(to).hardlink_to(to.user / "page.md"), "page.md has 2 names (hard links)"
    ),
    "hard-link-to-the-template": Attack(
        lambda to: _replace_output(to).hardlink_to(to.lower / "docs/a.md"),
        "page.md has 2 names (hard links)",
        falls="base",
    ),
    "whiteout": Attack(lambda to: to.make_whiteout(OUTPUT), "not written", read_by_type, "base"),
    "whiteout-above": Attack(lambda to: to.make_whiteout("out"), "not written", read_by_type, "base"),
    "opaque-above": Attack(lambda to: to.mark("out", "user.overlay.opaque"), "not written", falls="base"),
    "escaped-opaque": Attack(
        lambda to: to.mark("out", "user.overlay.overlay.opaque"), "4: base", find_marked, "not written"
    ),
    "metacopy": Attack(
        _mark_output("user.overlay.metacopy"),
        "page.md has the attribute user.overlay.metacopy",
        falls="\0\0\0\0",
    ),
    "redirect": Attack(
        _mark_output("user.overlay.redirect"),
        "page.md has the attribute user.overlay.redirect",
        falls="\0\0\0\0",
    ),
    "whiteout-by-attribute": Attack(
        _mark_output("user.overlay.whiteout"),
        "page.md has the attribute user.overlay.whiteout",
        falls="\0\0\0\0",
    ),
    "folder": Attack(_make_folder, NOT_REGULAR, copy_tree, "from a folder"),
    "fifo": Attack(lambda to: os.mkfifo(_replace_output(to)), NOT_REGULAR, falls="hangs"),
    "socket": Attack(_make_socket, "No such device or address", read_by_type, "base"),
    "device": Attack(_make_device, NOT_REGULAR, falls="\0" * 20),
    "sparse": Attack(_make_sparse, f"{1 << 40}: work", count_blocks, "small"),
}


@pytest.mark.rule("S1")
@pytest.mark.parametrize("name", ATTACKS)
def test_attack_on_layer(layers: Layers, name: str) -> None:
    attack, upper = ATTACKS[name], note(layers)
    attack.plant(layers)
    assert take(upper)[: len(attack.taken)] == attack.taken
    try:
        with patience(0.2 if attack.falls == "hangs" else DEADLINE):
            fell = attack.control(layers)
    except TimeoutError:
        fell = "hangs"
    assert fell == attack.falls, "else the test proves nothing"


def test_untouched_layer(layers: Layers) -> None:
    upper = note(layers, "task.md", "docs/a.md", "not/there.md")
    (layers.upper / "out").mkdir()
    assert collect_from_upper(upper, OUTPUT).changes == WorkplaceChanges()  # type: ignore[union-attr]
    assert take(upper) == "4: base", "the base's version: the item's agent changed nothing"
    (layers.lower / OUTPUT).unlink()
    assert take(upper) == "not written"


def test_removed_pointer_and_layer(layers: Layers) -> None:
    upper = note(layers)
    (layers.upper / ".git").unlink()
    (layers.upper / ".git").symlink_to(layers.user)
    assert collect_from_upper(upper, OUTPUT).changes.written == (".git",)  # type: ignore[union-attr]
    shutil.rmtree(layers.upper)
    assert collect_from_upper(upper, OUTPUT) is None


def test_written_layer(layers: Layers) -> None:
    layers.make_output()
    os.mkfifo(layers.upper / "queue")
    (layers.upper / "new/empty").mkdir(parents=True)
    (layers.upper / "new/link").symlink_to("/")
    (layers.upper / ".git").write_bytes(POINTER + b"x")
    upper = note(layers)
    changes = collect_from_upper(upper, OUTPUT).changes  # type: ignore[union-attr]
    assert set(changes.written) == {OUTPUT, "queue", "new/link", ".git"}
    assert take(upper) == "4: work"


@pytest.mark.parametrize(
    ("plant", "hidden"),
    [
        (lambda to: to.make_whiteout("docs/deep/b.md"), True),
        (lambda to: to.make_whiteout("docs"), True),
        (lambda to: to.mark("docs", "user.overlay.opaque"), True),
        (lambda to: (to.upper / "docs").symlink_to(to.user), True),
        (lambda to: (to.upper / "docs").write_text("x"), True),
        (lambda to: (to.upper / "docs/deep").mkdir(parents=True), False),
        (lambda to: to.mark("docs", "user.overlay.opaque", b"x"), False),
    ],
)
def test_guarded_file_is_missing(layers: Layers, plant: Callable[[Layers], object], *, hidden: bool) -> None:
    plant(layers)
    changes = collect_from_upper(note(layers, "docs/deep/b.md", "docs/not.md"), OUTPUT).changes  # type: ignore[union-attr]
    assert changes.removed == (("docs/deep/b.md",) if hidden else ())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_folder(layers: Layers) -> None:
    (layers.upper / "docs").mkdir(mode=0)
    changes = collect_from_upper(note(layers, "docs/a.md"), OUTPUT).changes  # type: ignore[union-attr]
    assert (changes.written, changes.removed) == (("docs/",), ("docs/a.md",))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_unreadable_layer(layers: Layers) -> None:
    """An agent of an ordinary user takes the rights to its own worktree away: what it wrote is taken."""
    layers.make_output()
    upper = note(layers)
    layers.upper.chmod(0)
    os.chown(layers.upper, 65534, 65534)
    with _reachable(layers.upper):
        os.seteuid(65534)
        try:
            assert take(upper) == "4: work"
        finally:
            os.seteuid(0)


def test_deleted_and_replaced(layers: Layers) -> None:
    layers.make_whiteout("task.md")
    layers.mark("docs", "user.overlay.opaque")
    layers.mark("new", "user.overlay.opaque")  # the kernel marks new folders, too
    changes = collect_from_upper(note(layers), OUTPUT).changes  # type: ignore[union-attr]
    assert changes == WorkplaceChanges(deleted=("task.md",), replaced=("docs/",))
    found = find_strays(changes, OUTPUT, frozenset())
    assert found.others == ("task.md (deleted)", "docs/ (replaced)")


def _dig(top: Path, depth: int, name: str, *others: str) -> None:
    """Makes folders in each other, deeper than a path can say."""
    here = Path.cwd()
    try:
        top.mkdir()
        os.chdir(top)
        for _ in range(depth):
            for each in (name, *others):
                Path(each).mkdir()
            os.chdir(name)
        Path("bottom").touch()
    finally:
        os.chdir(here)


def test_deep_tree(layers: Layers) -> None:
    """Depth costs no descriptor; a tree that would cost too many, or is too deep to be named, is one entry."""
    _dig(layers.upper / "chain", 100, "d" * 50)
    _dig(layers.upper / "comb", 250, "sub", "twin")
    before = len(list(Path("/proc/self/fd").iterdir()))
    try:
        written = collect_from_upper(note(layers), OUTPUT).changes.written  # type: ignore[union-attr]
        with pytest.raises(OSError, match="too long"):
            (layers.upper / "chain" / "/".join(["d" * 50] * 100) / "bottom").stat()
    finally:
        subprocess.run(["rm", "-rf", layers.upper], check=True)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert {path.rstrip("/").rpartition("/")[2][:3] for path in written} == {"ddd", "sub", "twi"}
    assert all(len(path) < 4096 + 60 for path in written)


def test_stack_of_lower_layers(layers: Layers) -> None:
    """A delta between the layer and the template decides before the template does."""
    delta = layers.base / "delta"
    (delta / "docs").mkdir(parents=True)
    (delta / "docs/c.md").write_text("delta")
    assert find_in_layer(delta, "docs/c.md") is LayerLookup.FOUND
    assert find_in_layer(delta, "docs/a.md") is LayerLookup.ABSENT
    with suppress(PermissionError):
        os.mknod(delta / "task.md", stat.S_IFCHR, 0)
        upper = note_upper(layers.upper, (delta, layers.lower), guarded=("task.md", "docs/c.md"))
        layers.make_whiteout("docs/c.md")
        changes = collect_from_upper(upper, "task.md").changes  # type: ignore[union-attr]
        assert changes.removed == ("docs/c.md",), "task.md was missing before"


CHANGES = """
mount -t overlay overlay -o "lowerdir=$1/template,upperdir=$1/items/one,workdir=$1/work,userxattr,index=on" "$1/seen"
cd "$1/seen" || exit 9
rm -r docs && mkdir docs && echo x >docs/new.md
mkdir -p made/below && echo x >made/below/file
rm gone.md && chmod 755 mode.md && mv renamed.md name.md
echo more >>kept/added.md && ln linked.md twin.md
rm -r folder
mkdir empty
setfattr -n user.overlay.opaque -v y kept 2>/dev/null
python3 -c 'import os; os.setxattr("kept", "user.overlay.opaque", b"y"); os.setxattr("mode.md", "user.overlay.metacopy", b"")'
echo work >out/page.md
cd out
ln ../kept/old.md hard.md; ln -s ../kept/old.md link.md; mkfifo fifo.md; mkdir folder.md; echo x >folder.md/x
rm deleted.md; chmod 755 mode.md; truncate -s 1T sparse.md; echo work >marked.md
mknod device.md c 1 5; mknod faked.md c 0 0
python3 -c 'import os; os.setxattr("marked.md", "user.overlay.metacopy", b""); os.setxattr("marked.md", "user.overlay.redirect", b"/docs")'
rm -r opaque && mkdir opaque; rm -r swapped && ln -s "$1/user" swapped
exit 0
"""
TAKEN = {
    "hard.md": "hard.md has 2 names (hard links)",
    "link.md": "Too many levels of symbolic links",
    "fifo.md": "fifo.md is not a regular file",
    "folder.md": "folder.md is not a regular file",
    "deleted.md": "not written",
    "mode.md": "4: base",
    "untouched.md": "4: base",
    "sparse.md": f"{1 << 40}: ",
    "marked.md": "5: work\n",
    "device.md": "not written",
    "faked.md": "not written",
    "opaque/page.md": "not written",
    "swapped/page.md": "Not a directory",
}
"""What is taken at each path below `out/` after the changes; the attributes of the agent are not those of the kernel."""


def _become_nobody() -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


@pytest.mark.parametrize("user", ["own", "nobody"])
def test_layer_of_the_kernel(layers: Layers, user: str) -> None:
    """The kernel's own layer says what a program changed; the attributes that the program sets are not the kernel's."""
    if user == "nobody" and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    outputs = ("deleted.md", "mode.md", "untouched.md", "opaque/page.md", "swapped/page.md")
    for path in (
        *("gone.md", "mode.md", "renamed.md", "kept/added.md", "kept/old.md", "linked.md", "folder/x"),
        *(f"out/{name}" for name in outputs),
    ):
        (layers.lower / path).parent.mkdir(parents=True, exist_ok=True)
        (layers.lower / path).write_text("base")
    for name in ("work", "seen"):
        (layers.base / name).mkdir()
    if user == "nobody":
        subprocess.run(["chown", "-R", "65534:65534", layers.base], check=True)
    command = ["unshare", "--user", "--mount", "--map-root-user", "sh", "-c", CHANGES, "sh", str(layers.base)]
    with _reachable(layers.base):
        done = subprocess.run(
            command,
            preexec_fn=_become_nobody if user == "nobody" else None,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        pytest.skip(f"no overlay here: {done.stderr}")
    changes = collect_from_upper(note(layers, "kept/old.md", "docs/a.md"), OUTPUT).changes  # type: ignore[union-attr]
    upper = note(layers)
    assert {name: take(upper, f"out/{name}")[: len(said)] for name, said in TAKEN.items()} == TAKEN
    assert sorted(path for path in changes.written if not path.startswith("out/")) == sorted(
        [
            *("docs/new.md", "made/below/file", "mode.md", "name.md", "kept/added.md"),
            *("linked.md", "twin.md", "kept/old.md"),
        ]
    )
    assert sorted(changes.deleted) == ["folder", "gone.md", "out/deleted.md", "renamed.md"]
    assert sorted(changes.replaced) == ["docs/", "out/opaque/"]
    assert changes.removed == ("docs/a.md",)
    assert take(note(layers)) == "5: work\n"


@contextmanager
def _reachable(folder: Path) -> Iterator[None]:
    """Lets another user reach a folder of pytest's."""
    closed = [above for above in folder.parents if not above.stat().st_mode & 0o001]
    modes = [above.stat().st_mode & 0o7777 for above in closed]
    for above in closed:
        above.chmod(0o711)
    try:
        yield
    finally:
        for above, mode in zip(closed, modes, strict=True):
            above.chmod(mode)
