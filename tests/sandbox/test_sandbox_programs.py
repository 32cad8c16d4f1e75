"""The environment of a program in a sandbox: what it needs to work, its limits, and its end."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

import pytest
from sandbox.arena import SECRET, Arena, Wall, behind

from gitbatch.fs.removal import remove_tree
from gitbatch.sandbox.model import ProcessLimits

CONFINED = (Wall.BUBBLEWRAP, Wall.LANDLOCK)
USERS = (Wall.USERS_BUBBLEWRAP, Wall.USERS_LANDLOCK)
confined = behind(*CONFINED)
everywhere = behind(*CONFINED, Wall.NONE, *USERS)


@everywhere
@pytest.mark.parametrize(
    ("end", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
@pytest.mark.sample(8)
def test_exit_codes(arena: Arena, end: str, code: int) -> None:
    done = arena.run("sh", "-c", end)
    assert done.returncode in {code, 128 - code if arena.wall is Wall.NONE else code}


@everywhere
def test_standard_streams(arena: Arena) -> None:
    done = arena.run("sh", "-c", "cat; echo no >&2", stdin="yes\n" * 50_000)
    assert (done.stdout, done.stderr) == ("yes\n" * 50_000, "no\n")


@everywhere
def test_folder_and_arguments(arena: Arena) -> None:
    arena.environment["GIVEN"] = "a b"
    done = arena.run(
        "sh", "-c", 'pwd -P; echo "$TMPDIR"; cat "$0"; echo "$GIVEN"', str(arena.scratch / "prompt.md")
    )
    assert done.stdout.splitlines() == [str(arena.worktree), str(arena.scratch / "tmp"), "Do it.", "a b"]


@confined
def test_environment_is_unchanged(arena: Arena) -> None:
    done = arena.run("env")
    named = {line.partition("=")[0] for line in done.stdout.splitlines()}
    assert named - set(arena.environment) <= {"TMPDIR", "PWD"}


@everywhere
def test_worktree_and_scratch_are_writable(arena: Arena) -> None:
    work = """
        set -e
        mkdir -p a/b; echo one > a/b/temporary; mv a/b/temporary output.md; ln -s output.md link; ln output.md a/hard
        rm a/hard README.md; rmdir a/b; chmod 755 output.md; touch -d 2020-01-01 link; mkfifo pipe
        echo two > "$TMPDIR/file"; mv "$TMPDIR/file" .; cp file "$0/reply.json"; truncate -s 1 file
        """
    done = arena.run("sh", "-c", work, str(arena.scratch))
    assert (done.returncode, done.stderr) == (0, "")
    assert (arena.worktree / "link").read_text() == "one\n"
    assert (arena.scratch / "reply.json").read_text() == "two\n"


@everywhere
def test_signals_have_defaults(arena: Arena) -> None:
    """A shell cannot reset an ignored signal: without a sandbox they are inherited from gitbatch."""
    done = arena.run("grep", "-E", "SigIgn|SigBlk", "/proc/self/status")
    found = {name: int(number, 16) for name, number in map(str.split, done.stdout.splitlines())}
    found["SigIgn:"] &= 0x7FFFFFFF  # glibc ignores its own two, 32 and 33, in what `posix_spawn` starts
    assert found == {"SigBlk:": 0, "SigIgn:": inherited_signals() if arena.wall is Wall.NONE else 0}


def inherited_signals() -> int:
    """Returns the mask of the signals that were ignored where the tests were started, as in a background job."""
    ours = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them, and no child of it does
    ignored = (number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN)
    return sum(1 << (number - 1) for number in ignored if number not in ours)


@everywhere
def test_git_works(arena: Arena) -> None:
    (arena.home / ".gitconfig").write_text("[user]\n")
    done = arena.run(
        "sh", "-c", "echo x >> README.md; git status --short && git log --format=%s && git diff --stat"
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[:2] == [" M README.md", "The plan"]


@confined
def test_usual_devices(arena: Arena) -> None:
    done = arena.run(
        "bash",
        "-c",
        "cat <(echo one) /dev/null; head -c 2 /dev/zero | wc -c; head -c 1 /dev/urandom | wc -c; : > /dev/full",
    )
    assert done.stdout.split() == ["one", "2", "1"]


@confined
def test_proc_is_readable(arena: Arena) -> None:
    done = arena.python(
        "for name in ('self/status', 'self/maps', 'meminfo', 'cpuinfo'): print(open(f'/proc/{name}').readline())"
    )
    assert done.returncode == 0, done.stderr


@everywhere
def test_no_capabilities(arena: Arena) -> None:
    if arena.wall is Wall.NONE:
        pytest.skip("it is the user")
    done = arena.run("grep", "-E", "Cap|NoNewPrivs", "/proc/self/status")
    held = dict(line.split(":\t") for line in done.stdout.splitlines())
    bounding = held.pop("CapBnd")
    assert set(held.values()) == {"0" * 16, "1"}
    assert bounding == "0" * 16 or arena.wall.user


@confined
def test_descriptors_are_not_inherited(arena: Arena) -> None:
    with (arena.home / ".ssh/id_ed25519").open() as file:
        os.set_inheritable(file.fileno(), True)
        code = f"import os; print(os.read({file.fileno()}, 99))"
        argv = arena.command(*arena.wall.python, "-c", code)
        done = subprocess.run(argv, env=arena.environment, pass_fds=[file.fileno()], capture_output=True, text=True, check=False)  # fmt: skip
    assert SECRET not in done.stdout
    assert "Bad file descriptor" in done.stderr


@confined
def test_other_folders_are_read_only(arena: Arena) -> None:
    """Not in memory either: an empty folder that hides another is read-only, and so is the root."""
    hidden = arena.repo / "hidden"
    hidden.mkdir()
    folders = [
        "/",
        "/dev",
        "/proc",
        "/sys",
        "/usr",
        "/etc",
        "/opt",
        str(arena.base),
        str(arena.base / "shop"),
        str(hidden),
    ]
    script = 'for folder; do mkdir "$folder/new" 2>/dev/null && echo "$folder"; done; mkdir "$TMPDIR/new" && echo all'
    done = arena.run("sh", "-c", script, "sh", *folders, confinement=arena.usual._replace(hidden=(hidden,)))
    assert done.stdout == "all\n"


@confined
def test_private_home_and_tmp(arena: Arena) -> None:
    """Home is an empty private folder; so is /tmp in bubblewrap; in Landlock /tmp is not writable."""
    script = "for folder in ~ /tmp; do echo x > $folder/mine && ls -A $folder; done 2>/dev/null"
    own = ["mine"] * (2 if arena.wall is Wall.BUBBLEWRAP else 1)
    assert arena.run("sh", "-c", script).stdout.split() == own
    assert not (arena.home / "mine").exists()
    assert (arena.scratch / "home/mine").exists()
    assert not Path("/tmp/mine").exists()  # noqa: S108


@confined
def test_home_links_to_listed_paths(arena: Arena) -> None:
    for name in (".config/agent", ".my-agent", ".local/bin", ".local/lib"):
        (arena.home / name).mkdir(parents=True)
        (arena.home / name / "file").write_text(name)
    (arena.home / "link").symlink_to(".config")
    listed = arena.usual._replace(
        needs=(arena.home / ".config/agent", arena.home / ".config", arena.home / "link/agent"),
        writable=(arena.home / ".my-agent", arena.home / "none"),
        path=f"{arena.home}/.local/bin:{arena.usual.path}",
    )
    script = """
        cd ~ && cat .config/agent/file .local/bin/file .local/lib/file link/agent/file && echo x > .my-agent/new
        echo x > .other && echo own; echo x > .config/agent/file || echo refused
        """
    done = arena.run("sh", "-c", script, confinement=listed)
    assert done.stdout == ".config/agent.local/bin.local/lib.config/agentown\nrefused\n"
    assert (arena.home / ".my-agent/new").exists()
    assert not (arena.home / ".other").exists()


@confined
def test_writable_home_is_the_users(arena: Arena) -> None:
    listed = arena.usual._replace(writable=(arena.home,))
    arena.run("sh", "-c", "echo x > ~/mine", confinement=listed)
    assert (arena.home / "mine").exists()


@behind(*CONFINED, *USERS)
def test_hidden_python_starts_programs(arena: Arena) -> None:
    """With uv and pyenv, Python is below the home folder: once Landlock is in force, it can import nothing."""
    confined = arena.usual._replace(path="/usr/bin:/bin")
    arena.environment["PATH"] = "/usr/bin:/bin"
    done = arena.run("sh", "-c", f"cat {os.__file__} || echo works", confinement=confined)
    if arena.wall.user is None and Path(os.__file__).is_relative_to("/usr"):
        pytest.skip("this Python is the system's, and seen")
    assert (done.returncode, done.stdout.endswith("works\n")) == (0, True), done.stderr


@confined
def test_private_tmp_around_worktree(arena: Arena) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        base = Path(made)
        usual = arena.usual._replace(worktree=base / "item", scratch=base / "item.io", hidden=(base,))
        for folder in (usual.worktree, usual.scratch, base / "other"):
            folder.mkdir()
        look = f"pwd -P; echo x > output.md; ls {base} /tmp >&2; echo x > $TMPDIR/mine; ls /tmp/mine; :"
        done = arena.run("sh", "-c", look, confinement=usual)
        assert done.stdout.split()[0] == str(usual.worktree)
        assert (usual.worktree / "output.md").exists()
        assert ("/tmp/mine" in done.stdout) == (arena.wall is Wall.BUBBLEWRAP)  # noqa: S108
        assert "other" not in done.stderr


@behind(Wall.LANDLOCK)
def test_landlock_side_effects(arena: Arena) -> None:
    """What the module's docstring says works less than in bubblewrap."""
    for script in (
        "sh -c 'read line < /proc/self/status'; exit",
        "exec 3<>/dev/ptmx",
        "ls /",
        "echo > /dev/shm/mine",
    ):
        assert arena.run("sh", "-c", f"{script} $?").returncode, script


