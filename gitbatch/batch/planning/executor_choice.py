"""Choosing where the agents of a run work: by the configuration, or on the cluster that the user names."""

import ssl
from collections.abc import Mapping

from msgspec.structs import replace

from gitbatch.batch.planning.tls_files import TLS_VARIABLES, make_tls_context, read_tls_files
from gitbatch.errors import UsageError
from gitbatch.project.cluster import (
    DEFAULT_PORT,
    ClusterAddress,
    find_address_problem,
    parse_address,
)
from gitbatch.project.config import CONFIG_FILE, Config

_HOW = f"name them under [executor] in {CONFIG_FILE}: tls = {{ ca = …, cert = …, key = … }}, or in {', '.join(TLS_VARIABLES)}"


def choose_executor(config: Config, cluster: str | None, environment: Mapping[str, str]) -> Config:
    """Returns the configuration with the cluster that the user names, and the files of the certificate.

    Raises:
        GitbatchError: items cannot be sent to it, or the files cannot be used.
    """
    executor = config.executor
    if cluster is not None:
        require_address("--cluster", cluster)
        named = [name for name in ("include", "prepare") if getattr(config.batch, name)]
        if named:
            raise UsageError(
                f"batch.{named[0]} is not sent to workers", "run without --cluster, or remove the setting"
            )
        executor = replace(executor, kind="dask", cluster=cluster, workers=())
    if executor.kind != "dask":
        return config
    executor = replace(executor, tls=read_tls_files(environment) or executor.tls)
    address = parse_address(executor.cluster or "")
    if address and address.is_encrypted:
        if executor.tls is None:
            raise UsageError(f"{address} needs the files of a certificate", _HOW)
        make_tls_context(executor.tls, ssl.Purpose.SERVER_AUTH)
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
