"""Both sides of an encrypted connection: each must have a certificate that the cluster's own authority has signed.

Names of hosts are not compared, as Dask does not: machines of a cluster come and go, and its authority signs for no others.
"""

import asyncio
import os
import ssl
from pathlib import Path

from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.project.cluster import ClusterAddress, TlsTable
from gitbatch.text import clean_text

PATIENCE = 10.0
"""Seconds that the other side has to answer, at each step of a new connection."""
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def make_tls_context(files: TlsTable, purpose: ssl.Purpose) -> ssl.SSLContext:
    """Returns the context of one side. `purpose`: what the other side is.

    Raises:
        OSError: a file cannot be read, or has no certificate or key.
    """
    ca, cert, key = (str(Path(name).expanduser()) for name in (files.ca, files.cert, files.key))
    context = ssl.create_default_context(purpose, cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as Dask: authorities made by hand lack extensions
    context.load_cert_chain(cert, key)
    return context


async def connect_streams(address: ClusterAddress, context: ssl.SSLContext | None) -> Streams:
    """Connects to an address.

    Raises:
        ChannelError: it cannot be reached, or has no certificate of the cluster; or it is not encrypted, and should be.
    """
    if (context is not None) != address.is_encrypted or not (address.is_encrypted or address.is_loopback):
        raise ChannelError(f"{address} is not connected to: it is not encrypted as the rest of the cluster")
    try:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.open_connection(address.host, address.port, ssl=context)
    except TimeoutError as error:
        raise ChannelError(f"{address} does not answer") from error
    except OSError as error:
        raise ChannelError(clean_text(f"{address}: {_describe_error(error)}")) from error


def _describe_error(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
