"""A worktree that is made of layers, as its program sees it, and what is left of it outside."""

import os
import random
import shutil
import signal
import stat
import subprocess
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from sandbox.arena import NOBODY, Arena, Wall, behind
from waiting import wait_until

from gitbatch.sandbox.command_line import launcher_arguments
from gitbatch.sandbox.launcher.overlay import OverlayMount, mount_worktree
from gitbatch.sandbox.launcher.process import list_children
from gitbatch.sandbox.model import Confinement, GitLayer, Overlay, ProcessLimits
from gitbatch.sandbox.server import LauncherServer

EVERYWHERE = (
    *(Wall.BUBBLEWRAP, Wall.LANDLOCK, Wall.NONE),
    *(Wall.USERS_BUBBLEWRAP, Wall.USERS_LANDLOCK, Wall.USERS_NONE),
)
everywhere = behind(*EVERYWHERE)
WORK = """
set -e
pwd -P; cat README.md; ls -A; test -f .git
test ! -e .env; test ! -e .git/config
git status --porcelain; git log -1 --format=%s; git ls-files | wc -l
rm CLAUDE.md; rm -r docs; mkdir docs; echo new > docs/own; echo more >> README.md; echo done > output.md
git status --porcelain; git mv README.md READ.md; git ls-files
"""
COMMIT = """
set -e
echo one > one.md; git add one.md; git -c user.name=a -c user.email=a@b commit -qm One
git log --format=%s; git branch kept; git tag v1; git stash list; git show HEAD:one.md; git fsck --connectivity-only
"""


def make_layers(arena: Arena, place: Path) -> Confinement:
    """Returns a confinement with a worktree of layers at a place; its upper folder is the arena's worktree."""
    base = arena.base / "layers, one: two"
    shutil.rmtree(base, ignore_errors=True)
    template, delta, index, upper = (base / name for name in ("template", "delta", "index", "item"))
    objects = base / "objects"
    for folder in (
        template / "docs",
        delta,
        index,
        upper,
        base / "work/git",
        objects,
    ):
        folder.mkdir(parents=True)
    for name in ("README.md", ".gitignore"):
        shutil.copy2(arena.worktree / name, template)
    shutil.copy2(arena.worktree / "CLAUDE.md", delta)
    (template / "docs/old").write_text("old\n")
    shutil.move(arena.base / "shop/item.git/index", index / "index")
    (upper / ".git").write_text(f"gitdir: {arena.base}/shop/item.git\n")
    (shared,) = (arena.base / "shop").glob("*.common")
    (shared / "objects/info/alternates").write_text(f"{objects}\n")
    if arena.wall.user:
        for file in (*base.rglob("*"), base):
            os.chown(file, arena.wall.user, arena.wall.user, follow_symlinks=False)
    own = arena.base / "shop/item.git"
    (own / "commondir").unlink()
    git = GitLayer((index, shared), own, base / "work/git")
    binds = ((arena.repo / ".git/objects", objects),)
    overlay = Overlay((delta, template), upper, base / "work", git, binds)
    usual = arena.usual
    return usual._replace(
        worktree=place, git=(*usual.git, objects), hidden=(*usual.hidden, base), overlay=overlay
    )


def list_state(folder: Path) -> dict[str, tuple[int, int]]:
    """Returns the files of a folder with their sizes and times."""
    return {
        str(file.relative_to(folder)): (file.lstat().st_size, file.lstat().st_mtime_ns)
        for file in folder.rglob("*")
        if not file.is_dir()
    }


