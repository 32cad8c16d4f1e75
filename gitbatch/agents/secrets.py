"""Secrets: the values of variables that agents are given, such as API keys, and what keeps them out of history.

Every text of an agent that is kept or shown has them replaced by their variable's name. An output that holds one is
refused (`batch/item/harvest.py`); git looks for them there, so that gitbatch reads no output (rule O1).

This is for mistakes: a program that prints its environment, a server that repeats a key in an error. A program that
wants to give a key away can encode it (base64, one character a line, another file's name), and nothing here sees that.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from gitbatch.agents.notations import replace_simple, simple_forms, simplify, written_forms
from gitbatch.agents.protocol import Contribution, Failure, OutputStream, Progress, Reply
from gitbatch.agents.review.model import Review
from gitbatch.limits.usage import Usage
from gitbatch.patterns import compile_later
from gitbatch.text import CleanText, clean_text

SHORTEST = 8
"""Characters of a value that is worth hiding: shorter ones are words such as `x` or `none`."""
_TOKEN = compile_later(r"[A-Za-z0-9+/=_-]{24,}")
"""Distinguishes a line of a key from a line that may be in any text."""
_LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class Secret:
    """The value of one variable, in the forms in which it may turn up."""

    name: CleanText
    in_text: tuple[str, ...] = field(repr=False)
    in_outputs: tuple[str, ...] = field(repr=False)
    """None has a line break: these are looked for line by line."""

    @classmethod
    def from_value(cls, name: str, value: str) -> "Secret":
        """Returns the forms of a value: as it is, in one line, as JSON writes it; of several lines, each of them."""
        whole = {
            value,
            clean_text(value, _LONGEST),
            *(json.dumps(value, ensure_ascii=c)[1:-1] for c in (True, False)),
        }
        written = whole | written_forms(value)
        lines = [line.strip() for line in value.replace("\\n", "\n").splitlines()]
        long = {line for line in lines if len(line) >= SHORTEST}
        if len(lines) == 1:
            return cls(clean_text(name), _longest_first(written), _longest_first(written))
        # Lines such as `"type": "service_account"` or BEGIN PRIVATE KEY are no secret: an output may have them.
        tokens = {token for line in lines for token in _TOKEN.findall(line) if any(map(str.isdigit, token))}
        one_line = {form for form in written if "\n" not in form}
        return cls(
            clean_text(name), _longest_first(whole | long), _longest_first(one_line | (tokens or long))
        )


def _longest_first(forms: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


class Secrets:
    """All values that nothing may hold. Immutable."""

    __slots__ = ("_bytes", "_names", "_simple", "_text", "every")

    def __init__(self, every: Iterable[Secret] = ()) -> None:
        self.every = tuple(every)
        self._names = {form: secret.name for secret in self.every for form in secret.in_text}
        pattern = "|".join(map(re.escape, _longest_first(self._names)))
        self._text = re.compile(pattern)
        self._bytes = re.compile(pattern.encode(errors="surrogateescape"))
        simple = {one: form for form in self._names for one in simple_forms(form)}
        self._simple = [
            (one, self._placeholder_of(simple[one]).encode()) for one in sorted(simple, key=len, reverse=True)
        ]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], names: Iterable[str]) -> "Secrets":
        """Returns the values of some variables, as far as they are set and long enough.

        Args:
            environment: the user's.
            names: of the variables.
        """
        found = {name: environment.get(name, "").strip() for name in sorted(set(names))}
        return cls(Secret.from_value(name, value) for name, value in found.items() if len(value) >= SHORTEST)

    def mask_text(self, text: str) -> str:
        """Returns a text with the name of the variable instead of each value."""
        if not self.every:
            return text
        masked = self._text.sub(lambda found: self._placeholder_of(found[0]), text)
        try:
            data, errors = masked.encode(errors="surrogateescape"), "surrogateescape"
        except UnicodeEncodeError:  # half a character, from JSON
            data, errors = masked.encode(errors="surrogatepass"), "surrogatepass"
        return masked if (changed := self._mask_simple(data)) == data else changed.decode(errors=errors)

    def mask_bytes(self, data: bytes) -> bytes:
        """Does the same with bytes that are not decoded yet."""
        if not self.every:
            return data
        return self._mask_simple(
            self._bytes.sub(
                lambda found: self._placeholder_of(found[0].decode(errors="surrogateescape")).encode(), data
            )
        )

    def _mask_simple(self, data: bytes) -> bytes:
        """Masks values in other notations than those that stand in `_text`."""
        simple = simplify(data)
        for form, hidden in self._simple:
            if form in simple:
                data = replace_simple(data, form, hidden)
                simple = simplify(data)
        return data

    def clean_masked(self, text: str) -> CleanText:
        """Returns a harmless line, masked where cleaning would join the parts of a value, before it is cut."""
        return clean_text(self.mask_text(clean_text(text, _LONGEST))) if self.every else clean_text(text)

    def mask_line(self, line: CleanText) -> CleanText:
        """Does the same with a harmless line: with what fell away in its cleaning, a value may have come together."""
        return clean_text(masked, _LONGEST) if (masked := self.mask_text(line)) != line else line

    def mask_lines(self, lines: tuple[CleanText, ...]) -> tuple[CleanText, ...]:
        """Does the same with several."""
        return tuple(map(self.mask_line, lines))

    def mask_answer(self, answer: Reply | Failure) -> Reply | Failure:
        """Does the same with all that an agent returned."""
        if not self.every:
            return answer
        if isinstance(answer, Failure):
            return replace(
                answer,
                reason=self.mask_line(answer.reason),
                details=self.mask_lines(answer.details),
                usage=self._mask_usage(answer.usage),
            )
        return replace(
            answer,
            summary=self.mask_line(answer.summary),
            decisions=self.mask_lines(answer.decisions),
            contributions=tuple(
                Contribution(self.mask_line(c.artifact), self.mask_line(c.text)) for c in answer.contributions
            ),
            usage=self._mask_usage(answer.usage),
            review=self._mask_review(answer.review),
        )

    def mask_progress(self, progress: Progress) -> Progress:
        """Does the same with each line before it is shown."""

        def show_masked(stream: OutputStream, line: CleanText) -> None:
            progress(stream, self.mask_line(line))

        return show_masked if self.every else progress

    def found_by(self, search: Callable[[tuple[str, ...]], bool]) -> tuple[CleanText, ...]:
        """Returns the names of the variables whose values are in something.

        Args:
            search: whether one of some forms is in it. It is called once if nothing is.
        """
        if not self.every or not search(tuple(self._in_outputs())):
            return ()
        return tuple(secret.name for secret in self.every if search(secret.in_outputs))

    def _in_outputs(self) -> Iterator[str]:
        for secret in self.every:
            yield from secret.in_outputs

    def _placeholder_of(self, form: str) -> str:
        return f"[value of {self._names[form]}]"

    def _mask_review(self, review: Review | None) -> Review | None:
        if review is None:
            return None
        masked = (replace(finding, text=self.mask_line(finding.text)) for finding in review.findings)
        return replace(review, findings=tuple(masked))

    def _mask_usage(self, usage: Usage) -> Usage:
        return replace(usage, model=self.mask_line(usage.model))
