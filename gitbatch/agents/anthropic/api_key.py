"""The key, which must get nowhere: it is cut out of every text of the model and the server, and no file may have it."""

from dataclasses import dataclass, field

from gitbatch.text import clean_text

_SHORTEST = 8
"""Characters of a key that is worth hiding: a server that needs none is given `x` or `none`, and these are words."""
_HIDDEN = "[the key]"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that a model or a server may repeat, by mistake or because it was told to."""

    value: str = field(repr=False)

    def remove_from(self, text: str) -> str:
        """A text in one line and without the key, which may become longer than what `clean_text` gives."""
        if not self._is_worth_hiding:
            return text
        # Twice: what is invisible between its characters falls away in the cleaning.
        return clean_text(text.replace(self.value, _HIDDEN), 20_000).replace(self.value, _HIDDEN)

    def is_in(self, content: bytes) -> bool:
        """Whether a file has the key."""
        return self._is_worth_hiding and self.value.encode() in content

    @property
    def _is_worth_hiding(self) -> bool:
        return len(self.value) >= _SHORTEST
