"""The addresses that the proxy may connect to: a name that leads into this machine or its network is not followed.

A connection goes to the address that was judged, so a name that resolves differently a moment later changes nothing.
"""

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_Address = IPv4Address | IPv6Address
_THIS_HOST = IPv4Network("0.0.0.0/8")
"""Other names of this machine (RFC 6890)."""
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""IPv4 addresses behind a translator (RFC 6052)."""


class ForbiddenAddressError(OSError):
    """A host has no address that the agent may reach."""


async def resolve_host(host: str, port: int, *, is_named: bool) -> tuple[str, ...]:
    """Returns the addresses of a host that may be connected to.

    Args:
        host: a name or a literal address.
        port: the port.
        is_named: whether the user has named the host: then its addresses may be private, and a literal one any.

    Raises:
        ForbiddenAddressError: it has none.
        OSError: it cannot be resolved.
    """
    literal = _parse_literal(host)
    if literal is not None and is_named:
        return (str(literal),)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    allowed = tuple(dict.fromkeys(filter_addresses((str(entry[4][0]) for entry in found), is_named=is_named)))
    if not allowed:
        raise ForbiddenAddressError(f"{host} leads to this machine or to a private network")
    return allowed


def filter_addresses(addresses: Iterable[str], *, is_named: bool) -> list[str]:
    """Returns those of some addresses that may be connected to."""
    return [address for address in addresses if _is_allowed(ip_address(address), is_named=is_named)]


def _parse_literal(host: str) -> _Address | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def _is_allowed(address: _Address, *, is_named: bool) -> bool:
    inner = _inner_address(address)
    if inner is not None:
        return _is_allowed(inner, is_named=is_named)
    is_ours = address.is_loopback or address.is_unspecified or address in _THIS_HOST
    if is_ours or address.is_link_local or address.is_multicast:
        return False
    return address.is_global or (is_named and address.is_private and not address.is_reserved)


def _inner_address(address: _Address) -> _Address | None:
    """Returns the IPv4 address that an IPv6 address stands for; None: it stands for itself."""
    if isinstance(address, IPv4Address):
        return None
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
