"""What one item may reach through the proxy, and the key that the proxy puts on. Values only."""

import os
from dataclasses import dataclass, field

from msgspec import Struct

from gitbatch.api_proxy.routes import Route
from gitbatch.api_proxy.user_proxy import UserProxies

_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class ProxyKey:
    """The key of a server, and what the agent gets instead."""

    value: str = field(repr=False)
    placeholder: str = field(repr=False)

    @classmethod
    def hide_value(cls, value: str, prefix: str) -> "ProxyKey":
        """Returns a key with a new placeholder.

        Args:
            value: the key.
            prefix: what the program expects at the beginning of a key: it decides by that how it sends it.
        """
        return cls(value, f"{prefix}{os.urandom(_RANDOM_BYTES).hex()}")


class ProxyRules(Struct, frozen=True):
    """What the proxy lets through for one item."""

    hosts: tuple[str, ...] = ()
    """The hosts of the agent's kind for CONNECT: `name` or `name:port`. Their addresses must be public."""
    named_hosts: tuple[str, ...] = ()
    """The hosts that the user has named: their addresses may be private, and loopback only as a literal address."""
    origin: str = ""
    """The address of the kind's own server, to which requests of the agent are passed on; empty: none are."""
    routes: tuple[Route, ...] = ()
    """The requests that are passed on to it."""
    key: ProxyKey | None = None
    """None: requests are passed on with no key at all."""
    proxies: UserProxies = UserProxies()
    """The proxies of the user's environment, through which everything goes."""
    certificates: tuple[str, ...] = ()
    """Files of certificates in addition to the system's."""