@everywhere
def test_program_sees_layers_at_the_path_of_the_checkout(arena: Arena) -> None:
    confinement = make_layers(arena, arena.repo)
    overlay = confinement.overlay
    assert overlay
    before = [list_state(folder) for folder in (*overlay.lower, arena.repo)]
    done = arena.run("sh", "-c", WORK, confinement=confinement)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        *(str(arena.repo), "# Project", ".git", ".gitignore", "CLAUDE.md", "README.md", "docs"),
        *("?? docs/", "The plan", "3"),
        *(" D CLAUDE.md", " M README.md", "?? docs/", "?? output.md"),
        *(".gitignore", "CLAUDE.md", "READ.md"),
    ]
    assert [list_state(folder) for folder in (*overlay.lower, arena.repo)] == before
    gone = (overlay.upper / "CLAUDE.md").lstat()
    assert stat.S_ISCHR(gone.st_mode)
    assert gone.st_rdev == 0
    assert not list(overlay.work.rglob("incompat")), "of its folders, each takes a block of the disk"
    kept = {str(file.relative_to(overlay.upper)) for file in overlay.upper.rglob("*") if file.is_file()}
    assert kept == {".git", "READ.md", "docs/own", "output.md"}
    assert str(arena.base) not in Path("/proc/self/mountinfo").read_text()


@everywhere
def test_program_commits_for_itself(arena: Arena) -> None:
    """Objects and refs are in the folder on top: the git directories of the user and of other programs stay as they are."""
    confinement = make_layers(arena, arena.repo)
    (shared,) = (arena.base / "shop").glob("*.common")
    before = [list_state(folder) for folder in (arena.repo, shared)]
    done = arena.run("sh", "-c", COMMIT, confinement=confinement)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["One", "The plan", "one"]
    assert [list_state(folder) for folder in (arena.repo, shared)] == before


@behind(Wall.BUBBLEWRAP, Wall.LANDLOCK)
def test_other_files_stay_hidden(arena: Arena) -> None:
    """Neither the layers nor the user's git directory have a path for the program."""
    confinement = make_layers(arena, arena.repo)
    seek = 'for path in "$@"; do ! ls "$path" 2> /dev/null; done'
    hidden = (
        str(arena.base / "layers, one: two/template"),
        str(arena.repo / ".git/refs"),
        str(arena.sibling),
    )
    done = arena.run("sh", "-c", seek, "sh", *hidden, confinement=confinement)
    assert (done.returncode, done.stdout) == (0, "")


@everywhere
def test_own_folder_is_a_mount_point_too(arena: Arena) -> None:
    """The upper folder and the place may be the same."""
    confinement = make_layers(arena, arena.base / "layers, one: two/item")
    done = arena.run(
        "sh", "-c", "cat README.md; echo new > output.md; git status -s", confinement=confinement
    )
    assert done.stdout.splitlines() == ["# Project", "?? docs/", "?? output.md"]
    assert (confinement.worktree / "output.md").read_text() == "new\n"


@everywhere
def test_worktree_that_cannot_be_mounted_starts_no_program(arena: Arena) -> None:
    confinement = make_layers(arena, arena.repo)
    assert confinement.overlay
    missing = confinement.overlay._replace(work=arena.base / "nowhere")
    done = arena.run("sh", "-c", "echo bad > output.md", confinement=confinement._replace(overlay=missing))
    assert done.returncode == 126
    assert "nowhere: No such file or directory" in done.stderr
    assert not (arena.repo / "output.md").exists()


@behind(Wall.BUBBLEWRAP, Wall.LANDLOCK)
@pytest.mark.parametrize("target", ["", "docs/linked/"])
def test_strict_output_is_not_behind_a_link(arena: Arena, target: str) -> None:
    confinement = make_layers(arena, arena.repo)
    assert confinement.overlay
    (confinement.overlay.lower[-1] / "docs/linked").symlink_to(arena.elsewhere)
    strict = confinement._replace(strict_output=arena.repo / f"{target}output.md")
    done = arena.run("sh", "-c", f"echo yes > {target}output.md; echo no > other", confinement=strict)
    upper = confinement.overlay.upper
    assert not (upper / "other").exists()
    assert not (arena.elsewhere / "output.md").exists()
    assert (upper / "output.md").exists() != bool(target)
    assert (done.returncode == 126) == bool(target)


