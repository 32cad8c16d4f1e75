"""Cutting a line of text to columns of a terminal: at the end, or at the start for names that differ in their ends."""

from gitbatch.text import display_width


def cut_end(text: str, width: int, mark: str = "…") -> str:
    """Returns a text that takes at most `width` columns; `mark` stands for what is left out."""
    if display_width(text) <= width:
        return text
    kept = _take_columns(text, width - display_width(mark))
    return kept + mark if width >= display_width(mark) else _take_columns(text, width)


def cut_start(text: str, width: int, mark: str = "…") -> str:
    """Returns the last part of a text, in at most `width` columns."""
    if display_width(text) <= width:
        return text
    room = width - display_width(mark)
    if room < 0:
        return _take_columns(text, width)
    for start in range(len(text) + 1):
        is_whole = start == len(text) or display_width(text[start])  # no accent without its letter
        if is_whole and display_width(text[start:]) <= room:
            return mark + text[start:]
    return mark


def pad_end(text: str, width: int) -> str:
    """Returns a text with spaces up to a width."""
    return text + " " * max(0, width - display_width(text))


def _take_columns(text: str, width: int) -> str:
    """Returns the longest beginning of a text that fits; a wide character that does not fit is left out."""
    if text.isascii():  # most are
        return text[: max(0, width)]
    taken = 0
    for end, character in enumerate(text):
        taken += display_width(character)
        if taken > width:
            return text[:end]
    return text
