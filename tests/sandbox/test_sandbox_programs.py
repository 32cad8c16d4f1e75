"""What a program has behind a wall: all that it needs to work, its limits, and an end."""

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
def test_the_end_of_a_program_is_told(arena: Arena, end: str, code: int) -> None:
    done = arena.run("sh", "-c", end)
    assert done.returncode in {code, 128 - code if arena.wall is Wall.NONE else code}


@everywhere
def test_what_it_reads_and_says_passes_through(arena: Arena) -> None:
    done = arena.run("sh", "-c", "cat; echo no >&2", stdin="yes\n" * 50_000)
    assert (done.stdout, done.stderr) == ("yes\n" * 50_000, "no\n")


@everywhere
def test_it_finds_its_place_and_what_it_is_given(arena: Arena) -> None:
    arena.environment["GIVEN"] = "a b"
    done = arena.run(
        "sh", "-c", 'pwd -P; echo "$TMPDIR"; cat "$0"; echo "$GIVEN"', str(arena.scratch / "prompt.md")
    )
    assert done.stdout.splitlines() == [str(arena.worktree), str(arena.scratch / "tmp"), "Do it.", "a b"]


@confined
def test_its_environment_is_what_it_is_given(arena: Arena) -> None:
    done = arena.run("env")
    named = {line.partition("=")[0] for line in done.stdout.splitlines()}
    assert named - set(arena.environment) <= {"TMPDIR", "PWD"}


@everywhere
def test_it_works_in_its_worktree_and_scratch_folder(arena: Arena) -> None:
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
def test_its_signals_are_as_a_program_finds_them(arena: Arena) -> None:
    """A shell takes no ignored signal back: without a sandbox they are as they were where gitbatch was started."""
    done = arena.run("grep", "-E", "SigIgn|SigBlk", "/proc/self/status")
    found = {name: int(number, 16) for name, number in map(str.split, done.stdout.splitlines())}
    assert found == {"SigBlk:": 0, "SigIgn:": inherited_signals() if arena.wall is Wall.NONE else 0}


def inherited_signals() -> int:
    """Returns the mask of the signals that were ignored where the tests were started, as in a background job."""
    ours = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them, and no child of it does
    ignored = (number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN)
    return sum(1 << (number - 1) for number in ignored if number not in ours)


