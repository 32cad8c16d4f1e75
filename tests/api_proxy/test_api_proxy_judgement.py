"""What passes the proxy, by pure values: exact hosts, exact paths, the key where the placeholder stands."""

import pytest
from api_proxy.proxied import KEY, ROUTES

from gitbatch.api_proxy.judgement import Forward, Head, Refusal, Tunnel, encode_host, judge_request
from gitbatch.api_proxy.routes import Route
from gitbatch.api_proxy.rules import ProxyKey, ProxyRules

GEMINI = Route("POST", "/v1beta/models/*:generateContent", spends=True)
RULES = ProxyRules(
    hosts=("api.example.com",),
    named_hosts=("gw.example.com:8443", "10.0.0.5", "[fd00::1]"),
    origin="https://api.example.com/base/",
    routes=(*ROUTES, GEMINI),
    key=KEY,
)
OURS = (("x-api-key", KEY.placeholder),)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("api.example.com:443", Tunnel("api.example.com", 443, is_named=False)),
        ("API.Example.COM.:443", Tunnel("api.example.com", 443, is_named=False)),
        ("gw.example.com:8443", Tunnel("gw.example.com", 8443, is_named=True)),
        ("10.0.0.5:443", Tunnel("10.0.0.5", 443, is_named=True)),
        ("[FD00::1]:443", Tunnel("[fd00::1]", 443, is_named=True)),
        *(
            (target, None)
            for target in (
                *("api.example.com", "api.example.com:80", "api.example.com:0", "api.example.com:99999"),
                *("gw.example.com:443", "evil.example.com:443", "api.example.com.evil.org:443"),
                *("xapi.example.com:443", "sub.api.example.com:443", "api.example.com..:443"),
                *("127.0.0.1:443", "localhost:443", "169.254.169.254:80", "[::1]:443", "0x7f.1:443"),
                *("2130706433:443", "[::ffff:10.0.0.5]:443", "user@api.example.com:443"),
                *(
                    "api.example.com:443/path",
                    "api.example.com%2eevil.org:443",
                    "*",
                    "/",
                    "http://api.example.com",
                ),
            )
        ),
    ],
)
def test_tunnels(target: str, expected: Tunnel | None) -> None:
    judged = judge_request(RULES, Head("CONNECT", target))
    if expected is None:
        assert isinstance(judged, Refusal)
        assert judged.status == 403
    else:
        assert judged == expected


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", "/v1/messages", 0),
        ("POST", "/v1/messages?beta=true", 0),
        ("POST", "/v1/messages/count_tokens?beta=true", 0),
        ("HEAD", "/", 0),
        ("POST", "/v1beta/models/gemini-2.5-pro:generateContent?alt=sse", 0),
        *(
            ("POST", target, 404)
            for target in (
                *("/v1/files", "/v1/messages/", "/v1/messages/batches", "/v1/messages/../files"),
                *("//v1/messages", "/v1//messages", "/v1/./messages", "/v1/%6dessages", "/v1/messages%2f..%2ffiles"),
                *("/v1/messages;x", "/v1/messages#x", "/V1/messages", "/v1/messages\\..\\files", "/v1/messages?a=b/../c"),
                *("/v1/messages?x=%0d%0aHost:evil", f"/v1/messages?{'a' * 300}", "/", "/v1/messages??x"),
                *("/v1beta/models/..:generateContent", "/v1beta/models/a/b:generateContent"),
                *("/v1beta/models/:generateContent", "/v1beta/models/a:deleteModel"),
            )
        ),
        ("GET", "/v1/messages", 404),
        ("DELETE", "/v1/messages", 404),
        ("GET", "/", 404),
        ("OPTIONS", "*", 400),
        ("POST", "http://api.example.com/v1/messages", 400),
        ("POST", "https://evil.example/v1/messages", 400),
        ("POST", "v1/messages", 400),
        ("POST", "/v1/messages?key=AIzaSy", 401),
        ("POST", "/v1/messages?beta=true&access_token=x", 401),
    ],
)  # fmt: skip
def test_requests(method: str, target: str, status: int) -> None:
    judged = judge_request(RULES, Head(method, target, OURS))
    if status:
        assert isinstance(judged, Refusal)
        assert judged.status == status
        assert judged.log_line
    else:
        assert isinstance(judged, Forward)
        assert judged.url == f"https://api.example.com/base{target}"


def test_a_web_socket_is_answered_so_that_the_program_does_without() -> None:
    upgrade = (("connection", "Upgrade"), ("upgrade", "websocket"))
    assert judge_request(RULES, Head("GET", "/v1/messages", upgrade)) == Refusal(
        426, "requests are passed on by HTTP only", ""
    )
    judged = judge_request(RULES, Head("GET", "/v1/files", upgrade))
    assert isinstance(judged, Refusal)
    assert judged.status == 404


