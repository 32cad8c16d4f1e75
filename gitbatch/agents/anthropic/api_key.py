"""The API key: it is removed from every text of the model and the server, and no output may have it."""

from dataclasses import dataclass, field

from gitbatch.agents.notations import replace_simple, simple_forms, simplify, written_forms
from gitbatch.text import clean_text

_SHORTEST = 8
"""Characters of a key that is worth hiding: a server that needs no key gets `x` or `none`, which are words."""
_HIDDEN = "[the key]"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that a model or a server may repeat, by mistake or because a prompt asks for it."""

    value: str = field(repr=False)

    def remove_from(self, text: str) -> str:
        """Returns a text in one line and without the key; it may be longer than what `clean_text` gives."""
        if not self._is_worth_hiding:
            return text
        # After the cleaning too: it removes invisible characters between those of the key.
        data = clean_text(text.replace(self.value, _HIDDEN), 20_000).replace(self.value, _HIDDEN).encode()
        for form in simple_forms(self.value):
            if form in simplify(data):
                data = replace_simple(data, form, _HIDDEN.encode())
        return data.decode()

    def is_in(self, content: bytes) -> bool:
        """Whether the content of a file has the key, in a usual notation."""
        return self._is_worth_hiding and any(form.encode() in content for form in written_forms(self.value))

    @property
    def _is_worth_hiding(self) -> bool:
        return len(self.value) >= _SHORTEST
