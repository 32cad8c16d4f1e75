"""Text for terminals whose encoding lacks characters: a readable form in ASCII, else an escape by its number."""

import codecs

ASCII_FORMS = "gitbatch.ascii-forms"
"""The name of the error handler of a stream that writes these forms."""

_FORMS = {
    "→": "->",
    "⇒": "=>",
    "…": "...",
    "“": '"',
    "”": '"',
    "„": '"',
    "«": '"',
    "»": '"',
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{SINGLE LOW-9 QUOTATION MARK}": "'",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "─": "-",
    "━": "-",
    "│": "|",
    "├": "|",
    "└": "`",
    "·": "*",
    "•": "*",
    "\N{MULTIPLICATION SIGN}": "x",
    "≤": "<=",
    "≥": ">=",
    "№": "#",
    "✓": "x",
    "\N{NO-BREAK SPACE}": " ",
} | dict.fromkeys("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "*")


def _replace_characters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_find_form, lacking)), error.end


def _find_form(character: str) -> str:
    form = _FORMS.get(character)
    return form if form is not None else character.encode("ascii", "backslashreplace").decode()


codecs.register_error(ASCII_FORMS, _replace_characters)


def is_limited(stream: object) -> bool:
    """Whether the encoding of a stream of text lacks characters."""
    return not _encoding_of(stream).startswith("utf")


def fit_encoding(text: str, stream: object) -> str:
    """Returns a text as a stream writes it, so that it can be laid out by its width."""
    if text.isascii() or not is_limited(stream):
        return text
    encoding = _encoding_of(stream)
    return text.encode(encoding, ASCII_FORMS).decode(encoding)


def _encoding_of(stream: object) -> str:
    """Returns the name of a stream's encoding; UTF-8 where any text can be written, as in memory."""
    return codecs.lookup(getattr(stream, "encoding", None) or "utf-8").name
