"""A small terminal emulator that records the effects of a stream: text, titles, modes, the clipboard."""

import re
import unicodedata
from dataclasses import dataclass

_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)(?P<csi>[0-?]*[ -/]*[@-~])"
    r"|(?:\x1b\]|\x9d)(?P<osc>.*?)(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])(?P<string>.*?)(?:\x1b\\|\x9c)"
    r"|\x1b(?P<esc>[ -/]*[0-~])",
    re.DOTALL,
)
_PLAIN = frozenset("\r\n")


@dataclass(frozen=True)
class Terminal:
    """The text and the effects of a stream in a terminal."""

    text: str
    done: frozenset[str]
    """The kinds of effects besides text; all colours are one kind."""

    @classmethod
    def fed(cls, stream: str) -> "Terminal":
        """Returns the terminal after a stream of characters."""
        done, text = set(), ""
        at = 0
        for found in _SEQUENCE.finditer(stream):
            text += stream[at : found.start()]
            at = found.end()
            kind, what = next((kind, what) for kind, what in found.groupdict().items() if what is not None)
            done.add("CSI m" if kind == "csi" and what.endswith("m") else f"{kind.upper()} {what}")
        text += stream[at:]
        shown = [c for c in text if c in _PLAIN or unicodedata.category(c) not in {"Cc", "Cf"}]
        done |= {
            f"U+{ord(c):04X}" for c in text if c not in _PLAIN and unicodedata.category(c) in {"Cc", "Cf"}
        }
        return cls("".join(shown), frozenset(done))
