"""One side of an encrypted connection, by the files of its certificate.

Each side must have a certificate that the cluster's own authority has issued. Names of hosts are not compared, as Dask does not:
machines of a cluster come and go, and its authority issues none for others.
"""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from gitbatch.errors import GitbatchError, UsageError
from gitbatch.project.cluster import TlsTable

TLS_VARIABLES = ("GITBATCH_TLS_CA", "GITBATCH_TLS_CERT", "GITBATCH_TLS_KEY")
"""The variables with the files of a certificate."""
_MOST_AUTHORITIES = 8
"""The most of a cluster: its own, and those that it had before."""
_ADVICE = "correct executor.tls, the options --tls-…, or the variables GITBATCH_TLS_CA, _CERT and _KEY"


def make_tls_context(files: TlsTable, purpose: ssl.Purpose) -> ssl.SSLContext:
    """Returns the context of one side. `purpose`: what the other side is.

    Raises:
        GitbatchError: a file cannot be read, or is not what it should be; the key has a passphrase; there are more authorities
            than a cluster has.
    """
    try:
        named = {each: str(Path(getattr(files, each)).expanduser()) for each in ("ca", "cert", "key")}
        context = ssl.create_default_context(purpose, cafile=named["ca"])
        context.load_cert_chain(named["cert"], named["key"], partial(_refuse_passphrase, files.key))
    except (OSError, RuntimeError) as error:  # the latter: the home of an unknown user
        reason = error.reason if isinstance(error, ssl.SSLError) else getattr(error, "strerror", None)
        raise GitbatchError(
            f"cannot use the certificate {files.cert}, its key {files.key} and the authority {files.ca}: {reason or error}",
            _ADVICE,
        ) from error
    if len(context.get_ca_certs()) > _MOST_AUTHORITIES:
        raise GitbatchError(
            f"{files.ca} has the certificates of {len(context.get_ca_certs())} authorities: as names of hosts are not "
            "compared, a certificate of any of them would be one of the cluster",
            "name the file of the cluster's own authority",
        )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as Dask: authorities made by hand lack extensions
    return context


def _refuse_passphrase(key: str) -> str:
    """Refuses a key with a passphrase: OpenSSL would ask for it at the terminal, for each connection's context."""
    raise GitbatchError(
        f"the key {key} has a passphrase", f"name one without: openssl pkey -in {key} -out NEW-key.pem"
    )


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


def find_tls_keys(tls: TlsTable | None, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Returns the keys of certificates that a run may have: by them, a program could run others on all of a cluster.

    Args:
        tls: the files that the configuration names.
        environment: the user's, which may name others.
    """
    named = (tls.key if tls else "", environment.get(TLS_VARIABLES[-1], ""))
    found = []
    for name in filter(None, named):
        with suppress(RuntimeError):  # the home of an unknown user
            found.append(Path(name).expanduser().absolute())
    return tuple(found)
