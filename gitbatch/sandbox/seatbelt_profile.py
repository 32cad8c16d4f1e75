"""The text of a Seatbelt profile, from the access rules of a program. Pure: no disk, no process.

A profile only allows, on top of `(deny default)`. Which of two rules counts if one denies and one allows depends on their
order, on how specific the names of their operations are, and on whether they have a filter; without a denial the order
does not matter. So a folder that is hidden below a readable one is an exception in the filter of the readable one.

Facts that the text depends on, as reported for sandbox-exec of macOS 12 to 26:
  - paths are compared with the kernel's own: `/private/var/…`, never `/var/…`;
  - dyld reads the root folder itself, or aborts every program (macOS 26);
  - Node resolves its modules by `lstat` of all folders above them: metadata of every file is readable, as with Landlock;
  - an address is `localhost` or `*`, nothing else; `(local ip …)` on an outbound connection would allow every remote one;
  - an outbound rule without a filter includes Unix sockets: the user's ssh-agent, Docker.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from gitbatch.sandbox.filesystem_view import Access
from gitbatch.sandbox.model import Network

_PRIVATE = ("/var", "/tmp", "/etc")  # noqa: S108 - names of macOS's symlinks, no file is made there
"""What macOS links to a folder of the same name in /private."""
_READ = "file-read* file-map-executable process-exec*"
_WRITE = "file-write*"
_SERVICES = (
    "com.apple.bsd.dirhelper",
    "com.apple.logd",
    "com.apple.system.logger",
    "com.apple.system.notification_center",
    "com.apple.system.opendirectoryd.libinfo",
    "com.apple.system.opendirectoryd.membership",
)
"""The services that the C library asks: users and groups, time zone, log. None of them starts a program or has keys:
the Keychain (SecurityServer, securityd), Launch Services, Apple events and the clipboard are not here."""
_NETWORK_SERVICES = (
    "com.apple.SystemConfiguration.DNSConfiguration",
    "com.apple.SystemConfiguration.configd",
    "com.apple.networkd",
)
"""Name servers, and proxies of the system."""
_CERTIFICATES = '(allow mach-lookup (global-name "com.apple.trustd.agent"))\n'
"""The service that checks certificates."""
_KERNEL_NAMES = (
    *(
        "argmax",
        "bootargs",
        "hostname",
        "iossupportversion",
        "maxfilesperproc",
        "maxproc",
        "ngroups",
        "osproductversion",
    ),
    *(
        "osrelease",
        "ostype",
        "osvariant_status",
        "osversion",
        "secure_kernel",
        "tcsm_available",
        "tcsm_enable",
    ),
    *("usrstack64", "version", "willshutdown"),
)
"""Of `sysctl kern`: the machine and its limits. Not `kern.procargs2`, which has the environment of the user's programs."""
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_START = f"""\
(version 1)
(deny default)
(allow process-fork)
(allow signal (target same-sandbox))
(allow process-info* (target same-sandbox))
(allow file-read-metadata)
(allow file-read* (literal "/"))
(allow file-read* file-write-data (literal "/dev/null") (literal "/dev/zero"))
(allow file-read* file-write-data file-ioctl (literal "/dev/dtracehelper"))
(allow file-read* (literal "/dev/random") (literal "/dev/urandom") (subpath "/dev/fd"))
(allow file-write-data (literal "/dev/fd/1") (literal "/dev/fd/2"))
(allow sysctl-read (sysctl-name-prefix "hw.") (sysctl-name-prefix "machdep.") (sysctl-name-prefix "vm."))
(allow sysctl-read (sysctl-name "sysctl.proc_cputype") (sysctl-name "security.mac.lockdown_mode_state"))
(allow sysctl-read {" ".join(f'(sysctl-name "kern.{name}")' for name in _KERNEL_NAMES)})
(allow mach-lookup {" ".join(f'(global-name "{name}")' for name in _SERVICES)})
(allow ipc-posix-sem)
(allow ipc-posix-shm-read* (ipc-posix-name "apple.shm.notification_center"))
"""
_NETWORK = f"""\
(allow network-outbound (remote ip "*:*") (literal "/private/var/run/mDNSResponder"))
(allow network-bind network-inbound (local ip "*:*"))
(allow system-socket (require-all (socket-domain AF_SYSTEM) (socket-protocol 2)))
(allow sysctl-read (sysctl-name-prefix "net.routetable"))
(allow mach-lookup {" ".join(f'(global-name "{name}")' for name in _NETWORK_SERVICES)})
{_CERTIFICATES}"""


def render_profile(
    rules: Mapping[Path, Access], network: Network = Network.NONE, api_port: int | None = None
) -> str:
    """Returns the profile of a program.

    Args:
        rules: the access to paths; the deepest wins.
        network: what it may reach.
        api_port: with the network `api`, the one port of this machine's loopback; None: none.
    """
    named = {_private_name(path): access for path, access in rules.items()}
    lines = (f"{line}\n" for path in sorted(named) for line in _allow_path(path, named))
    return "".join((_START, *lines, _render_network(network, api_port)))


def _render_network(network: Network, api_port: int | None) -> str:
    if network is Network.API and api_port is not None:
        return f'(allow network-outbound (remote ip "localhost:{api_port}"))\n{_CERTIFICATES}'
    return _NETWORK if network is Network.ALL else ""


def _allow_path(path: Path, rules: Mapping[Path, Access]) -> Iterator[str]:
    """Yields the rules for a path, without the parts that another path below it decides."""
    if rules[path] is Access.HIDDEN:
        return
    below = [other for other in rules if path in other.parents]
    nested = [other for other in below if path == next(around for around in other.parents if around in rules)]
    parts = [
        f"(subpath {_quote(path)})",
        *(f"(require-not (subpath {_quote(other)}))" for other in sorted(nested)),
    ]
    yield f"(allow {_READ} {_join(parts)})"
    if rules[path] is Access.WRITE:
        # A folder above an exception may not be renamed: its contents would be elsewhere, where no exception is.
        above = {around for other in below if rules[other] is not Access.WRITE for around in other.parents}
        fixed = sorted(around for around in above if path in (around, *around.parents))
        parts += (f"(require-not (literal {_quote(folder)}))" for folder in fixed)
        yield f"(allow {_WRITE} {_join(parts)})"


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"(require-all {' '.join(parts)})"


def _private_name(path: Path) -> Path:
    """Returns a path as the kernel of macOS names it."""
    return Path("/private", *path.parts[1:]) if str(Path(*path.parts[:2])) in _PRIVATE else path


def _quote(path: Path) -> str:
    """Returns a path as a string of the profile language, which has the escapes of C."""
    return f'"{str(path).translate(_ESCAPES)}"'