@confined
def test_listed_paths_are_visible(arena: Arena) -> None:
    cache = arena.home / "cache"
    cache.mkdir()
    listed = arena.usual._replace(needs=(arena.home / ".netrc", arena.home / "missing"), writable=(cache,))
    script = f"cat {arena.home}/.netrc; echo x > {cache}/file; echo x > {arena.home}/.netrc"
    done = arena.run("sh", "-c", script, confinement=listed)
    assert SECRET in done.stdout
    assert (cache / "file").exists()
    assert SECRET in (arena.home / ".netrc").read_text()


@everywhere
def test_sigterm_is_forwarded(arena: Arena) -> None:
    code = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(print('farewell') or 9))\nprint('ready', flush=True)\ntime.sleep(60)"
    with arena.start(*arena.wall.python, "-c", code) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGTERM)
        assert process.stdout.read() == "farewell\n"
        assert process.wait(60) == 9


BEATS = """
import os, time
leads = os.fork()
if not leads: os.setsid()
print("beat", flush=True)
time.sleep(60)
print("ended by itself", flush=True)
"""
"""A program and its daemon, in a session of its own; both end after a minute if they are not killed."""


def assert_killed(pipe: IO[str] | IO[bytes]) -> None:
    """Reads to the end, which comes when no process has the pipe open any more."""
    rest = pipe.read()
    assert "ended by itself" not in (rest if isinstance(rest, str) else rest.decode())