def test_without_a_server_only_hosts_pass() -> None:
    rules = ProxyRules(hosts=("a.example",), routes=ROUTES)
    assert isinstance(judge_request(rules, Head("POST", "/v1/messages")), Refusal)
    assert isinstance(judge_request(rules, Head("CONNECT", "a.example:443")), Tunnel)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([("x-api-key", KEY.placeholder)], [("x-api-key", KEY.value)]),
        ([("authorization", f"Bearer {KEY.placeholder}")], [("authorization", f"Bearer {KEY.value}")]),
        ([("authorization", f"bearer  {KEY.placeholder}")], [("authorization", f"bearer  {KEY.value}")]),
        ([("x-goog-api-key", KEY.placeholder)], [("x-goog-api-key", KEY.value)]),
        ([], []),
        ([("x-api-key", "sk-ant-api03-of-another")], None),
        ([("x-api-key", "")], None),
        ([("x-api-key", KEY.placeholder), ("x-api-key", "another")], None),
        ([("x-api-key", KEY.placeholder), ("authorization", "Bearer another")], None),
        ([("authorization", KEY.placeholder)], [("authorization", KEY.value)]),
        ([("authorization", "Basic dXNlcjpwYXNz")], None),
        ([("authorization", f"Bearer {KEY.placeholder}x")], None),
        ([("api-key", "another")], None),
    ],
)
def test_keys(given: list[tuple[str, str]], sent: list[tuple[str, str]] | None) -> None:
    judged = judge_request(RULES, Head("POST", "/v1/messages", tuple(given)))
    if sent is None:
        assert isinstance(judged, Refusal)
        assert (judged.status, judged.log_line) == (401, "POST /v1/messages with another key")
    else:
        assert isinstance(judged, Forward)
        assert list(judged.headers[:-1]) == sent


def test_a_server_without_a_key_gets_none() -> None:
    """A local server needs no key, but its client insists on sending one."""
    head = Head("POST", "/v1/messages", (("authorization", "Bearer none"), ("x", "y")))
    keyless = ProxyRules(origin="http://x", routes=ROUTES, key=ProxyKey("", "none"))
    judged = judge_request(keyless, head)
    assert isinstance(judged, Forward)
    assert judged.headers == (("x", "y"), ("accept-encoding", "identity"))
    unknown = ProxyRules(origin="http://x", routes=ROUTES)
    assert isinstance(judge_request(unknown, head), Refusal)


def test_headers_that_say_something_about_the_connection_or_the_client_are_dropped() -> None:
    given = (
        *(("host", "x"), ("content-length", "2"), ("connection", "close, X-Hop"), ("x-hop", "1"), ("te", "trailers")),
        *(("transfer-encoding", "chunked"), ("upgrade", "websocket"), ("sec-websocket-key", "x"), ("cookie", "a=b")),
        *(("proxy-authorization", "Basic x"), ("x-forwarded-host", "evil"), ("forwarded", "for=x"), ("via", "x")),
        *(("x-http-method-override", "DELETE"), ("x-original-url", "/v1/files"), ("expect", "100-continue")),
        *(("accept-encoding", "gzip"), ("anthropic-version", "2023-06-01"), ("user-agent", "claude-cli/2")),
    )  # fmt: skip
    judged = judge_request(RULES, Head("POST", "/v1/messages", given))
    assert isinstance(judged, Forward)
    assert judged.headers == (
        ("anthropic-version", "2023-06-01"),
        ("user-agent", "claude-cli/2"),
        ("accept-encoding", "identity"),
    )


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("Example.COM", "example.com"),
        ("example.com:443", "example.com"),
        ("example.com:8443", "example.com:8443"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("10.0.0.5", "10.0.0.5"),
        ("fd00::1", "[fd00::1]"),
        ("[fd00::1]:8443", "[fd00::1]:8443"),
        ("*.example.com", None),
        ("https://example.com", None),
        ("example.com/path", None),
        ("example.com:0", None),
        ("example.com:x", None),
        ("", None),
        (".", None),
        ("a b", None),
    ],
)
def test_entries_of_allow_hosts(entry: str, host: str | None) -> None:
    if host is None:
        with pytest.raises(ValueError, match="not a host"):
            encode_host(entry)
    else:
        assert encode_host(entry) == host


def test_a_placeholder_is_new_for_each_start_and_looks_right() -> None:
    one, two = (ProxyKey.hide_value("real", "sk-ant-api03-") for _ in range(2))
    assert one.placeholder.startswith("sk-ant-api03-")
    assert len(one.placeholder) > 60
    assert one.placeholder != two.placeholder
    assert "real" not in repr(one)
