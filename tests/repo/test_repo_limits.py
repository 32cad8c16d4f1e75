"""A process has no more memory than it is given, and one that comes near is ended."""

import os
import subprocess
import sys

from gitbatch.repo.limits import ProcessWatch, limit_memory, read_allocated

MEGABYTE = 1024 * 1024
HOARDER = f"import sys; held = bytearray({96 * MEGABYTE}); print('has it', flush=True); sys.stdin.read()"


def start(argv: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)


def test_a_limited_process_gets_no_more_memory() -> None:
    argv = (sys.executable, "-c", HOARDER)
    said = [start(limit_memory(most * MEGABYTE, argv)).communicate()[0] for most in (64, 256)]
    assert b"MemoryError" in said[0]
    assert said[1] == b"has it\n"


def test_a_process_near_its_limit_is_killed() -> None:
    with (
        start((sys.executable, "-c", HOARDER)) as process,
        ProcessWatch(process, 600.0, 100 * MEGABYTE) as watch,
    ):
        assert process.wait() == -9
    assert watch.has_killed


def test_a_process_far_from_its_limits_is_let_alone() -> None:
    with (
        start((sys.executable, "-c", HOARDER)) as process,
        ProcessWatch(process, 600.0, 4096 * MEGABYTE) as watch,
    ):
        assert process.stdout
        assert process.stdout.readline() == b"has it\n"
        assert read_allocated(process.pid) > 96 * MEGABYTE
        process.communicate()
    assert not watch.has_killed


def test_what_is_not_there_has_no_memory() -> None:
    with start(("true",)) as process:
        pass
    assert read_allocated(process.pid) == 0
    assert read_allocated(os.getpid()) > 0
