"""Events are read from bytes that come in any pieces, and no byte is looked at again and again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbatch.web import sse
from gitbatch.web.sse import BadStreamError, EventReader, ServerEvent


def read(*pieces: bytes) -> list[ServerEvent]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.feed_bytes(piece)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"event: a\ndata: 1\n\n", [("a", "1")]),
        (b"event:a\r\ndata:1\r\ndata:2\r\n\r\n", [("a", "1\n2")]),
        (b"event: a\rdata: 1\r\rdata: 2\r\r\r", [("a", "1"), ("", "2")]),
        (b": comment\n\nid: 7\nretry: 5\nother\n\ndata:  x:y \n\n", [("", " x:y ")]),
        (b"event: a\n\ndata\n\n", [("a", ""), ("", "")]),
        ("data: grüße 🏳\n\n".encode(), [("", "grüße 🏳")]),
        ("data: a\u2028b\x85c\x0bd\n\n".encode(), [("", "a\u2028b\x85c\x0bd")]),
        (b"data: 1\n\nevent: cut\ndata: 2\n", [("", "1")]),
        (b"data: cut", []),
        (b"", []),
    ],
)
def test_a_stream_is_read_as_the_standard_says(stream: bytes, expected: list[tuple[str, str]]) -> None:
    events = [ServerEvent(*event) for event in expected]
    assert read(stream, b"\n" * stream.endswith(b"\r")) == events
    assert read(*(stream[at : at + 1] for at in range(len(stream))), b"\n" * stream.endswith(b"\r")) == events


@given(
    st.lists(st.sampled_from([b"data", b":", b" ", b"x", b"\xc3\xa4", b"\r", b"\n", b"\r\n", b"event"])),
    st.data(),
)
def test_it_does_not_matter_how_the_bytes_come(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join((*parts, b"\n\n"))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(*pieces) == read(stream)


def test_what_is_not_text_and_what_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadStreamError, match="not UTF-8"):
        read(b"data: \xff\n\n")
    monkeypatch.setattr(sse, "_LONGEST", 100)
    with pytest.raises(BadStreamError, match="a line of more than 100 bytes"):
        read(b"data: ", b"x" * 60, b"x" * 60)
