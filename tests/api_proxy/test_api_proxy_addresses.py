"""No name leads into this machine or its network, and the user's own proxies are used as other programs use them."""

import asyncio
import socket

import pytest

from gitbatch.api_proxy.addresses import ForbiddenAddressError, filter_addresses, resolve_host
from gitbatch.api_proxy.user_proxy import UserProxies, read_user_proxies
from gitbatch.errors import GitbatchError

PUBLIC = ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
PRIVATE = ["10.0.0.5", "172.16.0.1", "192.168.1.1", "fd00::1", "::ffff:10.0.0.5"]
NEVER = [
    *(
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "0.0.0.1",
        "0.1.2.3",
        "::",
        "169.254.169.254",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
    ),
    *("255.255.255.255", "240.0.0.1", "100.64.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached(address: str) -> None:
    assert filter_addresses([address], is_named=False) == [address]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_reached_by_hosts_that_the_user_names(address: str) -> None:
    assert filter_addresses([address], is_named=False) == []
    assert filter_addresses([address], is_named=True) == [address]


@pytest.mark.parametrize("address", NEVER)
def test_addresses_of_this_machine_are_never_reached_by_a_name(address: str) -> None:
    assert filter_addresses([address], is_named=False) == []
    assert filter_addresses([address], is_named=True) == []


def test_a_literal_address_is_reached_if_the_user_lists_it() -> None:
    assert asyncio.run(resolve_host("127.0.0.1", 443, is_named=True)) == ("127.0.0.1",)
    assert asyncio.run(resolve_host("[::1]", 443, is_named=True)) == ("::1",)
    with pytest.raises(ForbiddenAddressError, match="this machine"):
        asyncio.run(resolve_host("127.0.0.1", 443, is_named=False))


def test_a_name_that_leads_to_this_machine_is_refused_even_if_it_is_named() -> None:
    with pytest.raises(ForbiddenAddressError, match="localhost leads to this machine"):
        asyncio.run(resolve_host("localhost", 443, is_named=True))


def test_a_name_is_resolved_once_and_to_what_may_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def resolve(*query: object, **_more: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        asked.append(query[0])
        found = ("127.0.0.1", "93.184.216.34", "10.0.0.5", "93.184.216.34")
        return [(2, 1, 6, "", (address, 443)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert asyncio.run(resolve_host("a.example", 443, is_named=False)) == ("93.184.216.34",)
    assert asyncio.run(resolve_host("a.example", 443, is_named=True)) == ("93.184.216.34", "10.0.0.5")
    assert asked == ["a.example", "a.example"]


def test_proxies_of_the_environment() -> None:
    found = read_user_proxies({"HTTPS_PROXY": "http://a:1", "https_proxy": "b:2", "ALL_PROXY": "http://c:3"})
    assert found == UserProxies(https="http://b:2", http="http://c:3")
    assert read_user_proxies({}) == UserProxies()
    assert read_user_proxies({"NO_PROXY": "A.example, 10.0.0.0/8"}).bypass == ("a.example", "10.0.0.0/8")


@pytest.mark.parametrize("value", ["socks5://x:1", "http://", "http://x:0", "http://x:99999", "ftp://x"])
def test_a_proxy_that_cannot_be_used_is_said_at_the_start(value: str) -> None:
    with pytest.raises(GitbatchError, match="not of the form http://host:port") as caught:
        read_user_proxies({"ALL_PROXY": value.replace("x", "user:secret@x")})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("bypass", "host", "is_used"),
    [
        ("", "a.example", True),
        ("*", "a.example", False),
        ("example", "a.example", False),
        (".example", "a.example", False),
        ("*.example", "a.example", False),
        ("ample", "a.example", True),
        ("a.example:443", "a.example", False),
        ("a.example:80", "a.example", True),
        ("10.0.0.0/8", "10.1.2.3", False),
        ("10.0.0.0/8", "11.1.2.3", True),
        ("::1", "[::1]", False),
    ],
)
def test_what_the_user_excludes_is_reached_without_the_proxy(bypass: str, host: str, is_used: bool) -> None:  # noqa: FBT001 - a row
    proxies = UserProxies("http://p:1", "", (bypass,) if bypass else ())
    assert bool(proxies.find_proxy("https", host, 443)) is is_used
    assert not proxies.find_proxy("http", host, 80)
