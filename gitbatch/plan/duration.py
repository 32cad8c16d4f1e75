"""Durations as people write them, in plans and in gitbatch.toml: one grammar for both.

    duration = [hours "h"] [minutes ("m" | "min")] [seconds ["s"]]

At least one part, spaces anywhere between numbers and units, a fraction only in the seconds, greater than zero.
"""

from gitbatch.errors import PlanError
from gitbatch.patterns import compile_later

EXAMPLES = "90, 90s, 5m or 1h30m"
"""What an error suggests."""

_DURATION = compile_later(
    r"\s*(?:(?P<hours>[0-9]{1,4})\s*h)?"
    r"\s*(?:(?P<minutes>[0-9]{1,6})\s*m(?:in)?)?"
    r"\s*(?:(?P<seconds>[0-9]{1,7}(?:\.[0-9]{1,3})?)\s*s?)?\s*"
)


def parse_duration(text: str) -> float | None:
    """Returns the seconds of a duration; None if the text is not one or is zero."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    hours, minutes, rest = (float(part or 0) for part in match.group("hours", "minutes", "seconds"))
    return hours * 3600 + minutes * 60 + rest or None


def require_duration(text: str) -> float:
    """Returns the seconds of a duration.

    Raises:
        PlanError: it is not a duration, or zero.
    """
    seconds = parse_duration(text)
    if seconds is None:
        raise PlanError(f"invalid duration {text!r}", f"write it like {EXAMPLES}")
    return seconds
