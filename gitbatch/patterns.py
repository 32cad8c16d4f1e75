"""Regular expressions that are compiled when they are used first.

Compiling all of those of the modules that a run imports takes longer than what git does for the run's start.
Not for patterns that are made at run time: they are used at once.
"""

import re
from typing import AnyStr, cast


def compile_later(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Returns a regular expression that is compiled by the first use of one of its methods. The module `re` takes it for none."""
    return cast("re.Pattern[AnyStr]", _LaterPattern(pattern, flags))


class _LaterPattern:
    """Has the attributes of the compiled expression, each from its first use on."""

    def __init__(self, pattern: str | bytes, flags: int) -> None:
        self.pattern = pattern
        self._flags = flags
        self._compiled: re.Pattern[str] | re.Pattern[bytes] | None = None

    def __getattr__(self, name: str) -> object:
        """Takes an attribute from the compiled expression, where the next use finds it without this call."""
        if name.startswith("__"):  # of a protocol: of copying, for example
            raise AttributeError(name)
        if self._compiled is None:
            self._compiled = re.compile(self.pattern, self._flags)
        found: object = getattr(self._compiled, name)
        setattr(self, name, found)
        return found
