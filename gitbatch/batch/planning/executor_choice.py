"""Choosing where the agents of a run work: by the configuration, or on the cluster that the user names."""

import ssl
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from gitbatch.batch.planning.tls_files import TLS_VARIABLES, make_tls_context, read_tls_files
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.project.cluster import (
    DEFAULT_PORT,
    ClusterAddress,
    find_address_problem,
    parse_address,
)
from gitbatch.project.config import CONFIG_FILE, Config
from gitbatch.project.executor_table import ExecutorTable

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


def require_executor(
    config: Config, cluster: str | None, environment: Mapping[str, str], checkout: Path
) -> None:
    """Refuses an executor that items, or keys, cannot be sent to. See `choose_executor`, and `require_private`.

    Raises:
        GitbatchError: that is so.
    """
    require_private(choose_executor(config, cluster, environment).executor, checkout)


def require_private(executor: ExecutorTable, checkout: Path) -> None:
    """Refuses to send keys by a way that others may listen at, or where the repository's author could answer.

    Raises:
        GitbatchError: that is so.
    """
    problem = executor.find_secrets_problem()  # options may have changed the settings
    if executor.secrets == "send" and executor.kind == "dask" and not problem:
        problem = _find_authority_problem(executor, checkout)
    if problem:
        raise GitbatchError(f"executor.secrets: {problem}", 'use ssh or TLS, or write secrets = "worker"')


def _find_authority_problem(executor: ExecutorTable, checkout: Path) -> str | None:
    """Returns why keys are not sent by an authority: its file is in the checkout, as `/proc/self/cwd` is too."""
    if executor.tls is None:
        return "keys are sent over TLS only, and executor.tls is not set"
    if Path(executor.tls.ca).expanduser().resolve().is_relative_to(checkout.resolve()):
        return f"the authority {executor.tls.ca} is in the checkout: it would be the repository's own"
    return None


def require_address(option: str, text: str) -> ClusterAddress:
    """Returns the address of a scheduler that an option names.

    Raises:
        UsageError: it is not one, or on another machine and not encrypted.
    """
    address, problem = parse_address(text), find_address_problem(text)
    if address is None or problem:
        raise UsageError(f"{option}: {problem}", f"for example: {option} tls://head:{DEFAULT_PORT}")
    return address
