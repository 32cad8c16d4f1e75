"""The messages of both sides as the contents of frames: bytes, and back, within their bounds."""

from contextlib import suppress
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from gitbatch.batch.executor.message_texts import TextDecoder, encode_texts
from gitbatch.batch.executor.messages import PROTOCOL, FromWorker, Hello, ToWorker

_Name = Annotated[str, Meta(max_length=200)]
_T = TypeVar("_T")


class _AnyHello(Struct, frozen=True, tag="hello"):
    """The part of a greeting that stays the same in every protocol: it is refused by what it says here."""

    protocol: Annotated[int, Meta(ge=0, le=10**6)]
    version: _Name
    host: _Name = ""


class MessageError(Exception):
    """The content of a frame is not a message that this side accepts. The message is one line."""


_FROM_WORKER: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
_ANY_HELLO: msgspec.msgpack.Decoder[_AnyHello] = msgspec.msgpack.Decoder(_AnyHello)
_TO_WORKER: TextDecoder[ToWorker] = TextDecoder(ToWorker)


def encode_message(message: FromWorker | ToWorker) -> bytes:
    """Returns a message as the content of a frame."""
    return encode_texts(message)


def decode_from_worker(content: bytes) -> FromWorker:
    """Returns the message of a worker.

    Raises:
        MessageError: it is not one, or a value is out of its bounds.
    """
    try:
        return _decode(_FROM_WORKER, content)
    except MessageError:
        with suppress(MessageError):
            other = _decode(_ANY_HELLO, content)
            if other.protocol != PROTOCOL:
                return Hello(other.protocol, other.version, other.host, 1, "")
        raise


def decode_to_worker(content: bytes) -> ToWorker:
    """Returns a message of the orchestrator.

    Raises:
        MessageError: it is not one.
    """
    return _decode(_TO_WORKER, content)


def _decode(decoder: msgspec.msgpack.Decoder[_T] | TextDecoder[_T], content: bytes) -> _T:
    try:
        return decoder.decode(content)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MessageError(f"an invalid message: {error}") from error
