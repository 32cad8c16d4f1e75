"""Titles: when two of them are the same, when one was probably meant, and what a file name makes of them.

A title is matched exactly or not at all; what is only near is suggested to the user and never taken.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from gitbatch.patterns import compile_later
from gitbatch.plan.spelling import distance

MAX_SLUG = 40
"""Characters in a slug."""

_LINK = compile_later(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_EMPHASIS = str.maketrans("", "", "*_`~")
_NUMBER = compile_later(r"\d+\ufe0f?\u20e3|\d+(?:\.\d+)*(?:[.):]|\s+[-\u2013\u2014](?=\s)|(?=\s))")
_SYMBOLS = frozenset({"So", "Sk", "Mn", "Me", "Cf"})
_UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "a", "ł": "l"}
)
_NO_SLUG = compile_later(r"[^a-z0-9]+")


def normalise(title: str) -> str:
    """A title as it is compared: without case, emphasis, comments, a leading number or emoji, a trailing `:` or `( … )`."""
    bare = without_comments(title).translate(_EMPHASIS)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", bare).casefold())
    return " ".join(_without_tail(_without_lead(folded)).split())


def _without_lead(title: str) -> str:
    start, length = 0, len(title)
    while start < length:
        number = _NUMBER.match(title, start)
        if number:
            start = number.end()
        elif title[start].isspace() or unicodedata.category(title[start]) in _SYMBOLS:
            start += 1
        else:
            break
    return title[start:]


def _without_tail(title: str) -> str:
    end = len(title)
    while end > 0:
        last = title[end - 1]
        if last == ":" or last.isspace():
            end -= 1
        elif last == ")" and (opened := _opening(title, end)) is not None:
            end = opened
        else:
            break
    return title[:end]


def _opening(title: str, end: int) -> int | None:
    """Where the bracket opens that closes before `end`."""
    depth = 0
    for at in range(end - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(title[at], 0)
        if depth == 0:
            return at
    return None


def without_comments(text: str) -> str:
    """The text with a space for each HTML comment; one that is never closed is text."""
    parts: list[str] = []
    position = 0
    while (opened := text.find("<!--", position)) >= 0:
        closed = text.find("-->", opened + 4)
        if closed < 0:
            break
        parts += (text[position:opened], " ")
        position = closed + 3
    return "".join((*parts, text[position:]))


def matches(title: str, synonyms: Iterable[str]) -> bool:
    """Whether a title is one of the synonyms. One that is only a number or an emoji is compared as it is."""
    known = tuple(synonyms)
    name = normalise(title)
    if not name:
        return title.strip() in {synonym.strip() for synonym in known}
    return name in {normalise(synonym) for synonym in known}


def suggestion(title: str, synonyms: Iterable[str]) -> str | None:
    """The synonym that a title which matches none was probably meant to be: it holds one, or is a typing error away."""
    words = normalise(title)
    for synonym in synonyms:
        known = normalise(synonym)
        if not known or words == known:
            continue
        if (known in words and _holds_words(words, known)) or _is_typo(words, known):
            return synonym
    return None


def _holds_words(words: str, known: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(known)}(?!\w)", words) is not None


def _is_typo(words: str, known: str) -> bool:
    limit = 2 if len(known) >= 8 else 1 if len(known) >= 5 else 0
    return abs(len(words) - len(known)) <= limit and distance(words, known) <= limit


def slugify(text: str) -> str:
    """A text as part of a file name: `a-z0-9-`, at most 40 characters, never empty, the same on every machine."""
    visible = _LINK.sub(r"\1", without_comments(text))
    composed = unicodedata.normalize("NFC", visible).casefold().translate(_UMLAUTS)
    ascii_only = unicodedata.normalize("NFKD", composed).encode("ascii", "ignore").decode()
    slug = _NO_SLUG.sub("-", ascii_only).strip("-")
    if slug:
        return _cut(slug)
    if not visible.strip():
        return "untitled"
    # A title in a script that ASCII can't spell: different titles still get different names.
    return f"x-{hashlib.sha256(visible.strip().encode()).hexdigest()[:8]}"


def _cut(slug: str) -> str:
    if len(slug) <= MAX_SLUG:
        return slug
    head, _, _ = slug[: MAX_SLUG + 1].rpartition("-")
    return head or slug[:MAX_SLUG]
