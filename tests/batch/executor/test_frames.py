"""Frames: what a stream of bytes can make of a reader, whoever writes it."""

import tracemalloc
import zlib
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbatch.batch.executor.frames import MAGIC, NOISE_BYTES, FrameError, FrameReader, pack_frame

LIMIT = 1000


def read_all(reader: FrameReader, *parts: bytes) -> list[bytes]:
    return [content for part in parts for content in reader.take_bytes(part)]


@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(0, 400)), st.binary(max_size=20))
def test_contents_come_back_however_the_stream_is_cut(
    contents: list[bytes], cuts: list[int], noise: bytes
) -> None:
    stream = noise + MAGIC + b"".join(map(pack_frame, contents))
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parts = [stream[start:end] for start, end in pairwise(places)]
    reader = FrameReader(LIMIT, needs_magic=True)
    assert read_all(reader, *parts) == contents
    assert not reader.is_in_frame


@given(st.lists(st.binary(max_size=60)))
def test_junk_is_refused_or_waited_for_and_never_kept_beyond_the_limit(parts: list[bytes]) -> None:
    reader = FrameReader(LIMIT)
    with suppress(FrameError):
        for part in parts:
            list(reader.take_bytes(part))
            assert len(reader._kept) <= LIMIT + 8


def test_long_frame_is_refused_by_its_head() -> None:
    head = pack_frame(b"")[:0] + (200 * 1024 * 1024).to_bytes(4, "big") + bytes(4)
    tracemalloc.start()
    with pytest.raises(FrameError, match="209,715,200 bytes"):
        read_all(FrameReader(LIMIT), head)
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()


def test_changed_byte_is_noticed() -> None:
    frame = bytearray(pack_frame(b"a reply"))
    frame[-1] ^= 1
    with pytest.raises(FrameError, match="damaged"):
        read_all(FrameReader(LIMIT), bytes(frame))


def test_frame_without_its_end_is_damaged() -> None:
    for line in (b"", b"a reply"):
        frame = len(line).to_bytes(4, "big") + zlib.crc32(line).to_bytes(4, "big") + line
        with pytest.raises(FrameError, match="damaged"):
            read_all(FrameReader(LIMIT), frame)


def pass_lines(waiting: bytearray, data: bytes) -> bytes:
    """What `srun` passes on: whole lines, or what its buffer cannot hold; the rest waits."""
    waiting += data
    end = waiting.rfind(b"\n") + 1 or len(waiting) // 1024 * 1024
    passed = bytes(waiting[:end])
    del waiting[:end]
    return passed


@given(st.lists(st.binary(max_size=3000)))
def test_each_message_passes_what_keeps_lines_together(contents: list[bytes]) -> None:
    """None waits for the next one."""
    reader, waiting = FrameReader(4000, needs_magic=True), bytearray()
    assert read_all(reader, pass_lines(waiting, MAGIC)) == []
    for content in contents:
        assert read_all(reader, pass_lines(waiting, pack_frame(content))) == [content]


def test_cut_frame_is_not_a_message() -> None:
    reader = FrameReader(LIMIT)
    assert read_all(reader, pack_frame(b"whole"), pack_frame(b"cut off")[:-1]) == [b"whole"]
    assert reader.is_in_frame


def test_greeting_of_a_shell_is_skipped_up_to_a_limit() -> None:
    most = FrameReader(LIMIT, needs_magic=True)
    assert read_all(most, b"x" * NOISE_BYTES, MAGIC + pack_frame(b"hello")) == [b"hello"]
    with pytest.raises(FrameError, match="something else prints"):
        read_all(FrameReader(LIMIT, needs_magic=True), b"x" * (NOISE_BYTES + 1))
