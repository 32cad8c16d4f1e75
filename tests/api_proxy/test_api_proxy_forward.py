"""Requests for the kind's own server: what passes, with which key, and what is counted."""

import asyncio

from api_proxy.proxied import KEY, post, run_proxy


def test_the_key_is_put_on_where_the_placeholder_stands() -> None:
    async def scene() -> None:
        async with run_proxy() as proxied:
            assert (await proxied.ask(post("/v1/messages?beta=true")))[::2] == (200, b"ok")
            (seen,) = proxied.origin.requests
            assert seen.startswith(b"POST /v1/messages?beta=true HTTP/1.1\r\n")
            assert f"x-api-key: {KEY.value}\r\n".encode() in seen
            assert KEY.placeholder.encode() not in seen
            assert proxied.record.statuses == {200: 1}

    asyncio.run(scene())
