"""The second choice: Landlock, which needs no package and works inside containers. Our own launcher applies it.

Enforced: a program reads the paths of its view and writes its worktree and scratch folder only; without `network` it
has no sockets, with it only Internet sockets; it cannot trace processes that are not its own, nor signal them (since
ABI 6); no capability is left; all its processes end with it (a keeper ends them).

Not enforced, because the kernel asks Landlock about contents only:
  - the worktree's `.git` pointer can be replaced, since a right to a folder cannot be revoked for one file in it
    (`strict_output` prevents it). That misleads git in that worktree, where gitbatch never runs it after an agent;
  - mode and times of any of the user's files can be changed;
  - the existence, size and times of any file can be read;
  - before ABI 6 (Linux 6.12) the user's other processes can be signalled.
$HOME names a folder of its own, on disk in its scratch folder, with links to what it may read of the user's.
Less works than under bubblewrap: /tmp is not writable (TMPDIR is), /dev has no terminals and no shared memory, the
children of the program have no /proc/self (with an overlay they do: /proc shows the program's processes), loopback needs
`network`, and no file can get a set-user-id or set-group-id bit.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gitbatch.sandbox.command_line import launcher_command, probe_command
from gitbatch.sandbox.filesystem_view import Access, FilesystemView, build_view, names_in_home, strict_output
from gitbatch.sandbox.model import Confinement, SandboxKind, Unavailable

_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Landlock:
    """Landlock, enabled in the kernel."""

    abi: int
    """Its version; landlock(7) lists what each adds."""
    kind: SandboxKind = SandboxKind.LANDLOCK

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        """Returns the command to start instead of `argv`; see `Sandbox.wrap_command`."""
        seen = build_view(argv, confinement)
        output = strict_output(confinement)
        options = [*_rule_options(dict(seen.rules)), *(("--write", str(output)) if output else ())]
        return launcher_command(
            list(argv), confinement, "landlock", *options, *_home_options(seen, confinement)
        )


def _home_options(seen: FilesystemView, confinement: Confinement) -> Iterator[str]:
    """Yields the options that give the program a $HOME of its own, unless it may write the user's."""
    names = names_in_home(seen, confinement)
    if names is not None:
        yield from ("--home", str(confinement.home))
        for name in names:
            yield from ("--home-link", name)


def _rule_options(rules: dict[Path, Access]) -> Iterator[str]:
    hidden = {str(path) for path, access in rules.items() if access is Access.HIDDEN}
    around = {str(folder) for path in hidden for folder in Path(path).parents}
    for path, access in rules.items():
        if access is not Access.HIDDEN:
            for part in _visible_parts(str(path), hidden, around):
                yield from (f"--{access.value}", part)


def _visible_parts(path: str, hidden: set[str], around: set[str]) -> Iterator[str]:
    """Yields the largest parts of a path that hold nothing hidden: Landlock cannot revoke a rule further down."""
    if path in hidden:
        return
    if path in around:
        with os.scandir(path) as entries:
            below = sorted(entry.path for entry in entries if not entry.is_symlink())
        for part in below:
            yield from _visible_parts(part, hidden, around)
    else:
        yield path


@cache
def find_landlock() -> Landlock | Unavailable:
    """Finds out by a probe whether the kernel's Landlock suffices and is effective. The answer is cached for the process."""
    if sys.platform != "linux":
        return Unavailable("it needs Linux")
    done = subprocess.run(
        probe_command(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT,
    )
    if done.returncode:
        return Unavailable(done.stderr.strip() or f"exit code {done.returncode}")
    return Landlock(int(done.stdout))
