"""The choice of the sandbox: the configured kind, or the strongest that works; else an error with the reasons."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox.arena import Arena, Wall, behind
from waiting import expire_once

from gitbatch.sandbox import bubblewrap
from gitbatch.sandbox.bubblewrap import SEARCH_PATH, Bubblewrap, find_bubblewrap
from gitbatch.sandbox.landlock import find_landlock
from gitbatch.sandbox.model import SandboxKind, Unavailable
from gitbatch.sandbox.selection import select_sandbox

PACKAGE = Path(__file__).parents[2]

WITHOUT = """
import errno, sys
sys.path.insert(0, sys.argv[1])
from gitbatch.errors import GitbatchError
from gitbatch.sandbox.selection import select_sandbox
from gitbatch.sandbox.launcher.kernel import drop_capabilities
from gitbatch.sandbox.launcher.seccomp import install_filter, refuse_calls, require_argument
from gitbatch.sandbox.model import SandboxKind
NEW_NAMESPACE = 0x7E020000
steps = [(0x20, 0, 0, 0)]
if "landlock" in sys.argv: steps += refuse_calls([444], errno.EOPNOTSUPP)
if "bubblewrap" in sys.argv: steps += require_argument({clone}, 0, NEW_NAMESPACE, [0], errno.EPERM)
install_filter([*steps, (0x06, 0, 0, 0x7FFF0000)])
try:
    print(select_sandbox(SandboxKind(sys.argv[2])).kind)
except GitbatchError as error:
    print(error.message, error.advice, error.details, sep="\\n")
"""
"""A filter refuses system calls, as in a container, to a real bubblewrap and a real kernel."""


def found_without(wanted: SandboxKind, *kinds: SandboxKind) -> list[str]:
    """Returns the kind that is found, or the error, if some kinds do not work."""
    code = WITHOUT.replace("{clone}", {"x86_64": "56"}.get(os.uname().machine, "220"))
    argv = [sys.executable, "-c", code, str(PACKAGE), wanted, *kinds]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()


def test_each_kind_is_found() -> None:
    kinds = [SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK, SandboxKind.NONE]
    assert [select_sandbox(kind).kind for kind in kinds] == kinds


def test_auto_prefers_bubblewrap() -> None:
    assert select_sandbox(SandboxKind.AUTO).kind is SandboxKind.BUBBLEWRAP


def test_auto_falls_back_to_landlock() -> None:
    assert found_without(SandboxKind.AUTO, SandboxKind.BUBBLEWRAP) == ["landlock"]


def test_auto_never_chooses_none() -> None:
    said = found_without(SandboxKind.AUTO, SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK)
    assert said[0] == "no sandbox for agents works here"
    assert "install bubblewrap" in said[1]
    assert 'sandbox = "none"' in said[1]
    assert said[2].startswith("bubblewrap: /")
    assert said[3] == "landlock: the kernel refuses (system call: Operation not supported)"
    assert found_without(SandboxKind.NONE, SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK) == ["none"]


@pytest.mark.parametrize("kind", [SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK])
def test_requested_kind_is_not_replaced(kind: SandboxKind) -> None:
    assert found_without(kind, kind)[0].startswith(f"cannot use the sandbox: {kind}: ")


def bwrap(folder: Path, text: str) -> str:
    """Returns a folder with a program of that name."""
    (folder / "bwrap").write_text(text)
    (folder / "bwrap").chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("#!/bin/sh\necho 'bwrap: no namespaces' >&2; exit 1\n", "does not work here (bwrap: no namespaces)"),
        ("#!/bin/sh\nexit 3\n", "does not work here (exit code 3)"),
        ("#!/bin/sh\nprintf 'caf\\351' >&2; exit 1\n", "does not work here (caf\ufffd)"),
        ("no program", "cannot be started"),
    ],
)
def test_broken_bubblewrap(tmp_path: Path, text: str, why: str) -> None:
    found = find_bubblewrap(bwrap(tmp_path, text))
    assert isinstance(found, Unavailable)
    assert f"{tmp_path}/bwrap {why}" in found.reason


def test_bubblewrap_that_hangs_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a network file system that does not answer. The command of the trial is not in the reason."""
    monkeypatch.setattr(bubblewrap, "_TIMEOUT", 0.1)
    starts = tmp_path / "starts"
    expire_once(monkeypatch, starts.exists)
    found = find_bubblewrap(bwrap(tmp_path, f"#!/bin/sh\necho >> {starts}\nexec sleep 60\n"))
    assert found == Unavailable(f"{tmp_path}/bwrap took longer than 0.1 seconds")
    assert starts.read_text() == "\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has bubblewrap")
def test_trial_of_bubblewrap_ends_by_itself(tmp_path: Path) -> None:
    """If bubblewrap was killed before it let its child begin, that child would stay: Ctrl-C in the first moments of a run."""
    told = tmp_path / "told"
    found = find_bubblewrap(
        bwrap(tmp_path, f'#!/bin/sh\necho "$*" > {told}; cut -d " " -f 1,6 /proc/$$/stat >> {told}\n')
    )
    options, process = told.read_text().splitlines()
    assert len(set(process.split())) == 1, "the process leads a session of its own"
    assert "--die-with-parent" not in options
    assert isinstance(found, Bubblewrap)


def test_missing_bubblewrap(tmp_path: Path) -> None:
    assert find_bubblewrap(str(tmp_path)) == Unavailable("it is not installed")


@behind(Wall.CONTROL)
def test_old_bubblewrap_without_size(arena: Arena, tmp_path: Path) -> None:
    """Before 0.7 it has no --size; Ubuntu 22.04 has 0.6."""
    real = find_bubblewrap()
    assert isinstance(real, Bubblewrap)
    old = f'#!/bin/sh\ncase "$*" in *" --size "*) echo "bwrap: Unknown option --size" >&2; exit 1;; esac\nexec {real.program} "$@"\n'
    found = find_bubblewrap(bwrap(tmp_path, old))
    assert found == Bubblewrap(str(tmp_path / "bwrap"), sized=False)
    done = subprocess.run(found.wrap_command(["sh", "-c", "echo > /dev/shm/x"], arena.usual), check=False)
    assert done.returncode == 0


def test_probe_runs_once() -> None:
    assert find_bubblewrap(SEARCH_PATH) is find_bubblewrap(SEARCH_PATH)
    assert find_landlock() is find_landlock()