@everywhere
def test_git_can_be_read(arena: Arena) -> None:
    (arena.home / ".gitconfig").write_text("[user]\n")
    done = arena.run(
        "sh", "-c", "echo x >> README.md; git status --short && git log --format=%s && git diff --stat"
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[:2] == [" M README.md", "The plan"]


@confined
def test_the_usual_devices_are_there(arena: Arena) -> None:
    done = arena.run(
        "bash",
        "-c",
        "cat <(echo one) /dev/null; head -c 2 /dev/zero | wc -c; head -c 1 /dev/urandom | wc -c; : > /dev/full",
    )
    assert done.stdout.split() == ["one", "2", "1"]


@confined
def test_it_knows_itself_and_the_machine(arena: Arena) -> None:
    done = arena.python(
        "for name in ('self/status', 'self/maps', 'meminfo', 'cpuinfo'): print(open(f'/proc/{name}').readline())"
    )
    assert done.returncode == 0, done.stderr


@everywhere
def test_no_power_is_left(arena: Arena) -> None:
    if arena.wall is Wall.NONE:
        pytest.skip("it is the user")
    done = arena.run("grep", "-E", "Cap|NoNewPrivs", "/proc/self/status")
    held = dict(line.split(":\t") for line in done.stdout.splitlines())
    bounding = held.pop("CapBnd")
    assert set(held.values()) == {"0" * 16, "1"}
    assert bounding == "0" * 16 or arena.wall.user


@confined
def test_what_gitbatch_has_open_is_not_handed_on(arena: Arena) -> None:
    with (arena.home / ".ssh/id_ed25519").open() as file:
        os.set_inheritable(file.fileno(), True)
        code = f"import os; print(os.read({file.fileno()}, 99))"
        argv = arena.command(*arena.wall.python, "-c", code)
        done = subprocess.run(argv, env=arena.environment, pass_fds=[file.fileno()], capture_output=True, text=True, check=False)  # fmt: skip
    assert SECRET not in done.stdout
    assert "Bad file descriptor" in done.stderr


@confined
def test_nothing_else_can_be_written(arena: Arena) -> None:
    """Not even in memory: an empty folder that hides another is closed, and so is the root of it all."""
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
def test_home_and_tmp_are_its_own_or_closed(arena: Arena) -> None:
    """Home is an empty folder of its own; /tmp too in bubblewrap, and in Landlock closed."""
    script = "for folder in ~ /tmp; do echo x > $folder/mine && ls -A $folder; done 2>/dev/null"
    own = ["mine"] * (2 if arena.wall is Wall.BUBBLEWRAP else 1)
    assert arena.run("sh", "-c", script).stdout.split() == own
    assert not (arena.home / "mine").exists()
    assert (arena.scratch / "home/mine").exists()
    assert not Path("/tmp/mine").exists()  # noqa: S108


@confined
def test_what_it_may_see_of_the_user_s_home_it_finds_in_its_own(arena: Arena) -> None:
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
def test_a_home_that_is_all_writable_is_the_user_s(arena: Arena) -> None:
    listed = arena.usual._replace(writable=(arena.home,))
    arena.run("sh", "-c", "echo x > ~/mine", confinement=listed)
    assert (arena.home / "mine").exists()


@behind(*CONFINED, *USERS)
def test_a_program_starts_where_it_cannot_see_the_python_that_starts_it(arena: Arena) -> None:
    """As with uv and pyenv, below the home folder: after Landlock holds, Python can import nothing."""
    confined = arena.usual._replace(path="/usr/bin:/bin")
    arena.environment["PATH"] = "/usr/bin:/bin"
    done = arena.run("sh", "-c", f"cat {os.__file__} || echo works", confinement=confined)
    if arena.wall.user is None and Path(os.__file__).is_relative_to("/usr"):
        pytest.skip("this Python is the system's, and seen")
    assert (done.returncode, done.stdout.endswith("works\n")) == (0, True), done.stderr


@confined
def test_tmp_is_its_own_where_everything_is_in_tmp(arena: Arena) -> None:
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
def test_landlock_takes_more_away_than_it_has_to(arena: Arena) -> None:
    """What the README says works less than in bubblewrap."""
    for script in (
        "sh -c 'read line < /proc/self/status'; exit",
        "exec 3<>/dev/ptmx",
        "ls /",
        "echo > /dev/shm/mine",
    ):
        assert arena.run("sh", "-c", f"{script} $?").returncode, script


@confined
def test_what_is_listed_is_there(arena: Arena) -> None:
    cache = arena.home / "cache"
    cache.mkdir()
    listed = arena.usual._replace(needs=(arena.home / ".netrc", arena.home / "missing"), writable=(cache,))
    script = f"cat {arena.home}/.netrc; echo x > {cache}/file; echo x > {arena.home}/.netrc"
    done = arena.run("sh", "-c", script, confinement=listed)
    assert SECRET in done.stdout
    assert (cache / "file").exists()
    assert SECRET in (arena.home / ".netrc").read_text()


@everywhere
def test_a_term_signal_reaches_it(arena: Arena) -> None:
    code = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(print('farewell') or 9))\nprint('ready', flush=True)\ntime.sleep(20)"
    with arena.start(*arena.wall.python, "-c", code) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGTERM)
        assert process.stdout.read() == "farewell\n"
        assert process.wait(10) == 9


BEATS = """
import os, time
leads = os.fork()
if not leads: os.setsid()
print("beat", flush=True)
for _ in range(500): time.sleep(0.02)
print("ended by itself", flush=True)
"""
"""A program and its daemon, in a session of its own; both end after some seconds if nothing ends them before."""


def assert_killed(pipe: IO[str] | IO[bytes]) -> None:
    """Reads to the end, which comes when no process has the pipe open any more."""
    rest = pipe.read()
    assert "ended by itself" not in (rest if isinstance(rest, str) else rest.decode())


@behind(*CONFINED, *USERS)
def test_when_it_is_killed_all_that_it_started_ends(arena: Arena) -> None:
    with arena.start(*arena.wall.python, "-c", BEATS) as process:
        assert process.stdout
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGKILL)
        assert_killed(process.stdout)
        assert process.wait(10) == -signal.SIGKILL


@behind(*CONFINED, *USERS)
def test_when_what_keeps_it_is_killed_all_ends(arena: Arena) -> None:
    """Bubblewrap or our keeper: what is left is the process that gitbatch knows."""
    with arena.start(*arena.wall.python, "-c", BEATS) as process:
        assert process.stdout
        process.stdout.readline()
        wrapper = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        os.kill(int(wrapper), signal.SIGKILL)
        assert_killed(process.stdout)
        assert process.wait(10) == 128 + signal.SIGKILL


