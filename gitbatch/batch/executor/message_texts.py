"""Messages whose texts UTF-8 cannot hold: the name of a file may be any bytes, and those that are not UTF-8 are lone surrogates.

Such a message begins with a byte that no other one begins with, and each of these characters is written as two digits.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from gitbatch.patterns import compile_later

if TYPE_CHECKING:
    import re

_MARK = b"\xc1"
"""MessagePack has no value that begins with it."""
_ODD = compile_later("[\0\udc80-\udcff]")
_ESCAPE = compile_later("\0(..)")
_FIRST = 0xDC00
"""The surrogate of a byte is as many characters behind this one."""

_T = TypeVar("_T")


def encode_texts(message: msgspec.Struct) -> bytes:
    """Returns a message as MessagePack, with a mark if a text of it needs one."""
    try:
        return msgspec.msgpack.encode(message)
    except UnicodeEncodeError:
        plain = msgspec.to_builtins(message, builtin_types=(bytes,))
        return _MARK + msgspec.msgpack.encode(_change_texts(plain, _escape))


class TextDecoder(Generic[_T]):
    """Decodes what `encode_texts` returns."""

    def __init__(self, wanted: Any) -> None:  # noqa: ANN401 - a union of types
        self._wanted = wanted
        self._decoder: msgspec.msgpack.Decoder[_T] = msgspec.msgpack.Decoder(wanted)

    def decode(self, content: bytes) -> _T:
        """Returns the message.

        Raises:
            msgspec.DecodeError: it is not one.
        """
        if not content.startswith(_MARK):
            return self._decoder.decode(content)
        plain = _change_texts(msgspec.msgpack.decode(content[1:]), _restore)
        found: _T = msgspec.convert(plain, self._wanted, builtin_types=(bytes,))
        return found


def _escape(text: str) -> str:
    return _ODD.sub(lambda found: f"\0{ord(found[0]) & 0xFF:02x}", text)


def _restore(text: str) -> str:
    return _ESCAPE.sub(_find_character, text)


def _find_character(found: "re.Match[str]") -> str:
    code = int(found[1], 16)
    return chr(_FIRST + code) if code else "\0"


def _change_texts(value: object, change: Callable[[str], str]) -> object:
    match value:
        case str():
            return change(value)
        case dict():
            return {name: _change_texts(each, change) for name, each in value.items()}
        case list() | tuple():
            return [_change_texts(each, change) for each in value]
    return value
