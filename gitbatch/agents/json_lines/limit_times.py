"""The time at which a limit of a subscription ends, from the text of Claude Code: it reports it in no field.

The texts change with the versions. One that is not understood gives no time: the wait is then doubled up to its longest.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from gitbatch.patterns import compile_later

_EPOCH = compile_later(r"limit reached\|(\d{10})\b")
_CLOCK = compile_later(r"resets (?:at )?(\d{1,2})(?::(\d{2}))? ?([ap]m)(?: \(([\w+/-]+)\))?", re.IGNORECASE)
_NOON = 12


def find_limit_end(text: str, now: float, local: tzinfo | None = None) -> float | None:
    """Returns the seconds until the limit that a text is about ends; None if it names no time.

    Args:
        text: the error, such as `limit reached|1764270000` or `resets 4pm (Europe/Vienna)`.
        now: the time, in seconds since the epoch.
        local: the time zone of a text that names none; None: this machine's.
    """
    if found := _EPOCH.search(text):
        return max(0.0, int(found[1]) - now)
    found = _CLOCK.search(text)
    return _until_clock(found, datetime.fromtimestamp(now, UTC), local) if found else None


def _until_clock(found: re.Match[str], now: datetime, local: tzinfo | None) -> float | None:
    """Returns the seconds until it is this time of the day next; None if it is not a time."""
    try:
        here = now.astimezone(ZoneInfo(found[4]) if found[4] else local)
        hour = int(found[1]) % _NOON + (_NOON if found[3].lower() == "pm" else 0)
        then = here.replace(hour=hour, minute=int(found[2] or 0), second=0, microsecond=0)
    except (ValueError, KeyError, OSError):  # an hour or a zone that does not exist
        return None
    return ((then if then > here else then + timedelta(days=1)) - here).total_seconds()
