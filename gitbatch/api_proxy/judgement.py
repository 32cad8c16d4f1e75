"""Judges a request of an agent: passed on, tunnelled, or refused. Pure; nothing is passed on that no rule names."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gitbatch.api_proxy.routes import Route
from gitbatch.api_proxy.rules import ProxyKey, ProxyRules
from gitbatch.patterns import compile_later

Header = tuple[str, str]
"""Its name in lower case, and its value."""
_HTTPS = 443
_AUTHORITY = compile_later(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")
_PART = "[A-Za-z0-9_-][A-Za-z0-9._-]*"
"""One part of a path where a route has `*`."""
_QUERY = compile_later(r"[A-Za-z0-9._~&=-]{0,256}")
_IN_QUERY = frozenset({"key", "api_key", "api-key", "apikey", "access_token", "token", "auth"})
_SHOWN = 60
_KEYS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "api-key"})
"""The headers in which servers of models accept a key."""
_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        *("proxy-authenticate", "proxy-authorization", "http2-settings"),
    }
)
_DROPPED = frozenset(
    {
        *("host", "content-length", "expect", "cookie", "forwarded", "via", "x-real-ip"),
        *("x-original-url", "x-rewrite-url", "x-http-method", "x-http-method-override", "x-method-override"),
        "accept-encoding",  # an answer that is compressed cannot be counted
    }
)
_DROPPED_STARTS = ("x-forwarded-", "proxy-", "sec-websocket-")


class Head(NamedTuple):
    """The head of a request."""

    method: str
    target: str
    headers: tuple[Header, ...] = ()


class Forward(NamedTuple):
    """A request that is passed on to the kind's own server."""

    route: Route
    url: str
    headers: tuple[Header, ...]


class Tunnel(NamedTuple):
    """A connection that is passed on to a host."""

    host: str
    port: int
    is_named: bool
    """Whether the user has named the host."""


class Refusal(NamedTuple):
    """An answer of the proxy itself."""

    status: int
    message: str
    log_line: str
    """What was refused, for people; empty: it is not recorded."""


def judge_request(rules: ProxyRules, head: Head) -> Forward | Tunnel | Refusal:
    """Returns what is done with a request."""
    if head.method == "CONNECT":
        return _judge_tunnel(rules, head.target)
    if not head.target.startswith("/"):
        what = _shorten(head.target)
        log_line = f"{head.method} {what} (other hosts are reached by https only)"
        return Refusal(
            400, "only requests for this server are passed on; other hosts by https only", log_line
        )
    path, _, query = head.target.partition("?")
    if _asks_for_upgrade(head) and any(_is_covered(route, route.method, path) for route in rules.routes):
        return Refusal(426, "requests are passed on by HTTP only", "")
    route = next((route for route in rules.routes if _is_covered(route, head.method, path)), None)
    if not rules.origin or route is None or not _QUERY.fullmatch(query):
        return Refusal(
            404, "not one of the requests that this agent needs", f"{head.method} {_shorten(path)}"
        )
    if _has_foreign_key(rules.key, head.headers) or _has_key(query):
        what = f"{head.method} {_shorten(path)} with another key"
        return Refusal(401, "the request has a key that is not the one of this agent", what)
    url = f"{rules.origin.rstrip('/')}{head.target}"
    return Forward(route, url, tuple(_kept_headers(rules.key, head.headers)))


def split_host(name: str) -> tuple[str, int]:
    """Returns a host in its one form, and the port: 443 if the name has none.

    Raises:
        ValueError: it is not the name or the address of a host.
    """
    found = _AUTHORITY.fullmatch(name if _has_port(name) else f"{name}:{_HTTPS}")
    if not found:
        raise ValueError(f"not a host: {name!r}")
    port = int(found[2])
    host = found[1].lower().removesuffix(".")
    if not host or not 0 < port < 2**16:
        raise ValueError(f"not a host: {name!r}")
    return host, port


def encode_host(name: str) -> str:
    """Returns an entry of `allow-hosts` in ASCII.

    Raises:
        ValueError: it is not the name or the address of a host.
    """
    host = name.strip()
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    host, port = split_host(host if host.isascii() else host.encode("idna").decode())
    return host if port == _HTTPS else f"{host}:{port}"


def _has_port(name: str) -> bool:
    return ":" in name.rpartition("]")[2]


def _judge_tunnel(rules: ProxyRules, target: str) -> Tunnel | Refusal:
    refused = Refusal(
        403,
        "this host is not one that the agent may reach (allow-hosts)",
        f"{_shorten(target)} (allow-hosts adds hosts)",
    )
    try:
        asked = split_host(target) if _has_port(target) else None
    except ValueError:
        return refused
    if asked is None:
        return refused
    if asked in map(split_host, rules.named_hosts):
        return Tunnel(*asked, is_named=True)
    return Tunnel(*asked, is_named=False) if asked in map(split_host, rules.hosts) else refused


def _asks_for_upgrade(head: Head) -> bool:
    """Whether a request is to become a WebSocket: Codex sends its requests without one if it is answered 426."""
    return head.method == "GET" and any(name == "upgrade" for name, _ in head.headers)


def _is_covered(route: Route, method: str, path: str) -> bool:
    pattern = _PART.join(map(re.escape, route.path.split("*")))
    return method == route.method and re.fullmatch(pattern, path) is not None


def _has_foreign_key(key: ProxyKey | None, headers: Iterable[Header]) -> bool:
    """Whether a request has a key that is not the placeholder."""
    given = [_key_in(name, value) for name, value in headers if name in _KEYS]
    return any(key is None or value != key.placeholder for value in given)


def _has_key(query: str) -> bool:
    return any(part.partition("=")[0].lower() in _IN_QUERY for part in query.split("&"))


def _key_in(name: str, value: str) -> str:
    """Returns the key in a header."""
    if name != "authorization":
        return value.strip()
    scheme, _, key = value.strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" else value


def _kept_headers(key: ProxyKey | None, headers: tuple[Header, ...]) -> Iterator[Header]:
    """Yields the headers that are passed on, with the key where the placeholder stands."""
    listed = {
        name.strip().lower()
        for header, value in headers
        if header == "connection"
        for name in value.split(",")
    }
    for name, value in headers:
        if name in _KEYS:
            if key and key.value:
                yield name, value.replace(key.placeholder, key.value)
        elif not (
            name in _HOP_BY_HOP or name in _DROPPED or name in listed or name.startswith(_DROPPED_STARTS)
        ):
            yield name, value
    yield "accept-encoding", "identity"


def keep_answer_header(name: str) -> bool:
    """Whether a header of an answer is passed on: it decides nothing about the connection, or where to go next."""
    return name not in _HOP_BY_HOP and name not in {
        "set-cookie",
        "location",
        "alt-svc",
        "content-length",
        "content-encoding",
    }


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
