"""A real OpenSSH server on loopback, with a host key, a user key and a home of its own, and a client's configuration for it."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from waiting import wait_until

SSHD = (
    shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin") if os.name == "posix" else None
)

_SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
StrictModes no
UsePAM no
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv HOME={home} PATH={path}
"""
_CLIENT = """\
Host gone
  Port {closed}
Host stranger
  HostKeyAlias stranger
Host locked
  User nobody
Host shared
  ControlMaster auto
  ControlPath {folder}/master
  ControlPersist 60
Host *
  Port {port}
  HostName 127.0.0.1
  IdentityFile {folder}/user
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
  GlobalKnownHostsFile /dev/null
  HostKeyAlias build1
"""


class SshServer(Struct, frozen=True):
    """A server that runs."""

    folder: Path
    home: Path
    """The home of those who log in."""
    process: int

    @property
    def config(self) -> Path:
        """The configuration of clients: the hosts `build1`, `shared` (with a master), and some that fail."""
        return self.folder / "config"

    def write_start_up(self, text: str) -> None:
        """Let the shell that a client's command is run by read a file first."""
        (self.home / ".bashrc").write_text(text)


@contextmanager
def serve_ssh(folder: Path, path: str) -> Iterator[SshServer]:
    """Runs a server. `path`: the PATH of commands."""
    assert SSHD
    folder.chmod(0o700)
    home = folder / "home"
    home.mkdir()
    for name in ("host", "user"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(words, check=True)
    with socket.socket() as taken, socket.socket() as closed:
        taken.bind(("127.0.0.1", 0))
        closed.bind(("127.0.0.1", 0))
        port, free = taken.getsockname()[1], closed.getsockname()[1]
    names = {"port": port, "closed": free, "folder": folder, "home": home, "path": path}
    (folder / "server").write_text(_SERVER.format_map(names))
    (folder / "config").write_text(_CLIENT.format_map(names))
    (folder / "known").write_text(f"build1 {(folder / 'host.pub').read_text()}")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "server")], stderr=log)
    try:
        wait_until(lambda: b"listening" in (folder / "log").read_bytes(), (folder / "log").read_text)
        yield SshServer(folder, home, process.pid)
    finally:
        process.terminate()
        process.wait()
