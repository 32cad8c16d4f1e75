"""Where a worker of a cluster is to be found, by the options of `gitbatch worker --connect`."""

from collections.abc import Mapping

from msgspec import Struct

from gitbatch.batch.planning.executor_choice import TLS_VARIABLES, read_tls_files, require_address
from gitbatch.errors import UsageError
from gitbatch.project.cluster import ClusterAddress, TlsTable, parse_address


class ClusterSettings(Struct, frozen=True):
    """Where a worker is to be found."""

    scheduler: ClusterAddress
    tls: TlsTable | None
    """None: all of the cluster is on this machine."""
    listen: ClusterAddress | None = None
    """Where it listens for runs; None: at the address from which the scheduler is reached, on a free port."""


def read_cluster_settings(
    scheduler: str, listen: str | None, files: tuple[str | None, ...], environment: Mapping[str, str]
) -> ClusterSettings:
    """Returns what the options say.

    Args:
        scheduler: its address.
        listen: where the worker listens for runs, or nothing.
        files: those of the certificate; what is missing is named by the user's variables.
        environment: has the variables.

    Raises:
        UsageError: an option has no valid value, or a file is missing.
    """
    address = require_address("--connect", scheduler)
    named = {name: file for name, file in zip(TLS_VARIABLES, files, strict=True) if file}
    tls = read_tls_files({**environment, **named})
    if address.is_encrypted and tls is None:
        raise UsageError(
            f"{address} needs the files of a certificate", "add --tls-ca, --tls-cert and --tls-key"
        )
    tls = tls if address.is_encrypted else None
    return ClusterSettings(address, tls, _read_listen(listen, address) if listen else None)


def _read_listen(listen: str, scheduler: ClusterAddress) -> ClusterAddress:
    found = parse_address(f"{'tls' if scheduler.is_encrypted else 'tcp'}://{listen}")
    if found is None:
        raise UsageError(f"--listen: {listen!r} is not HOST:PORT", "for example: --listen 0.0.0.0:8790")
    if not found.is_encrypted and not found.is_loopback:
        raise UsageError(
            f"--listen: {listen} is reached from other machines, and the cluster is not encrypted",
            "use a cluster with tls://, or listen at 127.0.0.1",
        )
    return found