def find_sleepers(seconds: str) -> list[int]:
    """Returns the processes that sleep so long; inside their namespace they have other ids."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cmdline").read_text() == f"sleep\0{seconds}\0":
                found.append(int(process.name))
    return found


@pytest.fixture
def seconds() -> str:
    """An argument of `sleep` that no other process has."""
    return f"{random.SystemRandom().randrange(10**6, 10**9)}"


@behind(Wall.LANDLOCK, Wall.NONE, Wall.USERS_NONE)
def test_processes_left_behind_are_ended(arena: Arena, seconds: str) -> None:
    """Nothing writes in the upper folder after its program has ended."""
    confinement = make_layers(arena, arena.repo)
    leave = 'setsid sleep "$1" & ps -A -o comm=; cat /proc/self/comm; kill -0 1; exit 7'
    done = arena.run("sh", "-c", leave, "sh", seconds, confinement=confinement)
    assert not find_sleepers(seconds)
    assert done.returncode == 7
    *seen, own = done.stdout.splitlines()
    assert own == "cat"
    assert len(seen) <= 4, "it sees the first process of its namespace, and its own"


@behind(Wall.LANDLOCK, Wall.NONE, Wall.USERS_LANDLOCK, Wall.USERS_NONE)
@pytest.mark.parametrize("killed", [(0,), (1,), (0, 1)])
@pytest.mark.sample(5)
def test_killed_launcher_leaves_nothing(arena: Arena, seconds: str, killed: tuple[int, ...]) -> None:
    """One of its processes is killed, or all of them at once; then no process has a mount."""
    confinement = make_layers(arena, arena.repo)
    leave = 'setsid sh -c "sleep $1; :" & echo on; exec sleep "$1"'
    with (
        arena.start("sh", "-c", leave, "sh", seconds, confinement=confinement) as process,
        closing(SimpleNamespace(close=process.kill)),
    ):
        assert process.stdout
        assert process.stdout.readline() == "on\n"
        wait_until(lambda: len(find_sleepers(seconds)) == 2, "the program has left a process")
        programs = find_sleepers(seconds)
        assert all(" overlay " in Path(f"/proc/{each}/mountinfo").read_text() for each in programs)
        (keeper,) = list_children(process.pid)
        for each in killed:
            os.kill((process.pid, keeper)[each], signal.SIGKILL)
    wait_until(lambda: not find_sleepers(seconds), "the program is ended")
    assert process.wait(30) in {-signal.SIGKILL, 128 + signal.SIGKILL}


HIDDEN_PART = (
    *("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc/tty && exec "$@"', "sh"),
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"),
)
"""Containers hide parts of /proc so; then the kernel lets no ordinary user mount another /proc."""


@behind(Wall.USERS_LANDLOCK, Wall.USERS_NONE)
def test_proc_is_right_where_another_is_refused(arena: Arena, seconds: str) -> None:
    """A program, such as `ps`, finds itself there by its id; and what it leaves behind is ended."""
    confinement = make_layers(arena, arena.repo)
    leave = 'setsid sleep "$1" & exec "$2" -IS -c "$3"'
    code = "import os; print(os.readlink('/proc/self') == str(os.getpid()), len(os.listdir('/proc/self/fd')))"
    arguments = ("sh", "-c", leave, "sh", seconds, arena.wall.python[0], code)
    command = arena.command(*arguments, confinement=confinement)
    done = subprocess.run(
        (*HIDDEN_PART, *command), env=arena.environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True 4\n", "")
    assert not find_sleepers(seconds)


@behind(Wall.LANDLOCK, Wall.NONE)
def test_killed_server_leaves_nothing(arena: Arena, seconds: str) -> None:
    """Also not what the program has started in a session of its own."""
    leave = 'setsid sleep "$1" & echo on; exec sleep "$1"'
    command = arena.command("sh", "-c", leave, "sh", seconds, confinement=make_layers(arena, arena.repo))
    asked = launcher_arguments(command)
    assert asked
    server, (reading, writing) = LauncherServer(), os.pipe()
    with open(reading) as said, Path(os.devnull).open("r+b") as null:  # noqa: PTH123 - a descriptor
        server.start_program(asked, arena.environment, arena.base, (null.fileno(), writing, null.fileno()))
        os.close(writing)
        assert said.readline() == "on\n"
        server.kill()
    server.close()
    wait_until(lambda: not find_sleepers(seconds), "the program is ended")


def test_fake_mount_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel, or what filters its calls, that reports a mount which it has not made."""
    monkeypatch.setattr("gitbatch.sandbox.launcher.overlay._mount_overlay", lambda _overlay: None)
    monkeypatch.setattr("gitbatch.sandbox.launcher.overlay.enter_mount_namespace", lambda _signal: None)
    mount = OverlayMount([], str(tmp_path), str(tmp_path), str(tmp_path))
    with pytest.raises(OSError, match="it is not mounted"):
        mount_worktree([mount], (), 0)