@behind(*CONFINED, *USERS)
def test_killed_launcher_ends_all(arena: Arena) -> None:
    with arena.start(*arena.wall.python, "-c", BEATS) as process:
        assert process.stdout
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGKILL)
        assert_killed(process.stdout)
        assert process.wait(60) == -signal.SIGKILL


@behind(*CONFINED, *USERS)
def test_killed_wrapper_ends_all(arena: Arena) -> None:
    """Kills bubblewrap or our keeper; the launcher, which gitbatch started, is left."""
    with arena.start(*arena.wall.python, "-c", BEATS) as process:
        assert process.stdout
        process.stdout.readline()
        wrapper = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        os.kill(int(wrapper), signal.SIGKILL)
        assert_killed(process.stdout)
        assert process.wait(60) == 128 + signal.SIGKILL


@confined
def test_killed_orchestrator_ends_all(arena: Arena) -> None:
    code = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    orchestrator = [sys.executable, "-c", code, *arena.command(*arena.wall.python, "-c", BEATS)]
    with subprocess.Popen(
        orchestrator, cwd=arena.worktree, env=arena.environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()
        assert_killed(process.stdout)


@confined
def test_written_bytes_limit(arena: Arena) -> None:
    code = "import time\nfor n in range(8): open(f'part{n}', 'wb').write(bytes(1024 * 1024))\ntime.sleep(60)"
    done = arena.python(code, arena.usual._replace(limits=ProcessLimits(scratch_bytes=4 * 1024 * 1024)))
    assert done.returncode == 128 + signal.SIGXFSZ
    assert "wrote more than max-scratch-bytes allows" in done.stderr


HIDES = {
    "deep": "for n in range(400): os.mkdir('d' * 200); os.chdir('d' * 200)",
    "deeper": "for n in range(3000): os.mkdir('d'); os.chdir('d')",
    "wide": "for n in range(300): os.mkdir('a'); os.mkdir('b'); os.chdir('b')",
    "closed": "os.mkdir('d'); os.chdir('d'); os.chmod('.', 0)",
}
"""Ways to hide bytes from the count."""


@behind(*CONFINED, Wall.USERS_LANDLOCK)
@pytest.mark.parametrize("how", HIDES)
@pytest.mark.sample(4)
def test_hidden_bytes_are_counted(arena: Arena, how: str) -> None:
    write = "[open(f'part{n}', 'wb').write(bytes(1024 * 1024)) for n in range(8)]"
    steps = [write, HIDES[how]] if how == "closed" else [HIDES[how], write]
    if how == "closed":
        steps = ["os.mkdir('d'); os.chdir('d')", write, "os.chmod('.', 0)"]
    code = "import os, time\n" + "\n".join(steps) + "\ntime.sleep(60)"
    done = arena.python(code, arena.usual._replace(limits=ProcessLimits(scratch_bytes=4 * 1024 * 1024)))
    assert done.returncode == 128 + signal.SIGXFSZ, done
    assert "wrote more than max-scratch-bytes allows" in done.stderr
    remove_tree(arena.worktree)


@confined
@pytest.mark.parametrize("how", ["deep", "deeper"])
@pytest.mark.sample(2)
def test_depth_alone_is_allowed(arena: Arena, how: str) -> None:
    code = f"import os, time\n{HIDES[how]}\ntime.sleep(3)"
    done = arena.python(code, arena.usual._replace(limits=ProcessLimits(scratch_bytes=4 * 1024 * 1024)))
    assert (done.returncode, done.stderr) == (0, "")
    remove_tree(arena.worktree)


@confined
@pytest.mark.sample(1)
def test_cpu_limit(arena: Arena) -> None:
    done = arena.python("while True: pass", arena.usual._replace(limits=ProcessLimits(cpu_seconds=1)))
    assert done.returncode in {128 + signal.SIGXCPU, 128 + signal.SIGKILL}


@behind(*USERS)
def test_process_limit(arena: Arena) -> None:
    code = "import os, time\ntry:\n  for n in range(400):\n    if not os.fork(): time.sleep(20)\nexcept OSError: print(n)"
    done = arena.python(code, arena.usual._replace(limits=ProcessLimits(processes=80)))
    assert done.stdout
    assert int(done.stdout) < 160, (
        "the user's other processes count too, and come and go: other tests start some"
    )


@behind(Wall.NONE)
def test_none_has_limits_and_environment(arena: Arena) -> None:
    wanted = arena.usual._replace(limits=ProcessLimits(file_bytes=1000, cpu_seconds=7))
    arena.environment["LOOKED_AT"] = "a 'b' $c"
    done = arena.run("bash", "-c", "ulimit -c; ulimit -Hf; ulimit -t; env -0", confinement=wanted)
    core, blocks, seconds, rest = done.stdout.split("\n", 3)
    assert (core, blocks, seconds) == ("0", "1", "7")
    names = {line.partition("=")[0] for line in rest.split("\0")} - {"PWD", "SHLVL", "_", ""}  # bash's own
    assert names == {*arena.environment, "TMPDIR"}
    assert "LOOKED_AT=a 'b' $c" in rest


@behind(Wall.NONE)
def test_none_reports_missing_program(arena: Arena) -> None:
    done = arena.run("no-such-program")
    assert (done.returncode, done.stderr) == (127, "gitbatch: no-such-program: No such file or directory\n")


@behind(Wall.NONE)
def test_none_works_without_proc(arena: Arena) -> None:
    """As on macOS."""
    bare = ("bwrap", "--bind", "/", "/", "--tmpfs", "/proc", "--dev", "/dev")
    done = subprocess.run(
        [*bare, *arena.command("echo", "works")], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("works\n", "")


@pytest.mark.parametrize(("module", "needed"), [("main", set()), ("server", {"socket"})])
def test_launcher_imports_are_light(module: str, needed: set[str]) -> None:
    """What a server has imported is copied with each fork: its page tables, and the pages that are written."""
    heavy = {"asyncio", "dataclasses", "inspect", "json", "pathlib", "re", "socket", "subprocess", "typing"}
    code = f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); import gitbatch.sandbox.launcher.{module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert heavy & set(done.stdout.split()) == needed
