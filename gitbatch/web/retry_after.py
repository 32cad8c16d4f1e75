"""How long a server asks to wait before the next request."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Returns the seconds that the server asks to wait; None: it does not ask, or the value is invalid.

    Args:
        headers: the headers of its answer.
        now: seconds since the epoch.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        said = headers.get(name, "").strip()
        if re.fullmatch(r"[0-9]{1,15}(?:\.[0-9]{1,9})?", said):
            return float(said) * unit
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
