"""A worker that sends 200 megabytes of something: `python liar.py KIND`. It knows the bytes of the protocol by itself."""

import os
import re
import sys
import zlib

SIZE = 200_000_000


def pack_text(text: str) -> bytes:
    """A text in the form of msgpack."""
    data = text.encode()
    return b"\xda" + len(data).to_bytes(2, "big") + data


def pack_map(tag: str, **fields: bytes) -> bytes:
    """A message in the form of msgpack."""
    named = {"type": pack_text(tag), **fields}
    return bytes([0x80 + len(named)]) + b"".join(pack_text(name) + value for name, value in named.items())


def frame(content: bytes) -> bytes:
    """A frame with a content."""
    content += b"\n"
    return len(content).to_bytes(4, "big") + zlib.crc32(content).to_bytes(4, "big") + content


def wait_for_token() -> str:
    """Read until a job comes."""
    heard = b""
    while True:
        heard += os.read(0, 65536)
        if found := re.search(rb"\xa3job.*\xa5token\xd9 ([0-9a-f]{32})", heard, re.DOTALL):
            return found[1].decode()


def main(kind: str) -> None:
    """Greet as an honest worker does, and answer the first job with a lie."""
    hello = pack_map(
        "hello",
        protocol=b"\x01",
        version=pack_text("1"),
        host=pack_text(kind),
        slots=b"\x01",
        sandbox=pack_text("x"),
    )
    out = os.fdopen(1, "wb")
    out.write(b"\ngitbatch-worker-stream\n" + frame(hello))
    out.flush()
    token = pack_text(wait_for_token())
    chunk = b"\xc6" + (250_000).to_bytes(4, "big") + bytes(250_000)
    lies = {
        "lines": frame(
            pack_map("event", token=token, stream=pack_text("output"), line=pack_text("x" * 19_000))
        ),
        "bytes": frame(pack_map("chunk", token=token, data=chunk)),
        "paths": frame(pack_map("changes", token=token, written=b"\x91" + pack_text("p" * 4_000))),
        "frame": (SIZE).to_bytes(4, "big") + bytes(4),
        "nested": frame(b"\x91" * 2_000_000),
    }
    lie = lies[kind]
    for _ in range(SIZE // len(lie) if kind != "frame" else 1):
        out.write(lie)
    if kind == "frame":
        for _ in range(200):
            out.write(bytes(SIZE // 200))
    out.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except BrokenPipeError:
        os._exit(1)
