"""Connecting to a scheduler or a worker: encrypted, or on this machine."""

import asyncio
import os
import ssl

from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.project.cluster import ClusterAddress
from gitbatch.text import clean_text

PATIENCE = 10.0
"""Seconds that the other side has to answer, at each step of a new connection."""
_NEXT_ADDRESS = 0.25
"""Seconds without an answer after which the next address of a name is tried as well: those of IPv6 often come first (RFC 8305)."""
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect_streams(address: ClusterAddress, context: ssl.SSLContext | None) -> Streams:
    """Connects to an address.

    Raises:
        ChannelError: it cannot be reached, or has no certificate of the cluster; or it is not encrypted, and should be.
    """
    if (context is not None) != address.is_encrypted or not (address.is_encrypted or address.is_loopback):
        raise ChannelError(f"{address} is not connected to: it is not encrypted as the rest of the cluster")
    try:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.open_connection(
                address.host, address.port, ssl=context, happy_eyeballs_delay=_NEXT_ADDRESS
            )
    except TimeoutError as error:
        raise ChannelError(f"{address} does not answer") from error
    except (OSError, UnicodeError) as error:  # the latter: a name that cannot be one of a host
        raise ChannelError(clean_text(f"{address}: {_describe_error(error) or 'it hangs up'}")) from error


def describe_loss(error: OSError | EOFError) -> str:
    """Returns why a connection is gone, by the error of reading or writing."""
    if isinstance(error, ssl.SSLError):
        return _describe_error(error)
    why = _describe_error(error) if isinstance(error, OSError) else ""
    return f"the connection is gone ({why})" if why else "the connection is gone"


def _describe_error(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "not the name of a host"
    if not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    reason = error.reason or str(error)
    if isinstance(error, ssl.SSLCertVerificationError):  # that it has expired, for example
        reason = f"{reason}: {error.verify_message}"
    if "ALERT" in reason:  # what the other side says of ours
        return f"it does not accept this certificate ({reason})"
    return f"its certificate is not one of the cluster, or it is not encrypted ({reason})"
