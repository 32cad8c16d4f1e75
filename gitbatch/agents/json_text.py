"""JSON in the output of a program: it is shortened for people, and never used as a summary."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from gitbatch.patterns import compile_later

_SHOWN = 160
"""Characters of a text in JSON that are shown."""
_ERROR_FIRST = ("error", "message", "result", "text", "content", "delta", "summary", "data", "part", "item")
"""The keys of texts for people, the most useful first; `name` and `title` are used only without any other."""
_NAMES = ("name", "title", "status")
_DEEPEST = 6
_CLOSING = compile_later(r"[\]}]+[,;]?")
_FENCE = compile_later(r"\s*(?:```|~~~)[`~]*\s*[\w-]*\s*")
_UNITS = compile_later(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
"""An escaped backslash, a whole pair of surrogates, or one that is alone: JSON allows it, and no encoding has it."""


def replace_lone_surrogates(written: bytes) -> bytes:
    """Returns JSON in which each escape of half a character is that of U+FFFD, so that its texts can be encoded."""
    return _UNITS.sub(lambda found: rb"\ufffd" if found[1] else found[0], written)


def make_encodable(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Returns a value of JSON whose texts can be encoded: halves of a character are joined, or replaced."""
    written = json.dumps(value).encode()
    return json.loads(replace_lone_surrogates(written)) if b"\\ud" in written else value


def parse_json(text: str) -> dict[str, Any] | list[Any] | None:
    """Returns the object or array that a text is; None if it is something else."""
    stripped = text.strip()
    if not stripped.startswith(("{", "[")):
        return None
    try:
        parsed = msgspec.json.decode(replace_lone_surrogates(stripped.encode(errors="replace")))
    except (msgspec.DecodeError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict | list) else None


def is_json(text: str) -> bool:
    """Returns whether a text is JSON: one value, or one on each line; also between the fences of Markdown."""
    lines = [line for line in text.splitlines() if line.strip()]
    inner = [line for line in lines if not _FENCE.fullmatch(line)]
    return bool(lines) and (
        parse_json("\n".join(inner)) is not None or all(parse_json(line) is not None for line in inner)
    )


def after_json(paragraph: str) -> str:
    """Returns the lines of a paragraph after its last line of JSON: empty if it ends with one.

    Of JSON in several lines, or that was cut at its beginning, the end is seen.
    """
    lines = paragraph.splitlines()
    ends = (number for number in range(len(lines), 0, -1) if _ends_json(lines[:number]))
    return "\n".join(lines[next(ends, 0) :])


def is_fence(paragraph: str) -> bool:
    """Returns whether a paragraph is nothing but fences of Markdown."""
    return all(map(_FENCE.fullmatch, paragraph.splitlines()))


def _ends_json(lines: list[str]) -> bool:
    """Returns whether the last of some lines ends JSON, or is the fence after it."""
    *before, last = lines
    return _is_end_of_json(last) or bool(_FENCE.fullmatch(last) and before and _is_end_of_json(before[-1]))


def _is_end_of_json(line: str) -> bool:
    stripped = line.strip()
    if _CLOSING.fullmatch(stripped) or parse_json(stripped) is not None:
        return True
    return stripped.endswith(("}", "]")) and '":' in stripped


def shorten_json(line: str) -> str:
    """Returns a line as it is shown: of JSON, its type and what it says to people."""
    parsed = parse_json(line)
    if parsed is None:
        return line
    said = " ".join(next(_find_texts(parsed, _ERROR_FIRST), next(_find_texts(parsed, _NAMES), "")).split())
    kinds = [parsed.get(key) for key in ("type", "subtype")] if isinstance(parsed, dict) else []
    kind = " ".join(kind for kind in (kinds[:1] if said else kinds) if isinstance(kind, str))
    short = ": ".join(filter(None, (kind, said))) or line.strip()
    return short if len(short) <= _SHOWN else f"{short[: _SHOWN - 1].rstrip()}…"


def _find_texts(value: object, wanted: tuple[str, ...], depth: int = 0) -> Iterator[str]:
    """Returns the texts that stand under the wanted keys, also further down."""
    if depth == _DEEPEST:
        return
    if isinstance(value, list):
        for element in value:
            yield from _find_texts(element, wanted, depth + 1)
    elif isinstance(value, dict):
        for key in dict.fromkeys((*wanted, *_ERROR_FIRST)):
            below = value.get(key)
            if not isinstance(below, str):
                yield from _find_texts(below, wanted, depth + 1)
            elif key in wanted and below.strip():
                yield below
