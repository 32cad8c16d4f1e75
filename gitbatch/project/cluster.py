"""The address of a Dask cluster, and the files by which this side of a connection shows who it is."""

from ipaddress import ip_address

from msgspec import Struct

from gitbatch.patterns import compile_later
from gitbatch.project.agent_table import ConfigTable, host_path_problem

_FORM = compile_later(r"(tls|tcp)://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")
DEFAULT_PORT = 8786


class TlsTable(ConfigTable, frozen=True):
    """The files of a certificate, in the PEM form."""

    ca: str
    """The certificate of the authority that has issued those of the cluster: of the scheduler, of each worker, and of each run."""
    cert: str
    """The certificate of this side."""
    key: str
    """Its key."""

    def find_problem(self) -> str | None:
        """Returns why these cannot be names of files outside the repository; None if they can."""
        return next(filter(None, map(host_path_problem, (self.ca, self.cert, self.key))), None)


class ClusterAddress(Struct, frozen=True):
    """Where a scheduler or a worker listens."""

    is_encrypted: bool
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        scheme, host = (
            "tls" if self.is_encrypted else "tcp",
            f"[{self.host}]" if ":" in self.host else self.host,
        )
        return f"{scheme}://{host}:{self.port}"


def parse_address(text: str) -> ClusterAddress | None:
    """Returns the address in a text such as `tls://head:8786`; None if it is not one, or has no port."""
    found = _FORM.fullmatch(text)
    if not found or not 0 < int(found[4]) < 2**16:
        return None
    return ClusterAddress(found[1] == "tls", found[2] or found[3], int(found[4]))


def find_address_problem(text: str) -> str | None:
    """Returns why a cluster at an address is not connected to; None if it is."""
    address = parse_address(text)
    if address is None:
        return f"{text!r} is not an address such as tls://head:{DEFAULT_PORT}"
    if not address.is_encrypted and not address.is_loopback:
        return f"{text!r} is on another machine, and not encrypted: use tls:// and certificates"
    return None
