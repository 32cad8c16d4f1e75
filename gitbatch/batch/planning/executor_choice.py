"""Where the agents of a run work: by the configuration, or on the cluster that the user names."""

from collections.abc import Mapping

from msgspec.structs import replace

from gitbatch.errors import UsageError
from gitbatch.project.cluster import (
    DEFAULT_PORT,
    ClusterAddress,
    TlsTable,
    find_address_problem,
    parse_address,
)
from gitbatch.project.config import CONFIG_FILE, Config

TLS_VARIABLES = ("GITBATCH_TLS_CA", "GITBATCH_TLS_CERT", "GITBATCH_TLS_KEY")
"""The variables with the files of a certificate: they override `executor.tls`."""
_HOW = f"name them under [executor] in {CONFIG_FILE}: tls = {{ ca = …, cert = …, key = … }}, or in {', '.join(TLS_VARIABLES)}"


def choose_executor(config: Config, cluster: str | None, environment: Mapping[str, str]) -> Config:
    """Returns the configuration with the cluster that the user names, and the files of the certificate.

    Raises:
        UsageError: items cannot be sent to it.
    """
    executor = config.executor
    if cluster is not None:
        require_address("--cluster", cluster)
        named = [name for name in ("include", "prepare") if getattr(config.batch, name)]
        if named:
            raise UsageError(
                f"batch.{named[0]} is not sent to workers", "run without --cluster, or remove the setting"
            )
        executor = replace(executor, kind="dask", cluster=cluster)
    if executor.kind != "dask":
        return config
    executor = replace(executor, tls=read_tls_files(environment) or executor.tls)
    address = parse_address(executor.cluster or "")
    if address and address.is_encrypted and executor.tls is None:
        raise UsageError(f"{address} needs the files of a certificate", _HOW)
    return replace(config, executor=executor)


def require_address(option: str, text: str) -> ClusterAddress:
    """Returns the address of a scheduler that an option names.

    Raises:
        UsageError: it is not one, or on another machine and not encrypted.
    """
    address, problem = parse_address(text), find_address_problem(text)
    if address is None or problem:
        raise UsageError(f"{option}: {problem}", f"for example: {option} tls://head:{DEFAULT_PORT}")
    return address


def read_tls_files(environment: Mapping[str, str]) -> TlsTable | None:
    """Returns the files that the user's variables name; None: they name none.

    Raises:
        UsageError: they name some of them.
    """
    named = [environment.get(name, "") for name in TLS_VARIABLES]
    if not any(named):
        return None
    if not all(named):
        missing = next(name for name, value in zip(TLS_VARIABLES, named, strict=True) if not value)
        raise UsageError(f"{missing} is not set", f"set all of {', '.join(TLS_VARIABLES)}, or none")
    return TlsTable(*named)
