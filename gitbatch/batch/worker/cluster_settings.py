"""How a worker joins a cluster, by the options of `gitbatch worker --connect`."""

from collections.abc import Mapping
from ipaddress import ip_address

from msgspec import Struct

from gitbatch.batch.planning.executor_choice import require_address
from gitbatch.batch.planning.tls_files import TLS_VARIABLES, read_tls_files
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
    host, _, port = listen.rpartition(":")
    where = f"[{host}]:{port}" if _is_plain_ipv6(host) else listen  # as pods name theirs: $(POD_IP):8790
    found = parse_address(f"{'tls' if scheduler.is_encrypted else 'tcp'}://{where}")
    if found is None:
        raise UsageError(f"--listen: {listen!r} is not HOST:PORT", "for example: --listen 0.0.0.0:8790")
    return require_safe(found)


def _is_plain_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False


def require_safe(listen: ClusterAddress) -> ClusterAddress:
    """Returns an address at which a worker may listen.

    Raises:
        UsageError: it is not encrypted, and reached from other machines.
    """
    if listen.is_encrypted or listen.is_loopback:
        return listen
    raise UsageError(
        f"{listen.host} is reached from other machines, and the cluster is not encrypted",
        "use a cluster with tls://, or one at 127.0.0.1",
    )


def require_alone(*, has_nanny: bool, memory_limit: int | None) -> None:
    """Refuses a Dask worker that Dask may kill, with the agents that are paid for.

    Raises:
        UsageError: it has a nanny, or a limit of memory.
    """
    if has_nanny or memory_limit:
        raise UsageError(
            "no worker for runs, as Dask's nanny and its limit of memory kill agents that are paid for: "
            "add --no-nanny --memory-limit 0",
        )
