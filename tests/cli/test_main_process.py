"""The end of the process: all that waits for it is done, but no object is freed one by one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_START = """
import atexit, sys, threading
from gitbatch import __main__

class Kept:
    def __del__(self):
        print("freed", flush=True)

def finish():
    started.wait()
    print("thread")

def main():
    started.set()
    sys.exit(code)

kept, started = Kept(), threading.Event()
threading.Thread(target=finish).start()
atexit.register(print, "at exit")
__main__.main = main
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [("3", "thread\nat exit\n"), ("'why'", "thread\nat exit\nfreed\n")],
    ids=["number", "text"],
)
def test_threads_and_exit_functions_end_before_the_process(code: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{_START}code = {code}\n__main__.run_process()"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == said
    assert (done.returncode, done.stderr) == ((3, "") if code == "3" else (1, "why\n"))


def test_caller_does_what_it_has_to_do_when_we_have_ended() -> None:
    """A profiler prints what it has measured, and coverage saves it."""
    profiled = "exec('try: __main__.run_process()\\nfinally: print(1)')"
    done = subprocess.run(
        [sys.executable, "-c", f"{_START}code = 3\n{profiled}"], stdout=subprocess.PIPE, check=False
    )
    assert (done.returncode, b"1" in done.stdout) == (3, True)  # a thread of it prints at the same time


def test_streams_that_were_closed_at_the_start() -> None:
    """Ctrl-C during the import comes before they are opened."""
    code = f"{_START}sys.stdout = sys.stderr = None\ncode = 130\n__main__.run_process()"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (130, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_output_that_cannot_be_written_is_reported() -> None:
    code = f"{_START}code = 0\n__main__.run_process()"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, env=environment, check=False
        )
    assert (done.returncode, b"No space left" in done.stderr) == (120, True)
