"""The proxies in the user's environment: the proxy for agents goes out through them, as other programs do."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from msgspec import Struct

from gitbatch.errors import GitbatchError

LOGIN_WANTED = "the proxy in the environment wants a login (407): HTTPS_PROXY=http://user:password@host:port"
_SCHEMES = frozenset({"http", "https"})


class ProxyLoginError(OSError):
    """The user's proxy wants a login, which no wait gives it."""

    def __init__(self) -> None:
        super().__init__(LOGIN_WANTED)


class UserProxies(Struct, frozen=True):
    """The addresses of the user's proxies."""

    https: str = ""
    """For https and CONNECT; empty: none."""
    http: str = ""
    bypass: tuple[str, ...] = ()
    """The entries of NO_PROXY."""

    def find_proxy(self, scheme: str, host: str, port: int) -> str:
        """Returns the address of the proxy for a server; empty if it is reached without one."""
        proxy = self.https if scheme == "https" else self.http
        return "" if not proxy or any(_is_bypassed(entry, host, port) for entry in self.bypass) else proxy

    def describe_way(self, scheme: str, host: str, port: int) -> str:
        """Returns by which proxy a server is reached, for an error; empty if without one. What is before `@` is secret."""
        where = urlsplit(self.find_proxy(scheme, host, port)).netloc.rpartition("@")[2]
        return f" by the proxy of your environment, {where}" if where else ""


def read_user_proxies(environment: Mapping[str, str]) -> UserProxies:
    """Returns the proxies that an environment names; the variable in lower case counts first, as in curl.

    Raises:
        GitbatchError: one is of a kind that is not supported.
    """
    of_all = _first_value(environment, "all_proxy", "ALL_PROXY")
    https = _first_value(environment, "https_proxy", "HTTPS_PROXY") or of_all
    http = _first_value(environment, "http_proxy", "HTTP_PROXY") or of_all
    entries = _first_value(environment, "no_proxy", "NO_PROXY").replace(",", " ").split()
    return UserProxies(_require_supported(https), _require_supported(http), tuple(map(str.lower, entries)))


def _first_value(environment: Mapping[str, str], *names: str) -> str:
    return next((value for name in names if (value := environment.get(name, "").strip())), "")


def _require_supported(proxy: str) -> str:
    """Returns the address of a proxy with its scheme; it is never shown, because it may have a password."""
    if not proxy:
        return ""
    address = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(address)
        is_valid = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise GitbatchError(
            "a proxy in the environment is not of the form http://host:port",
            "unset it (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY), or name an HTTP proxy; SOCKS is not supported",
        )
    return address


def _is_bypassed(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY covers a server: `*`, a name with the names below it, an address or a network."""
    if entry == "*":
        return True
    name, colon, number = entry.rpartition(":")
    if colon and number.isdigit() and ":" not in name:
        if int(number) != port:
            return False
        entry = name
    try:
        return ip_address(host.strip("[]")) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        suffix = entry.removeprefix("*").removeprefix(".")
        return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))