@confined
def test_when_gitbatch_is_killed_all_ends(arena: Arena) -> None:
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
def test_it_does_not_fill_the_disk(arena: Arena) -> None:
    code = "import time\nfor n in range(8): open(f'part{n}', 'wb').write(bytes(1024 * 1024))\ntime.sleep(20)"
    done = arena.python(code, arena.usual._replace(limits=ProcessLimits(scratch_bytes=4 * 1024 * 1024)))
    assert done.returncode == 128 + signal.SIGXFSZ
    assert "wrote more than max-scratch-bytes allows" in done.stderr


HIDES = {
    "deep": "for n in range(400): os.mkdir('d' * 200); os.chdir('d' * 200)",
    "deeper": "for n in range(3000): os.mkdir('d'); os.chdir('d')",
    "wide": "for n in range(300): os.mkdir('a'); os.mkdir('b'); os.chdir('b')",
    "closed": "os.mkdir('d'); os.chdir('d'); os.chmod('.', 0)",
}
"""Where an agent may put what it does not want to be counted."""


@behind(*CONFINED, Wall.USERS_LANDLOCK)
@pytest.mark.parametrize("how", HIDES)
def test_what_is_hidden_is_counted_too(arena: Arena, how: str) -> None:
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
def test_depth_alone_is_not_too_much(arena: Arena, how: str) -> None:
    code = f"import os, time\n{HIDES[how]}\ntime.sleep(3)"
    done = arena.python(code, arena.usual._replace(limits=ProcessLimits(scratch_bytes=4 * 1024 * 1024)))
    assert (done.returncode, done.stderr) == (0, "")
    remove_tree(arena.worktree)


@confined
def test_it_does_not_compute_for_ever(arena: Arena) -> None:
    done = arena.python("while True: pass", arena.usual._replace(limits=ProcessLimits(cpu_seconds=1)))
    assert done.returncode in {128 + signal.SIGXCPU, 128 + signal.SIGKILL}


@behind(*USERS)
def test_it_does_not_start_processes_without_end(arena: Arena) -> None:
    code = "import os, time\ntry:\n  for n in range(400):\n    if not os.fork(): time.sleep(20)\nexcept OSError: print(n)"
    done = arena.python(code, arena.usual._replace(limits=ProcessLimits(processes=80)))
    assert done.stdout
    assert int(done.stdout) < 160, (
        "the user's other processes count too, and come and go: other tests start some"
    )


@behind(Wall.NONE)
def test_without_a_sandbox_there_are_limits_and_a_clean_environment(arena: Arena) -> None:
    wanted = arena.usual._replace(limits=ProcessLimits(file_bytes=1000, cpu_seconds=7))
    arena.environment["LOOKED_AT"] = "a 'b' $c"
    done = arena.run("bash", "-c", "ulimit -c; ulimit -Hf; ulimit -t; env -0", confinement=wanted)
    core, blocks, seconds, rest = done.stdout.split("\n", 3)
    assert (core, blocks, seconds) == ("0", "1", "7")
    names = {line.partition("=")[0] for line in rest.split("\0")} - {"PWD", "SHLVL", "_", ""}  # bash's own
    assert names == {*arena.environment, "TMPDIR"}
    assert "LOOKED_AT=a 'b' $c" in rest


@behind(Wall.NONE)
def test_without_a_sandbox_a_program_that_is_not_there_is_told_as_with_one(arena: Arena) -> None:
    done = arena.run("no-such-program")
    assert (done.returncode, done.stderr) == (127, "gitbatch: no-such-program: No such file or directory\n")


@behind(Wall.NONE)
def test_where_there_is_no_proc_none_works_too(arena: Arena) -> None:
    """As on macOS."""
    bare = ("bwrap", "--bind", "/", "/", "--tmpfs", "/proc", "--dev", "/dev")
    done = subprocess.run(
        [*bare, *arena.command("echo", "works")], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("works\n", "")


def test_the_launcher_imports_nothing_heavy() -> None:
    heavy = {"asyncio", "dataclasses", "inspect", "json", "pathlib", "re", "socket", "subprocess", "typing"}
    code = f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); import gitbatch.sandbox.launcher.main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert not heavy & set(done.stdout.split())
