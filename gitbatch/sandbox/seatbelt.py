"""The sandbox of macOS: Seatbelt, which enforces a profile on a program and all that it starts. By `sandbox-exec`.

Enforced by the profile (`seatbelt_profile.py`): a program reads the paths of its view, and writes its worktree without the
`.git` pointer in it, and its scratch folder; without `network` it has no sockets, with it only Internet sockets; it cannot
signal other processes, start services, or ask for the user's keys in the Keychain. $HOME names a folder of its own, in its
scratch folder, with links to what it may read of the user's.

With the network `api`, the proxy listens on a port of this machine's loopback, and the profile lets through that one.

Not enforced: the existence, size and times of any file can be read; with `network`, servers on this machine can be
reached; with `api`, other programs of this machine can connect to the proxy, but they do not know its placeholder; `max-scratch-bytes` and the number of processes are not limited; a process that leaves its process group is not
ended with the program, though it stays confined. All this is written from documents: it has not run on a Mac yet.
"""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from gitbatch.sandbox.filesystem_view import Access, FilesystemView, build_view, names_in_home, strict_output
from gitbatch.sandbox.model import Confinement, SandboxKind, Unavailable
from gitbatch.sandbox.seatbelt_profile import render_profile
from gitbatch.sandbox.shell import shell_command
from gitbatch.sandbox.tools import SYSTEM_FOLDERS

PROGRAM = "/usr/bin/sandbox-exec"
"""Part of macOS; not searched for on PATH, where a project could put its own."""
_TRIAL = 'echo started; : > "$1"'
_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Seatbelt:
    """Seatbelt, able to confine a program on this machine."""

    program: str = PROGRAM
    kind: SandboxKind = SandboxKind.SEATBELT

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        """Returns the command to start instead of `argv`; see `Sandbox.wrap_command`. It prepares the program's folders.

        The shell that sets the limits is confined too: its complaints are those of the program.
        """
        seen = build_view(argv, confinement)
        rules = dict(seen.rules)
        if output := strict_output(confinement):
            output.parent.mkdir(parents=True, exist_ok=True)
            rules[output] = Access.WRITE
        home = _make_home(seen, confinement)
        profile = render_profile(rules, confinement.network, confinement.api_port)
        return [self.program, "-p", profile, *shell_command(argv, confinement, home)]


def _make_home(seen: FilesystemView, confinement: Confinement) -> Path | None:
    """Makes the program's own $HOME, with symlinks to the visible parts of the user's; None: it may write the user's."""
    names = names_in_home(seen, confinement)
    if names is None:
        return None
    own = confinement.scratch / "home"
    for name in names:
        link = own / name
        link.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            link.symlink_to(confinement.home / name)
    own.mkdir(exist_ok=True)
    return own


@cache
def find_seatbelt(program: str = PROGRAM, platform: str = sys.platform) -> Seatbelt | Unavailable:
    """Finds out by a trial whether Seatbelt lets a program start, and refuses what it must. The answer is cached."""
    if platform != "darwin":
        return Unavailable("it needs macOS")
    with TemporaryDirectory() as folder:
        forbidden = Path(folder, "forbidden")
        readable = {path: Access.READ for path in SYSTEM_FOLDERS if path.exists()}
        trial = [
            program,
            "-p",
            render_profile(readable),
            "/bin/sh",
            "-c",
            _TRIAL,
            "sh",
            str(forbidden),
        ]
        try:
            done = subprocess.run(
                trial,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                cwd="/",
                timeout=_TIMEOUT,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Unavailable(f"{program} cannot be started ({error})")
        if not done.stdout:
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            return Unavailable(f"{program} does not work here ({said[0]})")
        return Unavailable("it is not effective") if forbidden.exists() else Seatbelt(program)
