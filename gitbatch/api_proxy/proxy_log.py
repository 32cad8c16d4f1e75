"""What the proxy of one item has seen: answers, their usage, and what it refused."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gitbatch.api_proxy.answer_usage import AnswerUsage
from gitbatch.api_proxy.user_proxy import LOGIN_WANTED
from gitbatch.limits.usage import Usage
from gitbatch.text import CleanText, clean_text
from gitbatch.web.retry_after import read_retry_after

_KEPT_REFUSALS = 50
_KEPT_ANSWERS = 1000
_KEPT_MODELS = 50
_LINE = 200


@dataclass(slots=True)
class ProxyLog:
    """It grows while the item runs; no key is in it, and no content of a request."""

    note_refusal: Callable[[CleanText], None] = lambda _line: None
    """Called with the line of the first refusal of each kind."""
    statuses: Counter[int] = field(default_factory=Counter)
    """How often the server answered with each status."""
    answers: list[AnswerUsage] = field(default_factory=list)
    """The last answers of models, also those that have not come to their end."""
    earlier: dict[str, Usage] = field(default_factory=dict)
    """The usage of those before, by model."""
    retry_after: float | None = None
    """Seconds that the server asked to wait in its last answer; None: it did not."""
    is_unreachable: bool = False
    """Whether the last request had no answer, because there was no connection to the server."""
    wants_login: bool = False
    """Whether the proxy in the user's environment has refused, because it wants a login."""
    limit: str = ""
    """Why no further request may be made; empty: none was refused for that."""
    _refusals: Counter[CleanText] = field(default_factory=Counter)

    @property
    def usages(self) -> tuple[Usage, ...]:
        """The tokens of each answer, as far as they have come, and of the earlier ones by model; no cost is known here."""
        return (*self.earlier.values(), *(answer.usage for answer in self.answers))

    @property
    def errors(self) -> tuple[CleanText, ...]:
        """One line with the errors that the server answered, if it answered any."""
        found = [
            f"{status} ({count} times)" for status, count in sorted(self.statuses.items()) if status >= 400
        ]
        return (clean_text(f"the server answered {', '.join(found)}"),) if found else ()

    @property
    def refusals(self) -> tuple[CleanText, ...]:
        """A line for each kind of refusal, with how often it happened."""
        return tuple(
            clean_text(f"{line} ({count} times)") if count > 1 else line
            for line, count in self._refusals.items()
        )

    def add_answer(self, status: int, headers: Mapping[str, str]) -> None:
        """Records that the server has answered. A program that gives up does not say how long it was asked to wait."""
        self.statuses[status] += 1
        self.is_unreachable = self.wants_login = False
        self.retry_after = read_retry_after(headers, time.time()) if status >= 400 else None

    def open_answer(self, content_type: str) -> AnswerUsage:
        """Records that an answer of a model begins. Returns what reads its usage."""
        if len(self.answers) >= _KEPT_ANSWERS:
            self._sum_oldest()
        answer = AnswerUsage(content_type)
        self.answers.append(answer)
        return answer

    def _sum_oldest(self) -> None:
        """Replaces the oldest answer that has ended by its usage in a sum: a program can ask without end."""
        oldest = next((answer for answer in self.answers if answer.is_finished), None)
        if oldest is None:
            return
        self.answers.remove(oldest)
        model = oldest.usage.model
        name = model if model in self.earlier or len(self.earlier) < _KEPT_MODELS else ""
        self.earlier[name] = self.earlier.get(name, Usage()) + oldest.usage

    def add_refusal(self, what: str) -> None:
        """Records that something was refused."""
        self._add_line(clean_text(f"refused by the proxy: {what}", _LINE))

    def add_failure(self, why: str) -> None:
        """Records that the server could not be reached."""
        self.is_unreachable = True
        self.add_problem(why)

    def add_login_problem(self) -> None:
        """Records that the proxy in the user's environment wants a login."""
        self.wants_login = True
        self.add_problem(LOGIN_WANTED)

    def add_problem(self, what: str) -> None:
        """Records that something is wrong with the server."""
        self._add_line(clean_text(f"the proxy: {what}", _LINE))

    def _add_line(self, line: CleanText) -> None:
        if line not in self._refusals and len(self._refusals) >= _KEPT_REFUSALS:
            line = clean_text("refused by the proxy: more")
        is_first = line not in self._refusals
        self._refusals[line] += 1
        if is_first:
            self.note_refusal(line)
