"""Addresses of clusters."""

import pytest

from gitbatch.project.cluster import ClusterAddress, TlsTable, find_address_problem, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tls://head:8786", ClusterAddress(is_encrypted=True, host="head", port=8786)),
        ("tls://[fe80::1]:1", ClusterAddress(is_encrypted=True, host="fe80::1", port=1)),
        ("tcp://127.0.0.1:8786", ClusterAddress(is_encrypted=False, host="127.0.0.1", port=8786)),
        ("tcp://[::1]:8786", ClusterAddress(is_encrypted=False, host="::1", port=8786)),
        ("tcp://localhost:8786", ClusterAddress(is_encrypted=False, host="localhost", port=8786)),
    ],
)
def test_address_is_read_and_shown(text: str, address: ClusterAddress) -> None:
    assert parse_address(text) == address
    assert str(address) == text
    assert find_address_problem(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("head:8786", "not an address such as"),
        ("tls://head", "not an address such as"),
        ("tls://head:0", "not an address such as"),
        ("tls://head:65536", "not an address such as"),
        ("tls://user@head:1", "not an address such as"),
        ("ucx://head:1", "not an address such as"),
        ("tls://head:1\n", "not an address such as"),
        ("tcp://head:8786", "not encrypted"),
        ("tcp://0.0.0.0:8786", "not encrypted"),
        ("tcp://localhost.evil.example:8786", "not encrypted"),
    ],
)
def test_other_addresses_are_refused(text: str, words: str) -> None:
    assert words in (find_address_problem(text) or "")


def test_files_of_a_certificate_are_outside_the_repository() -> None:
    assert TlsTable("/etc/ca.pem", "~/cert.pem", "~/key.pem").find_problem() is None
    assert "'key.pem' is neither an absolute path" in (TlsTable("/a", "~/b", "key.pem").find_problem() or "")
