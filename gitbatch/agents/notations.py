r"""The notations in which programs print a value: finds a secret that was quoted, escaped, encoded or broken.

Text and value are compared in a simple form: percent-encoding and escapes (`\u002b`, `\x2b`) are decoded; quotes,
backslashes, `+`, whitespace, control and invisible characters are left out, as they are and escaped. So a value is found as
a string of JSON, Python (text and bytes) or a shell, also twice; percent-encoded, whatever is left as it is; and broken at
any place by what cleaning drops or replaces by a space (`text.clean_text`). Not found: what a program does to hide a
value, such as base64.
"""

import json
import re
from urllib.parse import quote, quote_plus

from gitbatch.patterns import compile_later

_BLANK = bytes(byte for byte in (*range(0x21), 0x7F, ord("+")) if byte != 0x1B)
"""Bytes that are left out first, as this is fast."""
_QUOTES = b"'\""
_UNQUOTED = (
    rb"(?:\x1b|\\+(?:u001[bB]|x1[bB]|033))\[[0-9;]{0,16}[A-Za-z]"
    rb"|%[0-9a-fA-F]{2}"
    rb"|\\+u[dD][89abAB][0-9a-fA-F]{2}\\+u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\+(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[nrtbfv0])"
    rb"|\x1b"
    rb"|\\+"
    rb"|(?:\xc2[\x80-\xa0\xad]|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xa4]|\xef\xbb\xbf)+"
)
_NOTATION, _NOTATION_UNQUOTED = compile_later(rb"['\"]+|" + _UNQUOTED), compile_later(_UNQUOTED)
_DIGITS = compile_later(rb"u([0-9a-fA-F]{4})")
_SHORTEST = 8
"""Bytes of a simple form that is looked for: fewer are in texts by chance."""


def simplify(data: bytes) -> bytes:
    """Returns the simple form of some bytes."""
    # Quotes are in no other notation. JSON is full of them: a call for each would take most of the time.
    return _NOTATION_UNQUOTED.sub(_decode_notation, data.translate(None, _BLANK)).translate(None, _QUOTES)


def simple_forms(value: str) -> frozenset[bytes]:
    """Returns the simple forms of a value; none if it would be too short."""
    data = value.encode(errors="surrogateescape")
    # The last one has no escapes decoded: a value that is encoded as a whole may have what looks like one.
    forms = {simplify(data), simplify(ascii(value).encode()), data.translate(None, _BLANK + b"\x1b'\"\\")}
    return frozenset(form for form in forms if len(form) >= _SHORTEST)


def replace_simple(data: bytes, form: bytes, new: bytes) -> bytes:
    """Returns bytes with something else instead of whatever has a simple form.

    Args:
        data: the bytes.
        form: the simple form.
        new: what replaces it.
    """
    places = _find_sources(data)
    simple = bytes(byte for _, _, byte in places)
    kept: list[bytes] = []
    done, found = 0, simple.find(form)
    while found >= 0:
        kept += (data[done : places[found][0]], new)
        done = places[found + len(form) - 1][1]
        found = simple.find(form, found + len(form))
    return b"".join((*kept, data[done:]))


def written_forms(value: str) -> frozenset[str]:
    """Returns the usual notations of a value, for a search of fixed strings."""
    percent = {quote(value, safe=safe, errors="surrogateescape") for safe in ("", "/")}
    percent.add(quote_plus(value, errors="surrogateescape"))
    texts = {json.dumps(value, ensure_ascii=c)[1:-1] for c in (True, False)}
    return frozenset(
        {
            value,
            *texts,
            *(text.replace("/", "\\/") for text in texts),
            *percent,
            *(re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in percent),
            repr(value)[1:-1],
            ascii(value)[1:-1],
            repr(value.encode(errors="surrogateescape"))[2:-1],
            value.replace("\\", "\\\\").replace("'", "\\'"),
            value.replace("'", "'\\''"),
            value.replace("'", "'\"'\"'"),
            re.sub(r'([$`"\\])', r"\\\1", value),
            re.sub(r"([^\w@%+=:,./-])", r"\\\1", value),
        }
    )


def _find_sources(data: bytes) -> list[tuple[int, int, int]]:
    """Returns each byte of the simple form with the start and the end of what it comes from."""
    shown = [at for at, byte in enumerate(data) if byte not in _BLANK]
    dense = data.translate(None, _BLANK)
    places: list[tuple[int, int, int]] = []
    done = 0
    for found in _NOTATION.finditer(dense):
        places += ((shown[at], shown[at] + 1, dense[at]) for at in range(done, found.start()))
        start, end = shown[found.start()], shown[found.end() - 1] + 1
        places += ((start, end, byte) for byte in _decode_notation(found))
        done = found.end()
    places += ((shown[at], shown[at] + 1, dense[at]) for at in range(done, len(dense)))
    return places


def _decode_notation(found: re.Match[bytes]) -> bytes:
    """Returns the simple form of one notation."""
    text = found[0]
    if text.startswith(b"%"):
        decoded = bytes.fromhex(text[1:].decode())
    elif text.startswith(b"\\") and b"[" not in text and (escape := text.lstrip(b"\\"))[:1] in {b"u", b"x"}:
        if escape.startswith(b"x"):
            decoded = bytes.fromhex(escape[1:3].decode())
        else:
            units = bytes.fromhex(b"".join(_DIGITS.findall(text)).decode())
            decoded = units.decode("utf-16-be", "replace").encode()
    else:
        return b""
    return b"" if _NOTATION.fullmatch(decoded) else decoded.translate(None, _BLANK)