@behind(Wall.NONE)
def test_program_is_ended_by_a_signal(arena: Arena) -> None:
    confinement = make_layers(arena, arena.repo)
    with arena.start(
        "sh", "-c", "trap 'echo bye; exit 3' TERM; echo $$; sleep 600 & wait", confinement=confinement
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.terminate()
        assert process.stdout.read() == "bye\n"
        assert process.wait(30) == 3


@behind(Wall.NONE)
def test_changes_are_limited(arena: Arena) -> None:
    """A program without a sandbox otherwise has no such limit. It cannot hide our signal behind its own."""
    limited = make_layers(arena, arena.repo)._replace(limits=ProcessLimits(scratch_bytes=1_000_000))
    flood = "head -c 9000000 /dev/zero > big; while :; do kill -TERM 1; done"
    asked = launcher_arguments(arena.command("sh", "-c", flood, confinement=limited))
    done = arena.programs.run(asked or (), arena.repo, arena.environment, None)
    assert "max-scratch-bytes" in done.stderr


@behind(Wall.NONE, Wall.USERS_NONE)
def test_no_second_program_mounts_the_same_changes_at_once(arena: Arena, seconds: str) -> None:
    """The kernel would let two overlays change one upper folder; `index=on` makes it refuse. One after the other may."""
    confinement = make_layers(arena, arena.repo)
    with (
        arena.start(
            "sh", "-c", 'echo on; exec sleep "$1"', "sh", seconds, confinement=confinement
        ) as process,
        closing(SimpleNamespace(close=process.kill)),
    ):
        assert process.stdout
        assert process.stdout.readline() == "on\n"
        done = arena.run("sh", "-c", "echo two > output.md", confinement=confinement)
        assert (done.returncode, done.stdout) == (126, "")
        assert "the overlay worktree: Device or resource busy" in done.stderr
    wait_until(lambda: not find_sleepers(seconds), "the program is ended")
    done = arena.run("sh", "-c", "test ! -e output.md; echo three > output.md", confinement=confinement)
    assert (done.returncode, done.stderr) == (0, "")


TRAPS = """
import errno, mmap, os
reading = open("docs/old", "rb")
shown = mmap.mmap(reading.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
with open("docs/old", "r+b") as file:
    file.write(b"new")
print(shown[:4], os.pread(reading.fileno(), 4, 0), open("docs/old").read().strip())
try:
    os.rename("docs", "papers")
except OSError as error:
    print(errno.errorcode[error.errno])
os.rename("docs/old", "docs/other")
os.link("docs/other", "docs/linked")
print(os.stat("docs/linked").st_nlink, sorted(os.listdir("docs")))
os.setxattr("docs", "user.overlay.opaque", b"y")
print(sorted(os.listdir("docs")))
"""
"""What the documentation warns of (docs/worktrees.md)."""


@behind(Wall.NONE, Wall.USERS_NONE)
def test_traps_are_as_documented(arena: Arena) -> None:
    confinement = make_layers(arena, arena.repo)
    done = arena.python(TRAPS, confinement=confinement)
    assert done.stdout.splitlines() == [
        "b'old\\n' b'new\\n' new",
        "EXDEV",
        "2 ['linked', 'other']",
        "['linked', 'other']",
    ], done.stderr
