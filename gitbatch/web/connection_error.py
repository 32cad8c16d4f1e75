"""Describes errors of connections, in our own words and those of the operating system, not of the libraries."""

import os
import ssl
from collections.abc import Iterator


def describe_connection_error(error: BaseException) -> str:
    """Returns why a connection failed; empty if the error is not about one."""
    import httpx2  # noqa: PLC0415 - imported by now

    words: tuple[tuple[type[Exception], str], ...] = (
        (httpx2.ConnectTimeout, "the server does not answer in time"),
        (httpx2.ReadTimeout, "the server was silent for too long"),
        (httpx2.TimeoutException, "the request could not be sent in time"),
        (httpx2.ProxyError, "the proxy refuses"),
        (httpx2.ConnectError, "the server cannot be reached"),
        (httpx2.DecodingError, "its compression cannot be read"),
        (httpx2.TooManyRedirects, "the server redirects in a circle"),
        (httpx2.ProtocolError, "the connection was broken, or the server does not speak HTTP"),
        (httpx2.HTTPError, "the connection was broken"),
        (OSError, "the connection was broken"),
    )
    chain = tuple(_error_chain(error))
    found = next((said for kind, said in words if any(isinstance(one, kind) for one in chain)), "")
    system = next(filter(None, map(_describe_system_error, chain)), "")
    return f"{found} ({system})" if found and system else found


def _error_chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and what led to it."""
    seen: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in seen:
        seen.append(one)
        yield one
        one = one.__cause__ or one.__context__


def _describe_system_error(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError) or not isinstance(error, OSError):
        return ""
    # Errors of name resolution have numbers of their own, below 1.
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or ""
